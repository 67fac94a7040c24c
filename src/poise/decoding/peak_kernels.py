"""Peaks of bicubically upsampled maps, upsampling only where a peak can be; compiled by numba as `kernels.py` is."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from poise.decoding.cubic import NEAR, A
from poise.machine import compiled


def sparse_upsampled_peaks(
    maps: Float32[np.ndarray, "m h w"], top: int, stride: int, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Local maxima (3x3) of upsampled maps: positions (m n 2), scores (m n) and flat pixel indices (m n).

    The highest first; n is the largest number of peaks of any map, `top` at most, and missing ones are 0. A pixel is computed
    if one of the 3x3 cells around it reaches the threshold divided by `NEAR`: elsewhere the threshold cannot be reached, apart
    from what the corner cells of 4x4 add. Pixels that are not computed count as lower.

    Args:
        maps: Heatmaps.
        top: Largest number of peaks of a map.
        stride: Pixels per cell.
        threshold: Lowest score of a peak.
    """
    count, height, width = maps.shape
    xy = np.zeros((count, top, 2), np.float32)
    score = np.zeros((count, top), np.float32)
    index = np.zeros((count, top), np.int64)
    max_found = np.zeros(1, np.int64)
    made = np.zeros((height * stride + 2, width * stride + 2), np.float32)  # a pixel of 0 around, as the release has it
    rows = np.zeros((height, width * stride), np.float32)
    hot = np.zeros((2, height, width), np.bool_)
    given = (stride, np.float32(threshold), np.float32(threshold / NEAR), *_taps(stride))
    compiled(_peaks, contract=True)(maps, *given, made, rows, hot, xy, score, index, max_found)
    n = max(int(max_found[0]), 1)
    return torch.from_numpy(xy[:, :n]), torch.from_numpy(score[:, :n]), torch.from_numpy(index[:, :n])


@cache
def _taps(stride: int) -> tuple[Int64[np.ndarray, " s"], Float32[np.ndarray, "s 4"]]:
    """For each pixel of a cell: index of the first of the four cells it depends on, relative to its own, and their weights."""
    place = (np.arange(stride, dtype=np.float32) + np.float32(0.5)) / np.float32(stride) - np.float32(0.5)
    first = np.floor(place)
    t = (place - first).astype(np.float32)
    a = np.float32(A)
    second, third = (((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t))
    outer, last = (((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (t + 1, 2 - t))
    weights = np.stack((outer, second, third, last), axis=-1)
    return first.astype(np.int64) - 1, weights.astype(np.float32)


def _peaks(
    maps: Float32[np.ndarray, "m h w"],
    stride: int,
    threshold: np.float32,
    low_threshold: np.float32,
    first: Int64[np.ndarray, " s"],
    weights: Float32[np.ndarray, "s 4"],
    made: Float32[np.ndarray, "H W"],
    rows: Float32[np.ndarray, "h w4"],
    hot: Bool[np.ndarray, "2 h w"],
    xy: Float32[np.ndarray, "m n 2"],
    score: Float32[np.ndarray, "m n"],
    index: Int64[np.ndarray, "m n"],
    max_found: Int64[np.ndarray, " 1"],
) -> None:
    # `hot[0]`: cells whose pixels are computed. `hot[1]`: these and cells one or two rows away, upsampled along x into `rows`.
    count, height, width = maps.shape
    top, wide = score.shape[1], width * stride
    for m in range(count):
        small, found = maps[m], 0
        hot[:] = False
        for y in range(height):
            for x in range(width):
                if small[y, x] >= low_threshold:
                    for v in range(max(y - 1, 0), min(y + 2, height)):
                        for u in range(max(x - 1, 0), min(x + 2, width)):
                            hot[0, v, u] = True
                    for v in range(max(y - 3, 0), min(y + 4, height)):
                        for u in range(max(x - 1, 0), min(x + 2, width)):
                            hot[1, v, u] = True
        for y in range(height):
            for x in range(width):
                if hot[1, y, x]:
                    for phase in range(stride):
                        at = x + first[phase]
                        total = small[y, max(at, 0)] * weights[phase, 0]
                        total += small[y, min(max(at + 1, 0), width - 1)] * weights[phase, 1]
                        total += small[y, min(at + 2, width - 1)] * weights[phase, 2]
                        total += small[y, min(at + 3, width - 1)] * weights[phase, 3]
                        rows[y, x * stride + phase] = total
        for y in range(height):
            x = 0
            while x < width:
                if not hot[0, y, x]:
                    x += 1
                    continue
                start = x * stride
                while x < width and hot[0, y, x]:
                    x += 1
                for phase in range(stride):
                    at = y + first[phase]
                    above, upper = rows[max(at, 0)], rows[min(max(at + 1, 0), height - 1)]
                    lower, below = rows[min(at + 2, height - 1)], rows[min(at + 3, height - 1)]
                    line = made[y * stride + phase + 1]
                    for i in range(start, x * stride):
                        total = above[i] * weights[phase, 0] + upper[i] * weights[phase, 1]
                        line[i + 1] = total + lower[i] * weights[phase, 2] + below[i] * weights[phase, 3]
        for y in range(height):
            for x in range(width):
                if not hot[0, y, x]:
                    continue
                for j in range(y * stride + 1, y * stride + stride + 1):
                    for i in range(x * stride + 1, x * stride + stride + 1):
                        value = made[j, i]
                        if not (value >= threshold and value > 0) or value < made[j, i - 1] or value < made[j, i + 1]:
                            continue
                        over = max(made[j - 1, i - 1], made[j - 1, i], made[j - 1, i + 1])
                        if value < over or value < max(made[j + 1, i - 1], made[j + 1, i], made[j + 1, i + 1]):
                            continue
                        if found == top and value <= score[m, top - 1]:
                            continue
                        place = found if found < top else top - 1
                        while place > 0 and score[m, place - 1] < value:
                            score[m, place], index[m, place] = score[m, place - 1], index[m, place - 1]
                            xy[m, place, 0], xy[m, place, 1] = xy[m, place - 1, 0], xy[m, place - 1, 1]
                            place -= 1
                        score[m, place], index[m, place] = value, (j - 1) * wide + i - 1
                        xy[m, place, 0], xy[m, place, 1] = i - 1, j - 1
                        found = min(found + 1, top)
        for y in range(height):
            for x in range(width):
                if hot[0, y, x]:
                    for j in range(y * stride + 1, y * stride + stride + 1):
                        for i in range(x * stride + 1, x * stride + stride + 1):
                            made[j, i] = 0
        max_found[0] = max(max_found[0], found)
