"""The argmax of bicubically resized heatmaps, without computing most of their pixels.

The filter is that of OpenCV and PyTorch: Keys' kernel with a = -0.75 (R. Keys, "Cubic convolution interpolation for digital
image processing", 1981), corners of images aligned, outermost cells repeated beyond the border.

The releases of Mask R-CNN compute every pixel of every keypoint's map, which takes most of their decoding time. But a pixel is
a weighted sum of 4x4 cells whose weights add up to 1. The weights of the 4 cells around it add up to `NEAR` at most, those of
the 4 corners to `CORNERS`, and the other 8 are negative. So a pixel is at most `lowest + NEAR (highest of the 4 - lowest) +
CORNERS (highest - lowest)`. This exact bound excludes most gaps between cells and leaves a few of thousands of pixels. numba
compiles the search when it is first called (see `decoding/kernels.py`).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from poise.machine import by_loops, compiled

A = -0.75
"""Parameter of Keys' kernel."""

NEAR, CORNERS = 1.1875**2, 0.1875**2
"""Largest sum of the weights of the 4 nearest and of the 4 corner cells of 4x4: in the middle between four cells."""

MAX_PIXELS = 2**24
"""Pixels held in memory at a time where all are computed; a map of more is computed alone."""


def bicubic_argmax(
    maps: Float[Tensor, "n k h w"], lengths: Int64[Tensor, "n 2"]
) -> tuple[Int64[Tensor, "n k 2"], Float[Tensor, "n k"]]:
    """The first highest pixel (x, y) of each map after a bicubic resize, and its value.

    On the CPU only pixels that can be the highest are computed, on other devices all of them.

    Args:
        maps: Heatmaps of the keypoints of each box; a map with non-finite values has its highest pixel anywhere.
        lengths: Width and height, pixels, that the maps of each box are resized to.
    """
    if not by_loops(maps.device.type):
        return bicubic_argmax_exhaustive(maps, lengths)
    argmax, values = torch.zeros(*maps.shape[:2], 2, dtype=torch.int64), torch.empty(maps.shape[:2])
    height, width = maps.shape[2:]
    x, y = (_taps(length.numpy(), cells) for length, cells in zip(lengths.unbind(1), (width, height), strict=True))
    memory = torch.empty(3 * (width + 4) + (height + 2) * (width + 1)).numpy()
    shares = np.float32(NEAR), np.float32(CORNERS)
    compiled(_search, contract=True)(maps.contiguous().numpy(), *x, *y, shares, memory, argmax.numpy(), values.numpy())
    return argmax, values


def bicubic_argmax_exhaustive(
    maps: Float[Tensor, "n k h w"], lengths: Int64[Tensor, "n 2"]
) -> tuple[Int64[Tensor, "n k 2"], Float[Tensor, "n k"]]:
    """The first highest pixel (x, y) of each map after a bicubic resize, and its value; every pixel is computed.

    A resize is two matrix products, one for each axis.

    Args:
        maps: Heatmaps of the keypoints of each box.
        lengths: Width and height, pixels, that the maps of each box are resized to.
    """
    count, keypoints, height, width = maps.shape
    argmax = torch.zeros(count * keypoints, 2, dtype=torch.int64, device=maps.device)
    values, flat = maps.new_empty(count * keypoints), maps.flatten(0, 1)
    each = lengths.cpu().repeat_interleave(keypoints, dim=0)
    by_size = each.prod(dim=1).argsort()
    for some in _chunks(by_size, each):
        wide, high = each[some].unbind(1)
        across, down = _matrices(wide, width, maps), _matrices(high, height, maps)
        some = some.to(maps.device)
        pixels = down @ flat[some] @ across.mT
        pixels = pixels.masked_fill((down == 0).all(dim=2)[:, :, None] | (across == 0).all(dim=2)[:, None], -torch.inf)
        values[some], index = pixels.flatten(1).max(dim=1)
        argmax[some] = torch.stack((index % pixels.shape[2], index.div(pixels.shape[2], rounding_mode="floor")), dim=1)
    return argmax.view(count, keypoints, 2), values.view(count, keypoints)


