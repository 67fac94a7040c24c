"""Gaussians and vectors in the cells around keypoints, as loops over windows; compiled by numba as `kernels.py` is.

What `guides.py` says with tensors, for labels on a processor: windows are too small there for tensors to be worth it.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from poise.dims import Size
from poise.machine import compiled

Placed = tuple[Int64[Tensor, "n m c"], Float[Tensor, "n m c 2"], Bool[Tensor, "n m c"]]
"""Of the windows of n people's m keypoints or limbs: the cells, their vectors, and which of these count."""


def draw(
    maps: Float[Tensor, "b q h w"],
    channel: Int64[Tensor, "n k"],
    labelled: Bool[Tensor, "n k"],
    index: Int64[Tensor, "n k d 2"],
    sides: Float[Tensor, "n k d 2"],
    *,
    clip: float,
) -> None:
    """Put Gaussians, the products of two sides of their windows, where they are more than what contiguous maps hold.

    Args:
        maps: Changed in place.
        channel: The map of each Gaussian, counted through all views.
        labelled: Which Gaussians there are.
        index: Cells of the windows, x and y.
        sides: Heights along them; 0 outside the view.
        clip: What is lower is left out.
    """
    parts = (part.numpy() for part in (maps.detach().flatten(0, 1), channel, labelled, index, sides))
    compiled(_draw)(*parts, np.float32(clip))


def shortest(
    maps: Int64[Tensor, "n m"],
    index: Int64[Tensor, "n m d 2"],
    inside: Bool[Tensor, "n m d 2"],
    ahead: Float[Tensor, "n m d 2"],
    *,
    count: int,
    cells: Size,
) -> Placed:
    """The vectors of windows; in each cell of a map the shortest counts, of several the first window's.

    Args:
        maps: The map of each window, counted through all views.
        index: Cells of the windows, x and y.
        inside: Which of them there are.
        ahead: Both coordinates of the vectors from there, pixels.
        count: Of maps.
        cells: Of a map (h, w).
    """
    people, kinds, side, _ = index.shape
    cell = torch.empty(people, kinds, side * side, dtype=torch.int64)
    vector = torch.empty(people, kinds, side * side, 2)
    counts = torch.empty(people, kinds, side * side, dtype=torch.bool)
    area = cells[0] * cells[1]
    best, first = np.empty(count * area, np.float32), np.empty(count * area, np.int64)  # only what is asked for is looked at
    parts = (part.numpy() for part in (maps, index, inside, ahead, cell, vector, counts))
    compiled(_shortest)(*parts, cells[1], area, best, first)
    return cell, vector, counts


def put(
    maps: Float[Tensor, "b q h w"],
    place: Int64[Tensor, "n m c"],
    values: Float[Tensor, "n m c v"],
    where: Bool[Tensor, "n m c"],
) -> None:
    """Fill contiguous maps with what stands in some cells of windows, each number in the map after the one before.

    Args:
        maps: Changed in place.
        place: Where the first numbers go, counted through all maps.
        values: What is to stand there.
        where: In which cells.
    """
    parts = (part.numpy() for part in (maps.detach().view(-1), place, values, where))
    compiled(_put)(*parts, maps.shape[2] * maps.shape[3])


def _draw(
    maps: Float32[np.ndarray, "m h w"],
    channel: Int64[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
    index: Int64[np.ndarray, "n k d 2"],
    sides: Float32[np.ndarray, "n k d 2"],
    clip: np.float32,
) -> None:
    people, keypoints, side, _ = index.shape
    for n in range(people):
        for k in range(keypoints):
            if not labelled[n, k]:
                continue
            place = maps[channel[n, k]]
            for v in range(side):
                if sides[n, k, v, 1] < clip:
                    continue  # no side is above 1
                for u in range(side):
                    value = sides[n, k, v, 1] * sides[n, k, u, 0]
                    y, x = index[n, k, v, 1], index[n, k, u, 0]
                    if value >= clip and value > place[y, x]:
                        place[y, x] = value


def _shortest(
    maps: Int64[np.ndarray, "n m"],
    index: Int64[np.ndarray, "n m d 2"],
    inside: Bool[np.ndarray, "n m d 2"],
    ahead: Float32[np.ndarray, "n m d 2"],
    cell: Int64[np.ndarray, "n m c"],
    vector: Float32[np.ndarray, "n m c 2"],
    counts: Bool[np.ndarray, "n m c"],
    width: int,
    area: int,
    best: Float32[np.ndarray, " p"],
    first: Int64[np.ndarray, " p"],
) -> None:
    people, kinds, side, _ = index.shape
    for n in range(people):
        for m in range(kinds):
            for v in range(side):
                for u in range(side):
                    c = v * side + u
                    cell[n, m, c] = index[n, m, v, 1] * width + index[n, m, u, 0]
                    vector[n, m, c, 0], vector[n, m, c, 1] = ahead[n, m, u, 0], ahead[n, m, v, 1]
                    counts[n, m, c] = inside[n, m, v, 1] and inside[n, m, u, 0]
                    if counts[n, m, c]:
                        best[maps[n, m] * area + cell[n, m, c]] = np.inf
    for n in range(people):
        for m in range(kinds):
            for c in range(side * side):
                if counts[n, m, c]:
                    place = maps[n, m] * area + cell[n, m, c]
                    squared = vector[n, m, c, 0] * vector[n, m, c, 0] + vector[n, m, c, 1] * vector[n, m, c, 1]
                    if squared < best[place]:
                        best[place], first[place] = squared, n * kinds + m
    for n in range(people):
        for m in range(kinds):
            for c in range(side * side):
                counts[n, m, c] = counts[n, m, c] and first[maps[n, m] * area + cell[n, m, c]] == n * kinds + m


def _put(
    maps: Float32[np.ndarray, " p"],
    place: Int64[np.ndarray, "n m c"],
    values: Float32[np.ndarray, "n m c v"],
    where: Bool[np.ndarray, "n m c"],
    area: int,
) -> None:
    people, kinds, cells, numbers = values.shape
    for n in range(people):
        for m in range(kinds):
            for c in range(cells):
                if where[n, m, c]:
                    for v in range(numbers):
                        maps[place[n, m, c] + v * area] = values[n, m, c, v]
