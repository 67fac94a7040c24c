"""Decoding, and encoding with the loss, of codecs with one map per keypoint: HRNet's, DARK's, UDP's, LPN's, the hourglass's."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from codec_rows import (
    CELLS,
    KEYPOINTS,
    MSE,
    SIZE,
    VIEWS,
    Array,
    Decoder,
    at,
    blurred,
    decoding,
    distances,
    drawn,
    highest,
    newton,
    reach,
    squared,
    training,
    window,
)
from row import Row

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.hourglass import Hourglass
from poise.codecs.maps import MapCodec
from poise.codecs.soft_argmax import SoftArgmax
from poise.codecs.udp import UDPGaussian

Encoder = Callable[[Array, Array], tuple[Array, Array]]


def rows() -> Iterator[Row]:
    problem = drawn()
    kinds: tuple[type[MapCodec], ...] = (Gaussian, Dark, UDPGaussian, SoftArgmax, Hourglass)
    codecs = {kind.__name__: kind(SIZE, CELLS, KEYPOINTS) for kind in kinds}
    maps = problem.answer(codecs["UDPGaussian"], 0.02)
    decoders: tuple[tuple[str, Decoder, float | None, float], ...] = (
        ("Gaussian", decode_gaussian, 4.3, 1.0),
        ("Dark", decode_dark, 35.0, 5.0),
        ("UDPGaussian", decode_udp, 28.0, 5.0),
        ("SoftArgmax", decode_soft, 16.5, 5.0),
        ("Hourglass", decode_hourglass, None, 1.0),
    )
    for name, decoder, public, wanted in decoders:
        yield decoding(name, codecs[name], decoder, maps, public=public, wanted=wanted)
    encoders: tuple[tuple[str, Encoder, float | None, float], ...] = (
        ("Gaussian", encode_gaussian, 0.19, 1.0),
        ("Dark", encode_dark, 0.324, 5.0),
        ("UDPGaussian", encode_udp, 0.238, 5.0),
        ("SoftArgmax", encode_gaussian, 0.19, 1.0),
        ("Hourglass", encode_hourglass, None, 1.0),
    )
    for name, encoder, each, wanted in encoders:
        public = None if each is None else VIEWS * each + MSE
        yield training(name, codecs[name], loss_with(encoder), maps, problem, public=public, wanted=wanted)


def loss_with(encoder: Encoder) -> Callable[[torch.Tensor, Array, Array], torch.Tensor]:
    def loss(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
        return squared(*encoder(xy, visible), output)

    return loss


def shifted(maps: Array, x: Array, y: Array, *, least: int) -> tuple[Array, Array]:
    """A quarter of a cell towards the higher neighbour, for cells from `least` to the last but one on both axes."""
    height, width = maps.shape[2:]
    inside = (x >= least) & (x < width - 1) & (y >= least) & (y < height - 1)
    px, py = np.where(inside, x, 2), np.where(inside, y, 2)
    dx = np.sign(at(maps, px + 1, py) - at(maps, px - 1, py)) * inside
    dy = np.sign(at(maps, px, py + 1) - at(maps, px, py - 1)) * inside
    return 0.25 * dx, 0.25 * dy


def decode_gaussian(maps: Array) -> tuple[Array, Array]:
    x, y, score = highest(maps)
    dx, dy = shifted(maps, x, y, least=2)
    return np.stack((x + dx, y + dy), axis=-1) * (SIZE[1] / CELLS[1], SIZE[0] / CELLS[0]), score


def decode_hourglass(maps: Array) -> tuple[Array, Array]:
    x, y, score = highest(maps)
    dx, dy = shifted(maps, x, y, least=1)
    return (np.stack((x + dx, y + dy), axis=-1) + 0.5) * (SIZE[1] / CELLS[1], SIZE[0] / CELLS[0]), score


def decode_soft(maps: Array, beta: float = 160.0) -> tuple[Array, Array]:
    height, width = maps.shape[2:]
    share = np.exp(np.float32(beta) * (maps - maps.max(axis=(2, 3), keepdims=True)))
    share /= share.sum(axis=(2, 3), keepdims=True)
    mean = np.stack((share.sum(axis=2) @ np.arange(width), share.sum(axis=3) @ np.arange(height)), axis=-1)
    x, y = np.moveaxis(np.rint(mean).astype(int), -1, 0)
    px, py = np.moveaxis(np.floor(mean + 0.5).astype(int), -1, 0)
    step = np.stack(shifted(maps, px, py, least=2), axis=-1)
    return (mean + step) * (SIZE[1] / width, SIZE[0] / height), at(maps, x, y)


def decode_dark(maps: Array, kernel: int = 11) -> tuple[Array, Array]:
    x, y, score = highest(maps)
    height, width = maps.shape[2:]
    edge = (kernel - 1) // 2
    smooth = blurred(np.pad(maps, ((0, 0), (0, 0), (edge, edge), (edge, edge))), kernel)[:, :, edge:-edge, edge:-edge]
    smooth *= (score / smooth.max(axis=(2, 3)))[..., None, None]
    log = np.log(np.maximum(smooth, 1e-10))
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    px, py = np.where(inside, x, 2), np.where(inside, y, 2)
    dx, dy = (at(log, px + 1, py) - at(log, px - 1, py)) / 2, (at(log, px, py + 1) - at(log, px, py - 1)) / 2
    dxx = (at(log, px + 2, py) - 2 * at(log, px, py) + at(log, px - 2, py)) / 4
    dyy = (at(log, px, py + 2) - 2 * at(log, px, py) + at(log, px, py - 2)) / 4
    dxy = (at(log, px + 1, py + 1) - at(log, px - 1, py + 1) - at(log, px + 1, py - 1) + at(log, px - 1, py - 1)) / 4
    step = newton((dx, dy), (dxx, dxy, dyy)) * inside[..., None]
    factor = (SIZE[1] - 1) / (width - 1)
    middle = (np.array(SIZE[::-1]) - 1) / 2 - factor * (np.array((width, height)) - 1) / 2
    return (np.stack((x, y), axis=-1) + step) * factor + middle, score


def decode_udp(maps: Array) -> tuple[Array, Array]:
    x, y, score = highest(maps)
    height, width = maps.shape[2:]
    smooth = blurred(maps, 7)
    low, high = smooth.min(axis=(2, 3), keepdims=True), smooth.max(axis=(2, 3), keepdims=True)
    smooth = (smooth - low) / (high - low) * score[..., None, None]
    log = np.pad(np.log(np.clip(smooth, 0.001, 50)), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    px, py = x + 1, y + 1
    middle = at(log, px, py)
    left, right, up, down = at(log, px - 1, py), at(log, px + 1, py), at(log, px, py - 1), at(log, px, py + 1)
    mixed = at(log, px + 1, py + 1) - right - down + 2 * middle - left - up + at(log, px - 1, py - 1)
    second = (right - 2 * middle + left, mixed / 2, down - 2 * middle + up)
    step = newton(((right - left) / 2, (down - up) / 2), second)
    scale = (np.array(SIZE[::-1]) - 1) / (np.array((width, height)) - 1)
    return (np.stack((x, y), axis=-1) + step) * scale, score


def encode_gaussian(xy: Array, visible: Array) -> tuple[Array, Array]:
    nearest = np.trunc(xy / np.float32(SIZE[1] / CELLS[1]) + np.float32(0.5))
    weight = reach(nearest, visible)
    return np.exp(distances(nearest) / np.float32(-8.0)) * window(nearest), weight


def encode_dark(xy: Array, visible: Array) -> tuple[Array, Array]:
    factor = (SIZE[1] - 1) / (CELLS[1] - 1)
    middle = (np.array(SIZE[::-1]) - 1) / 2 - factor * (np.array(CELLS[::-1]) - 1) / 2
    centre = ((xy - middle) / factor).astype(np.float32)
    return np.exp(distances(centre) / np.float32(-8.0)), reach(centre, visible)


def encode_udp(xy: Array, visible: Array) -> tuple[Array, Array]:
    scale = (np.array(SIZE[::-1]) - 1) / (np.array(CELLS[::-1]) - 1)
    centre = (xy / scale).astype(np.float32)
    nearest = np.trunc(centre + np.float32(0.5))
    return np.exp(distances(centre) / np.float32(-8.0)) * window(nearest), reach(nearest, visible)


def encode_hourglass(xy: Array, visible: Array) -> tuple[Array, Array]:
    cell = np.trunc(xy / np.float32(SIZE[1] / CELLS[1]))
    return np.exp(distances(cell) / np.float32(-2.0)) * window(cell, 3.0), reach(cell, visible, 3.0)