def _chunks(order: Int64[Tensor, " m"], lengths: Int64[Tensor, "m 2"]) -> list[Int64[Tensor, " p"]]:
    # Small maps first, so that maps of similar size are computed together.
    parts, start = [], 0
    sizes = lengths[order].tolist()
    width, height = 0, 0
    for i, (w, h) in enumerate(sizes):
        width, height = max(width, w), max(height, h)
        if i > start and (i + 1 - start) * width * height > MAX_PIXELS:
            parts.append(order[start:i])
            start, width, height = i, w, h
    return [*parts, order[start:]] if len(order) else []


def _matrices(lengths: Int64[Tensor, " m"], cells: int, like: Tensor) -> Float[Tensor, "m p c"]:
    """The resize along one axis as matrices, cells to pixels; rows beyond a map's length are 0."""
    longest = int(lengths.max())
    pixel = torch.arange(longest)
    at = (pixel + 0.5) * cells / lengths[:, None].double() - 0.5
    before = at.floor()
    weights = torch.stack(keys_weights(at - before), dim=-1) * (pixel < lengths[:, None])[..., None]
    index = (before.long()[..., None] + torch.arange(-1, 3)).clamp(0, cells - 1)
    matrices = weights.new_zeros(len(lengths), longest, cells).scatter_add_(2, index, weights)
    return matrices.to(like)


