"""Decoding, and encoding with the loss, of the codecs with disks and vectors: UDP's offsets and G-RMI's."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from codec_rows import CELLS, KEYPOINTS, MSE, SIZE, VIEWS, Array, at, blurred, decoding, drawn, highest, training
from row import Row

from poise.codecs.grmi import GRMI
from poise.codecs.udp_offset import UDPOffset

SCALE = (np.array(SIZE[::-1]) - 1) / (np.array(CELLS[::-1]) - 1)
REACH = GRMI(SIZE, CELLS, KEYPOINTS).disk_radius


def rows() -> Iterator[Row]:
    problem = drawn()
    offset, votes = UDPOffset(SIZE, CELLS, KEYPOINTS), GRMI(SIZE, CELLS, KEYPOINTS)
    maps = problem.answer(offset, 0.02)
    logits = problem.answer(votes, 0.05, share=1.0)
    yield decoding("UDPOffset", offset, decode_offset, maps, public=28.1)
    yield training("UDPOffset", offset, loss_of_offset, maps, problem, public=VIEWS * 0.406 + MSE)
    yield decoding("GRMI", votes, decode_votes, logits, off=4.0, uneven=0.5)  # it stays on the cells
    yield training("GRMI", votes, loss_of_votes, logits, problem)


def parts(output: Array) -> tuple[Array, Array, Array]:
    return output[:, 0::3], output[:, 1::3], output[:, 2::3]


def decode_offset(output: Array, radius: float = 4.0) -> tuple[Array, Array]:
    heat, dx, dy = (blurred(part, size) for part, size in zip(parts(output), (15, 7, 7), strict=True))
    x, y, score = highest(heat)
    cells = np.stack((x + radius * at(dx, x, y), y + radius * at(dy, x, y)), axis=-1)
    return cells * SCALE, score


def to_keypoint(xy: Array) -> tuple[Array, Array]:
    """Cells from every cell to the keypoint, along x and along y."""
    at_x, at_y = np.moveaxis((xy / SCALE).astype(np.float32), -1, 0)
    dx = at_x[..., None, None] - np.arange(CELLS[1], dtype=np.float32)
    dy = at_y[..., None, None] - np.arange(CELLS[0], dtype=np.float32)[:, None]
    return np.broadcast_to(dx, (*dx.shape[:2], *CELLS)), np.broadcast_to(dy, (*dy.shape[:2], *CELLS))


def loss_of_offset(output: torch.Tensor, xy: Array, visible: Array, radius: float = 4.0) -> torch.Tensor:
    dx, dy = (part / np.float32(radius) for part in to_keypoint(xy))
    disk = ((dx**2 + dy**2 <= 1) & (visible > 0)[..., None, None]).astype(np.float32)
    heat, inside = torch.from_numpy(disk), torch.from_numpy(disk)
    weight = torch.from_numpy((visible > 0).astype(np.float32))[..., None, None]
    total = 0.5 * ((output[:, 0::3] - heat) * weight).square().mean()
    for part, target in ((output[:, 1::3], dx), (output[:, 2::3], dy)):
        total = total + 0.5 * ((part - torch.from_numpy(target * disk)) * inside).square().mean()
    return total


def decode_votes(output: Array) -> tuple[Array, Array]:
    heat, dx, dy = parts(output)
    sure = 1 / (1 + np.exp(-heat))
    high, wide = CELLS[0] + 3, CELLS[1] + 3
    x = (np.arange(CELLS[1]) + dx).clip(-1, CELLS[1]) + 1
    y = (np.arange(CELLS[0])[:, None] + dy).clip(-1, CELLS[0]) + 1
    left, top = np.floor(x), np.floor(y)
    right, low = x - left, y - top
    first = np.arange(heat.shape[0] * heat.shape[1]).reshape(*heat.shape[:2], 1, 1) * high * wide
    start = (first + top * wide + left).astype(np.int64)
    count = heat.shape[0] * heat.shape[1] * high * wide
    sums = np.zeros(count)
    for step, share in (
        (0, (1 - right) * (1 - low)),
        (1, right * (1 - low)),
        (wide, (1 - right) * low),
        (wide + 1, right * low),
    ):
        sums += np.bincount((start + step).ravel(), (sure * share).ravel(), count)
    votes = sums.reshape(*heat.shape[:2], high, wide)[:, :, 1:-2, 1:-2]
    px, py, score = highest(np.ascontiguousarray(votes))
    return np.stack((px, py), axis=-1) * SCALE, score / (np.pi * REACH**2)


def loss_of_votes(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    dx, dy = to_keypoint(xy)
    counts = (visible > 0)[..., None, None]
    disk = torch.from_numpy(((dx**2 + dy**2 <= REACH**2) & counts).astype(np.float32))
    weight = torch.from_numpy(counts.astype(np.float32))
    logistic = F.binary_cross_entropy_with_logits(output[:, 0::3], disk, reduction="none") * weight
    far = torch.stack((output[:, 1::3] - torch.from_numpy(dx.copy()), output[:, 2::3] - torch.from_numpy(dy.copy())))
    length = ((far * disk).square().sum(dim=0) + 1e-12).sqrt()
    return (4 * logistic + F.huber_loss(length, torch.zeros_like(length), reduction="none")).mean()
