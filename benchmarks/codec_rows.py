"""What the tables of codecs' speeds share: 32 views with 17 keypoints, rows of decoding and of training, NumPy's ways.

The readings follow the published formulae array by array in NumPy and OpenCV; only OpenCV's blur, which takes one image at a
time, is called in a loop. Public figures: the official code on one core of a Xeon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from row import Row

from poise.codecs.base import InstanceCodec

VIEWS, KEYPOINTS, SIZE, CELLS = 32, 17, (256, 192), (64, 48)
MSE = 5.6
"""Milliseconds of the public loss of 32x17x64x48 and its way back, once labels are made."""

Array = NDArray[Any]
Decoder = Callable[[Array], tuple[Array, Array]]
Loss = Callable[[torch.Tensor, Array, Array], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Problem:
    """Keypoints and whether they are seen, the same for every codec."""

    xy: Array
    visible: Array

    def answer(self, codec: InstanceCodec, noise: float, *, share: float = 0.9) -> Array:
        """A network's answer: not quite the label, and `noise`."""
        clean: Array = codec.encode(torch.from_numpy(self.xy)).numpy()
        noisy: Array = share * clean + noise * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32)
        return noisy


def drawn() -> Problem:
    rng = np.random.default_rng(0)
    xy = (rng.random((VIEWS, KEYPOINTS, 2)) * (SIZE[1] - 1, SIZE[0] - 1)).astype(np.float32)
    return Problem(xy, 2 * (rng.random((VIEWS, KEYPOINTS)) < 0.8).astype(np.int64))


def decoding(
    name: str,
    codec: InstanceCodec,
    reading: Decoder,
    output: Array,
    *,
    public: float | None = None,
    wanted: float = 1.0,
    off: float = 0.02,
    uneven: float = 1e-3,
) -> Row:
    """`off`, `uneven`: what positions and scores may differ; a decision of rounding, one in a hundred, may be another."""
    tensor = torch.from_numpy(output)
    ours, (xy, score) = codec.decode(tensor), reading(output)
    differ = np.abs(ours.xy.numpy() - xy).max(axis=-1)
    assert (differ > off).mean() <= 0.01, np.sort(differ.ravel())[-9:]
    assert np.median(np.abs(ours.score.numpy() - score)) < uneven
    return Row(f"decode {name}", lambda: codec.decode(tensor), lambda: reading(output), public, wanted, 35)


def training(
    name: str,
    codec: InstanceCodec,
    reading: Loss,
    output: Array,
    problem: Problem,
    *,
    public: float | None = None,
    wanted: float = 1.0,
) -> Row:
    xy, visible = torch.from_numpy(problem.xy), torch.from_numpy(problem.visible)
    answer = torch.from_numpy(output).requires_grad_()

    def backward(loss: torch.Tensor) -> torch.Tensor:
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def ours() -> torch.Tensor:
        answer.grad = None
        return backward(codec.loss(answer, xy, visible))

    def theirs() -> torch.Tensor:
        answer.grad = None
        return backward(reading(answer, problem.xy, problem.visible))

    found, one = ours(), answer.grad
    expected, other = theirs(), answer.grad
    assert torch.allclose(found, expected, rtol=1e-3), (found, expected)
    assert one is not None
    assert other is not None
    assert torch.allclose(one, other, rtol=1e-2, atol=1e-3 * other.abs().max().item())
    return Row(f"encode + loss {name}", ours, theirs, public, wanted, 35)


def squared(target: Array, weight: Array, output: torch.Tensor) -> torch.Tensor:
    """Half the mean of squared differences, weighed by keypoint, as the releases of HRNet and its kin take it."""
    difference = (output - torch.from_numpy(target)) * torch.from_numpy(weight)[..., None, None]
    return 0.5 * difference.square().mean()


def highest(maps: Array) -> tuple[Array, Array, Array]:
    flat = maps.reshape(len(maps), maps.shape[1], -1)
    index, score = flat.argmax(axis=2), flat.max(axis=2)
    index[score <= 0] = 0
    return index % maps.shape[3], index // maps.shape[3], score


def at(maps: Array, x: Array, y: Array) -> Array:
    views, joints = np.ogrid[: maps.shape[0], : maps.shape[1]]
    value: Array = maps[views, joints, y, x]
    return value


def blurred(maps: Array, kernel: int) -> Array:
    flat = maps.reshape(-1, *maps.shape[2:])
    return np.stack([cv2.GaussianBlur(m, (kernel, kernel), 0) for m in flat]).reshape(maps.shape)


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