def keys_weights(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the four cells around a pixel, which lies `t` cells after the second of them (Keys' kernel)."""

    def near(d: Tensor) -> Tensor:
        return ((A + 2) * d - (A + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((A * d - 5 * A) * d + 8 * A) * d - 4 * A

    return far(t + 1), near(t), near(1 - t), far(2 - t)


class PixelTaps(NamedTuple):
    """The pixels of all boxes along one axis, one box after another.

    Attributes:
        starts: First pixel of each gap between cells: before cell 0, between 0 and 1, ..., behind the last; then the next box.
        weights: Weights of the four cells around each pixel.
    """

    starts: Int64[np.ndarray, " s"]
    weights: Float32[np.ndarray, "p 4"]


def _taps(lengths: Int64[np.ndarray, " n"], cells: int) -> PixelTaps:
    box = np.repeat(np.arange(len(lengths)), lengths)
    pixel = np.arange(len(box)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = (pixel + 0.5) * cells / lengths[box] - 0.5
    before = np.floor(at)
    many = np.bincount(box * (cells + 1) + before.astype(np.int64) + 1, minlength=len(lengths) * (cells + 1))
    weights = torch.stack(keys_weights(torch.from_numpy(at - before)), dim=1).float().numpy()
    return PixelTaps(np.concatenate(([0], np.cumsum(many))), weights)


def _search(
    maps: Float32[np.ndarray, "n k h w"],
    starts_x: Int64[np.ndarray, " s"],
    weights_x: Float32[np.ndarray, "p 4"],
    starts_y: Int64[np.ndarray, " t"],
    weights_y: Float32[np.ndarray, "q 4"],
    shares: tuple[np.float32, np.float32],
    memory: Float32[np.ndarray, " m"],
    argmax: Int64[np.ndarray, "n k 2"],
    values: Float32[np.ndarray, "n k"],
) -> None:
    # `memory` holds, of four rows, the highest of the middle two, the highest and the lowest, with two cells repeated at each
    # end; then the upper bound of pixels between each two columns of cells, and of each gap between four cells. Its loops are
    # vectorised. The gap of the highest bound is searched first, so that the bounds of few others exceed what is found.
    count, keypoints, height, width = maps.shape
    gaps = width + 1
    side = width + 4
    near, highest, lowest = memory[:side], memory[side : 2 * side], memory[2 * side : 3 * side]
    tops, limit = memory[3 * side : 3 * side + gaps], memory[3 * side + gaps :]
    for box in range(count):
        first_x, first_y = box * gaps, box * (height + 1)
        origin_x, origin_y = starts_x[first_x], starts_y[first_y]
        for keypoint in range(keypoints):
            cells = maps[box, keypoint]
            for x in range(gaps):
                tops[x] = -np.inf
            for gap in range(height + 1):
                row = limit[gap * gaps : (gap + 1) * gaps]
                if starts_y[first_y + gap] == starts_y[first_y + gap + 1]:  # no pixel here, as in boxes smaller than the map
                    for x in range(gaps):
                        row[x] = -np.inf
                    continue
                a, b = cells[max(gap - 2, 0)], cells[min(max(gap - 1, 0), height - 1)]
                c, d = cells[min(gap, height - 1)], cells[min(gap + 1, height - 1)]
                for x in range(width):
                    middle = b[x] if b[x] > c[x] else c[x]
                    ends = a[x] if a[x] > d[x] else d[x]
                    near[x + 2] = middle
                    highest[x + 2] = middle if middle > ends else ends
                    middle = b[x] if b[x] < c[x] else c[x]
                    ends = a[x] if a[x] < d[x] else d[x]
                    lowest[x + 2] = middle if middle < ends else ends
                for line in (near, highest, lowest):
                    line[0] = line[1] = line[2]
                    line[width + 2] = line[width + 3] = line[width + 1]
                for x in range(gaps):
                    middle = highest[x + 1] if highest[x + 1] > highest[x + 2] else highest[x + 2]
                    ends = highest[x] if highest[x] > highest[x + 3] else highest[x + 3]
                    high = middle if middle > ends else ends
                    middle = lowest[x + 1] if lowest[x + 1] < lowest[x + 2] else lowest[x + 2]
                    ends = lowest[x] if lowest[x] < lowest[x + 3] else lowest[x + 3]
                    low = middle if middle < ends else ends
                    close = near[x + 1] if near[x + 1] > near[x + 2] else near[x + 2]
                    row[x] = low + shares[0] * (close - low) + shares[1] * (high - low)
                for x in range(gaps):
                    tops[x] = row[x] if row[x] > tops[x] else tops[x]
            seed_x, seed_y = 0, 0
            for x in range(gaps):
                if starts_x[first_x + x] == starts_x[first_x + x + 1]:
                    tops[x] = -np.inf
                seed_x = x if tops[x] > tops[seed_x] else seed_x
            while seed_y < height and limit[seed_y * gaps + seed_x] < tops[seed_x]:
                seed_y += 1
            best, best_x, best_y = np.float32(-np.inf), 0, 0
            for column in range(-1, gaps):
                gap_x = column if column >= 0 else seed_x
                if tops[gap_x] < best or tops[gap_x] == -np.inf:
                    continue
                for gap_y in range(height + 1) if column >= 0 else range(seed_y, seed_y + 1):
                    if limit[gap_y * gaps + gap_x] < best:
                        continue
                    a, b = cells[max(gap_y - 2, 0)], cells[min(max(gap_y - 1, 0), height - 1)]
                    c, d = cells[min(gap_y, height - 1)], cells[min(gap_y + 1, height - 1)]
                    i, j = max(gap_x - 2, 0), min(max(gap_x - 1, 0), width - 1)
                    k, m = min(gap_x, width - 1), min(gap_x + 1, width - 1)
                    for y in range(starts_y[first_y + gap_y], starts_y[first_y + gap_y + 1]):
                        w0, w1, w2, w3 = weights_y[y, 0], weights_y[y, 1], weights_y[y, 2], weights_y[y, 3]
                        at0 = w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i]
                        at1 = w0 * a[j] + w1 * b[j] + w2 * c[j] + w3 * d[j]
                        at2 = w0 * a[k] + w1 * b[k] + w2 * c[k] + w3 * d[k]
                        at3 = w0 * a[m] + w1 * b[m] + w2 * c[m] + w3 * d[m]
                        for x in range(starts_x[first_x + gap_x], starts_x[first_x + gap_x + 1]):
                            value = (
                                weights_x[x, 0] * at0 + weights_x[x, 1] * at1 + weights_x[x, 2] * at2 + weights_x[x, 3] * at3
                            )
                            earlier = y < best_y or (y == best_y and x < best_x)
                            if value > best or (value == best and earlier):
                                best, best_x, best_y = value, x, y
            argmax[box, keypoint, 0], argmax[box, keypoint, 1] = max(best_x - origin_x, 0), max(best_y - origin_y, 0)
            values[box, keypoint] = best
