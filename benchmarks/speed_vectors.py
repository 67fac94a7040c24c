"""Decoding, and encoding with the loss, of the codecs of vectors, of coordinates and of probabilities."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from codec_rows import CELLS, KEYPOINTS, SIZE, Array, decoding, drawn, training
from row import Row

from poise.codecs.integral import Integral
from poise.codecs.regression import Regression
from poise.codecs.simcc import SimCC

RATIO, BETA = 2, 10
BINS = (RATIO * SIZE[1], RATIO * SIZE[0])
SIGMAS = tuple(math.sqrt(bins) / 4 for bins in BINS)
WIDTH = np.array(SIZE[::-1], np.float32)
SCALE = ((np.array(SIZE[::-1]) - 1) / (np.array(CELLS[::-1]) - 1)).astype(np.float32)


def rows() -> Iterator[Row]:
    problem = drawn()
    simcc, dark = SimCC(SIZE, CELLS, KEYPOINTS), SimCC(SIZE, CELLS, KEYPOINTS, reading="dark")
    vectors = problem.answer(simcc, 0.02)
    yield decoding("SimCC", simcc, decode_vectors, vectors)
    yield decoding("SimCC, DARK", dark, decode_smoothed, vectors)
    yield training("SimCC", simcc, loss_of_vectors, vectors, problem)
    plain, unsure = Regression(SIZE, CELLS, KEYPOINTS), Regression(SIZE, CELLS, KEYPOINTS, penalty="laplace")
    shares = problem.answer(plain, 0.02)
    logits = problem.answer(unsure, 0.02, share=0.1)
    yield decoding("Regression", plain, view_by_view, shares)
    yield decoding("Regression, Laplace", unsure, view_by_view, logits)
    yield training("Regression", plain, loss_of_shares, shares, problem)
    integral = Integral(SIZE, CELLS, KEYPOINTS)
    maps = problem.answer(integral, 0.1)
    yield decoding("Integral", integral, decode_probabilities, maps)
    yield training("Integral", integral, loss_of_probabilities, maps, problem)


def split(output: Array) -> tuple[Array, Array]:
    return output[..., : BINS[0]], output[..., BINS[0] :]


def highest_bins(output: Array) -> tuple[Array, Array]:
    bins = np.stack([axis.argmax(axis=-1) for axis in split(output)], axis=-1)
    score = np.minimum(*(axis.max(axis=-1) for axis in split(output)))
    bins[score <= 0] = -1
    return bins, score


def decode_vectors(output: Array) -> tuple[Array, Array]:
    bins, score = highest_bins(output)
    return bins / RATIO, score


def decode_smoothed(output: Array) -> tuple[Array, Array]:
    bins, score = highest_bins(output)
    moved = [refined(axis, bins[..., i], SIGMAS[i]) for i, axis in enumerate(split(output))]
    return np.stack(moved, axis=-1) / RATIO, score


def refined(axis: Array, bins: Array, sigma: float) -> Array:
    size = int((20 * sigma - 7) // 3)
    size -= size % 2 == 0
    taps = cv2.getGaussianKernel(size, 0)
    flat = np.ascontiguousarray(axis).reshape(-1, axis.shape[-1])
    smooth = cv2.sepFilter2D(flat, -1, taps, np.ones(1), borderType=cv2.BORDER_CONSTANT)
    smooth *= (flat.max(axis=1) / smooth.max(axis=1))[:, None]
    log = np.pad(np.log(smooth.clip(1e-3, 50)), ((0, 0), (2, 2)), mode="edge").astype(np.float64)
    row, at = np.arange(len(log)), bins.ravel() + 2
    l2, l1, c, r1, r2 = (log[row, at + i] for i in (-2, -1, 0, 1, 2))
    moved: Array = bins - (0.5 * (r1 - l1) / (1e-9 + 0.25 * (r2 - 2 * c + l2))).reshape(bins.shape)
    return moved


def loss_of_vectors(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    counts = torch.from_numpy((visible > 0).astype(np.float32))
    at, total = np.rint(xy * RATIO), torch.zeros(())
    for i, answer in enumerate((output[..., : BINS[0]], output[..., BINS[0] :])):
        distance = np.arange(BINS[i], dtype=np.float32) - at[..., i, None]
        label = torch.from_numpy(np.exp(distance**2 / np.float32(-2 * SIGMAS[i] ** 2)))
        wanted, found = (BETA * label).softmax(dim=-1), (BETA * answer).log_softmax(dim=-1)
        total = total + ((wanted * (wanted.log() - found)).sum(dim=-1) * counts).mean()
    return total


def view_by_view(output: Array) -> tuple[Array, Array]:
    """As published: all views at once are one product, and both sides would be the time of a few calls."""
    xy, score = zip(*(decode_shares(view[None]) for view in output), strict=True)
    return np.concatenate(xy), np.concatenate(score)


def decode_shares(output: Array) -> tuple[Array, Array]:
    score = np.ones(output.shape[:2], np.float32) if output.shape[2] == 2 else (1 - 1 / (1 + np.exp(-output[..., 2:]))).mean(-1)
    finite = np.isfinite(output[..., :2]).all(axis=-1) & np.isfinite(score)
    return np.where(finite[..., None], output[..., :2], 0.5) * WIDTH, np.where(finite, score, 0)


def share_labels(xy: Array, visible: Array) -> tuple[Array, Array]:
    inside = ((xy >= 0) & (xy <= WIDTH - 1)).all(axis=-1) & (visible > 0)
    return inside.astype(np.float32), xy / WIDTH


def loss_of_shares(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    inside, labels = zip(*(share_labels(*view) for view in zip(xy, visible, strict=True)), strict=True)
    counts, label = torch.from_numpy(np.stack(inside))[..., None], torch.from_numpy(np.stack(labels))
    return torch.nn.functional.smooth_l1_loss(output * counts, label * counts)


def decode_probabilities(maps: Array) -> tuple[Array, Array]:
    share = np.exp(maps - maps.max(axis=(2, 3), keepdims=True))
    share /= share.sum(axis=(2, 3), keepdims=True)
    mean = np.stack((share.sum(axis=2) @ np.arange(CELLS[1]), share.sum(axis=3) @ np.arange(CELLS[0])), axis=-1)
    near_x = np.abs(np.arange(CELLS[1]) - mean[..., :1]) <= 6
    near_y = np.abs(np.arange(CELLS[0]) - mean[..., 1:]) <= 6
    return mean * SCALE, np.einsum("bkhw,bkh,bkw->bk", share, near_y, near_x, optimize=True)


def loss_of_probabilities(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    counts = torch.from_numpy((visible > 0).astype(np.float32))[..., None]
    share = output.flatten(2).softmax(dim=-1).view(output.shape)
    x = (share.sum(dim=2) * torch.arange(CELLS[1])).sum(dim=-1)
    y = (share.sum(dim=3) * torch.arange(CELLS[0])).sum(dim=-1)
    off = (torch.stack((x, y), dim=-1) * torch.from_numpy(SCALE) - torch.from_numpy(xy)) / torch.from_numpy(WIDTH)
    return (off.abs() * counts).mean()
