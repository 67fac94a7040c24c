"""Peaks of bicubically enlarged maps, enlarging only what is around the peaks of the small ones; compiled by numba."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from poise.machine import compiled

CUBIC = -0.75
"""The slope of PyTorch's bicubic kernel."""

LEAST = 0.7
"""Half-way between four equal cells a map is enlarged to 1.41 times their height."""


def enlarged_peaks(
    maps: Float32[np.ndarray, "m h w"], top: int, stride: int, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The highest of 3x3 pixels of maps enlarged `stride` times (m n 2), their heights (m n), their pixels counted (m n).

    As many as the map with the most has, `top` at most; the highest first; the rest 0. A peak is looked for within a cell of
    those cells that are not lower than the four beside them and have 0.7 of the threshold or more.
    """
    count = len(maps)
    xy = np.zeros((count, top, 2), np.float32)
    score = np.zeros((count, top), np.float32)
    index = np.zeros((count, top), np.int64)
    most = np.zeros(1, np.int64)
    compiled(_peaks)(maps, stride, np.float32(threshold), *_taps(stride), xy, score, index, most)
    n = max(int(most[0]), 1)
    return torch.from_numpy(xy[:, :n]), torch.from_numpy(score[:, :n]), torch.from_numpy(index[:, :n])


@cache
def _taps(stride: int) -> tuple[Int64[np.ndarray, " s"], Float32[np.ndarray, "s 4"]]:
    """Of the pixels of a cell, of those beside it and of one more each way: which four of nine cells, and what each counts."""
    place = (np.arange(-stride - 1, 2 * stride + 1, dtype=np.float32) + np.float32(0.5)) / np.float32(stride) - np.float32(0.5)
    first = np.floor(place)
    t = (place - first).astype(np.float32)
    a = np.float32(CUBIC)

    beside = (((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t))
    beyond = (((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (t + 1, 2 - t))
    (second, third), (outer, last) = beside, beyond
    weights = np.stack((outer, second, third, last), axis=-1)
    return first.astype(np.int64) + 3, weights.astype(np.float32)


def _peaks(
    maps: Float32[np.ndarray, "m h w"],
    stride: int,
    threshold: np.float32,
    first: Int64[np.ndarray, " s"],
    weights: Float32[np.ndarray, "s 4"],
    xy: Float32[np.ndarray, "m n 2"],
    score: Float32[np.ndarray, "m n"],
    index: Int64[np.ndarray, "m n"],
    most: Int64[np.ndarray, " 1"],
) -> None:
    count, height, width = maps.shape
    top, side = score.shape[1], len(first)
    tall, wide = height * stride, width * stride
    least = LEAST * threshold
    near = np.zeros((9, 9), np.float32)
    rows = np.zeros((9, side), np.float32)
    large = np.zeros((side, side), np.float32)
    for m in range(count):
        small, found = maps[m], 0
        for y in range(height):
            for x in range(width):
                middle = small[y, x]
                if not middle >= least:
                    continue
                beside = max(small[y, max(x - 1, 0)], small[y, min(x + 1, width - 1)])
                if max(beside, small[max(y - 1, 0), x], small[min(y + 1, height - 1), x]) > middle:
                    continue
                for v in range(9):
                    row = min(max(y - 4 + v, 0), height - 1)
                    for u in range(9):
                        near[v, u] = small[row, min(max(x - 4 + u, 0), width - 1)]
                    for i in range(side):
                        at = first[i]
                        total = near[v, at] * weights[i, 0] + near[v, at + 1] * weights[i, 1]
                        rows[v, i] = total + near[v, at + 2] * weights[i, 2] + near[v, at + 3] * weights[i, 3]
                # 0 beyond the border, as the release has it.
                left, above = (x - 1) * stride - 1, (y - 1) * stride - 1
                for j in range(side):
                    at, reached = first[j], 0 <= above + j < tall
                    for i in range(side):
                        total = rows[at, i] * weights[j, 0] + rows[at + 1, i] * weights[j, 1]
                        total = total + rows[at + 2, i] * weights[j, 2] + rows[at + 3, i] * weights[j, 3]
                        large[j, i] = total if reached and 0 <= left + i < wide else 0
                for j in range(1, side - 1):
                    for i in range(1, side - 1):
                        value = large[j, i]
                        if not (value >= threshold and value > 0):
                            continue
                        peak = True
                        for v in range(j - 1, j + 2):
                            for u in range(i - 1, i + 2):
                                peak &= large[v, u] <= value
                        if not peak:
                            continue
                        # Kept in order; another cell's peak may be the same.
                        pixel = (above + j) * wide + left + i
                        known = False
                        for n in range(found):
                            known |= index[m, n] == pixel
                        if known or (found == top and value <= score[m, top - 1]):
                            continue
                        place = found if found < top else top - 1
                        while place > 0 and score[m, place - 1] < value:
                            if place < top:
                                score[m, place], index[m, place] = score[m, place - 1], index[m, place - 1]
                                xy[m, place, 0], xy[m, place, 1] = xy[m, place - 1, 0], xy[m, place - 1, 1]
                            place -= 1
                        score[m, place], index[m, place] = value, pixel
                        xy[m, place, 0], xy[m, place, 1] = left + i, above + j
                        found = min(found + 1, top)
        most[0] = max(most[0], found)
