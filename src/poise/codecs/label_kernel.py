"""Gaussians and offset vectors in the cells around keypoints, as loops over windows that numba compiles.

`label_tensors.py` does the same with tensor operations. On a CPU windows are too small for these to be worth it.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from poise.dims import Size
from poise.machine import compiled

WindowTargets = tuple[Int64[Tensor, "n m c"], Float[Tensor, "n m c 2"], Bool[Tensor, "n m c"]]
"""For n people's m keypoints or limbs: the index of each cell of a window, its vector in pixels, and whether that is valid."""


def draw(
    maps: Float[Tensor, "b q h w"],
    channel: Int64[Tensor, "n k"],
    labelled: Bool[Tensor, "n k"],
    index: Int64[Tensor, "n k d 2"],
    sides: Float[Tensor, "n k d 2"],
    *,
    clip: float,
) -> None:
    """Draw Gaussians, the products of a column and a row, where they are higher than what the maps hold.

    Args:
        maps: Contiguous maps, changed in place.
        channel: Index of the map of each Gaussian, counted through all views.
        labelled: True for the Gaussians to draw.
        index: Columns and rows (x, y) of the windows.
        sides: Heights of the Gaussian along them; 0 outside the view.
        clip: Height below which nothing is drawn.
    """
    parts = (part.numpy() for part in (maps.detach().flatten(0, 1), channel, labelled, index, sides))
    compiled(_draw)(*parts, np.float32(clip))


def shortest(
    maps: Int64[Tensor, "n m"],
    index: Int64[Tensor, "n m d 2"],
    inside: Bool[Tensor, "n m d 2"],
    offset: Float[Tensor, "n m d 2"],
    *,
    count: int,
    cells: Size,
) -> WindowTargets:
    """The vectors of windows. In each cell of a map the shortest one is valid, among equal ones that of the first window.

    Args:
        maps: Index of the map of each window, counted through all views.
        index: Columns and rows (x, y) of the windows.
        inside: True for columns and rows that are in the window and in the view.
        offset: Components (x, y) of the vectors from them, pixels.
        count: Number of maps.
        cells: Cells of a map (h, w).
    """
    people, targets, side, _ = index.shape
    cell = torch.empty(people, targets, side * side, dtype=torch.int64)
    vector = torch.empty(people, targets, side * side, 2)
    valid = torch.empty(people, targets, side * side, dtype=torch.bool)
    area = cells[0] * cells[1]
    best, first = (
        np.empty(count * area, np.float32),
        np.empty(count * area, np.int64),
    )  # only written entries are read
    parts = (part.numpy() for part in (maps, index, inside, offset, cell, vector, valid))
    compiled(_shortest)(*parts, cells[1], area, best, first)
    return cell, vector, valid


def put(
    maps: Float[Tensor, "b q h w"],
    flat_index: Int64[Tensor, "n m c"],
    values: Float[Tensor, "n m c v"],
    where: Bool[Tensor, "n m c"],
) -> None:
    """Write v values for each cell of a window into v consecutive maps.

    Args:
        maps: Contiguous maps, changed in place.
        flat_index: Index of the first value of each cell in the flattened maps.
        values: The values.
        where: True for the cells to write.
    """
    parts = (part.numpy() for part in (maps.detach().view(-1), flat_index, values, where))
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
            target = maps[channel[n, k]]
            for v in range(side):
                if sides[n, k, v, 1] < clip:
                    continue  # no side is above 1
                for u in range(side):
                    value = sides[n, k, v, 1] * sides[n, k, u, 0]
                    y, x = index[n, k, v, 1], index[n, k, u, 0]
                    if value >= clip and value > target[y, x]:
                        target[y, x] = value


def _shortest(
    maps: Int64[np.ndarray, "n m"],
    index: Int64[np.ndarray, "n m d 2"],
    inside: Bool[np.ndarray, "n m d 2"],
    offset: Float32[np.ndarray, "n m d 2"],
    cell: Int64[np.ndarray, "n m c"],
    vector: Float32[np.ndarray, "n m c 2"],
    valid: Bool[np.ndarray, "n m c"],
    width: int,
    area: int,
    best: Float32[np.ndarray, " p"],
    first: Int64[np.ndarray, " p"],
) -> None:
    people, targets, side, _ = index.shape
    for n in range(people):
        for m in range(targets):
            for v in range(side):
                for u in range(side):
                    c = v * side + u
                    cell[n, m, c] = index[n, m, v, 1] * width + index[n, m, u, 0]
                    vector[n, m, c, 0], vector[n, m, c, 1] = offset[n, m, u, 0], offset[n, m, v, 1]
                    valid[n, m, c] = inside[n, m, v, 1] and inside[n, m, u, 0]
                    if valid[n, m, c]:
                        best[maps[n, m] * area + cell[n, m, c]] = np.inf
    for n in range(people):
        for m in range(targets):
            for c in range(side * side):
                if valid[n, m, c]:
                    slot = maps[n, m] * area + cell[n, m, c]
                    squared = vector[n, m, c, 0] * vector[n, m, c, 0] + vector[n, m, c, 1] * vector[n, m, c, 1]
                    if squared < best[slot]:
                        best[slot], first[slot] = squared, n * targets + m
    for n in range(people):
        for m in range(targets):
            for c in range(side * side):
                valid[n, m, c] = valid[n, m, c] and first[maps[n, m] * area + cell[n, m, c]] == n * targets + m


def _put(
    maps: Float32[np.ndarray, " p"],
    flat_index: Int64[np.ndarray, "n m c"],
    values: Float32[np.ndarray, "n m c v"],
    where: Bool[np.ndarray, "n m c"],
    area: int,
) -> None:
    people, targets, cells, numbers = values.shape
    for n in range(people):
        for m in range(targets):
            for c in range(cells):
                if where[n, m, c]:
                    for v in range(numbers):
                        maps[flat_index[n, m, c] + v * area] = values[n, m, c, v]
