"""Decoding, and encoding with the loss, of a batch of 32 views with 17 maps of 64x48 cells.

The readings follow the published formulae array by array in NumPy and OpenCV; only OpenCV's blur, which takes one image at a
time, is called in a loop. Public figures: the official code on one core of a Xeon.
"""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from row import Row

from poise.codecs.dark import Dark
from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import MapCodec
from poise.codecs.udp import UDPGaussian

VIEWS, KEYPOINTS, SIZE, CELLS = 32, 17, (256, 192), (64, 48)
Array = NDArray[Any]
Encoder = Callable[[Array, Array], tuple[Array, Array]]
Decoder = Callable[[Array], tuple[Array, Array]]


def rows() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    xy = (rng.random((VIEWS, KEYPOINTS, 2)) * (SIZE[1], SIZE[0])).astype(np.float32)
    visible = (rng.random((VIEWS, KEYPOINTS)) < 0.8).astype(np.int64)
    codecs = {kind.__name__: kind(SIZE, CELLS, KEYPOINTS) for kind in (Gaussian, Dark, UDPGaussian)}
    noise = 0.02 * rng.standard_normal((VIEWS, KEYPOINTS, *CELLS)).astype(np.float32)
    maps = codecs["UDPGaussian"].encode(torch.from_numpy(xy)).numpy() * 0.9 + noise
    decoders: tuple[tuple[str, Decoder, float, float], ...] = (
        ("Gaussian", decode_gaussian, 4.3, 1.0),
        ("Dark", decode_dark, 35.0, 5.0),
        ("UDPGaussian", decode_udp, 28.0, 5.0),
    )
    for name, decoder, public, wanted in decoders:
        yield decoding(codecs[name], decoder, maps, public, wanted)
    encoders: tuple[tuple[str, Encoder, float, float], ...] = (
        ("Gaussian", encode_gaussian, 0.19, 1.0),
        ("Dark", encode_dark, 0.324, 5.0),
        ("UDPGaussian", encode_udp, 0.238, 5.0),
    )
    for name, encoder, public, wanted in encoders:
        yield training(codecs[name], encoder, maps, (xy, visible), (VIEWS * public + 5.6, wanted))


def decoding(codec: MapCodec, reading: Decoder, maps: Array, public: float, wanted: float) -> Row:
    tensor = torch.from_numpy(maps)
    ours = codec.decode(tensor)
    theirs = torch.from_numpy(reading(maps)[0])
    assert torch.allclose(ours.xy, theirs.float(), atol=0.02), (ours.xy - theirs).abs().max()
    return Row(f"decode {type(codec).__name__}", lambda: codec.decode(tensor), lambda: reading(maps), public, wanted, 35)


def training(codec: MapCodec, encoder: Encoder, maps: Array, labels: tuple[Array, Array], figures: tuple[float, float]) -> Row:
    xy, visible = (torch.from_numpy(part) for part in labels)
    output = torch.from_numpy(maps).requires_grad_()

    def ours() -> torch.Tensor:
        output.grad = None
        loss = codec.loss(output, xy, visible)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def theirs() -> torch.Tensor:
        output.grad = None
        target, weight = (torch.from_numpy(part) for part in encoder(*labels))
        loss = 0.5 * ((output - target) * weight[..., None, None]).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    assert torch.allclose(ours(), theirs(), rtol=1e-4)
    return Row(f"encode + loss {type(codec).__name__}", ours, theirs, figures[0], figures[1], 35)


def highest(maps: Array) -> tuple[Array, Array, Array]:
    flat = maps.reshape(len(maps), maps.shape[1], -1)
    index, score = flat.argmax(axis=2), flat.max(axis=2)
    index[score <= 0] = 0
    return index % maps.shape[3], index // maps.shape[3], score


def at(maps: Array, x: Array, y: Array) -> Array:
    views, joints = np.ogrid[: maps.shape[0], : maps.shape[1]]
    value: Array = maps[views, joints, y, x]
    return value


def decode_gaussian(maps: Array) -> tuple[Array, Array]:
    x, y, score = highest(maps)
    height, width = maps.shape[2:]
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    px, py = np.where(inside, x, 2), np.where(inside, y, 2)
    dx = np.sign(at(maps, px + 1, py) - at(maps, px - 1, py)) * inside
    dy = np.sign(at(maps, px, py + 1) - at(maps, px, py - 1)) * inside
    cells = np.stack((x + 0.25 * dx, y + 0.25 * dy), axis=-1)
    return cells * (SIZE[1] / width, SIZE[0] / height), score


def blurred(maps: Array, kernel: int) -> Array:
    flat = maps.reshape(-1, *maps.shape[2:])
    return np.stack([cv2.GaussianBlur(m, (kernel, kernel), 0) for m in flat]).reshape(maps.shape)


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


def newton(first: tuple[Array, Array], second: tuple[Array, Array, Array]) -> Array:
    (dx, dy), (dxx, dxy, dyy) = first, second
    determinant = dxx * dyy - dxy**2
    step: Array = np.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), axis=-1)
    return step / np.where(determinant == 0, np.inf, determinant)[..., None]


def distances(centre: Array) -> Array:
    """Squared distance of every cell from each centre."""
    x, y = np.arange(CELLS[1], dtype=np.float32), np.arange(CELLS[0], dtype=np.float32)[:, None]
    squared: Array = (x - centre[..., 0, None, None]) ** 2 + (y - centre[..., 1, None, None]) ** 2
    return squared


def reach(centre: Array, visible: Array, radius: float = 6.0) -> Array:
    low, high = np.trunc(centre - radius), np.trunc(centre + radius + 1)
    inside = ((low < CELLS[::-1]) & (high >= 0)).all(axis=-1)
    return (inside & (visible > 0)).astype(np.float32)


def window(nearest: Array, radius: float = 6.0) -> Array:
    x, y = np.arange(CELLS[1]), np.arange(CELLS[0])[:, None]
    inside: Array = np.abs(x - nearest[..., 0, None, None]) <= radius
    return inside & (np.abs(y - nearest[..., 1, None, None]) <= radius)


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
