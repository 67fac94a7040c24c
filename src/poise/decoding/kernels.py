"""Compiled loops for many maps at once: a separable blur, and the highest cells; they stay in a core's cache.

NumPy, OpenCV and PyTorch have none of this kind. numba compiles them when they are first called, about a second for each number
of taps, and caches the result beside this file or in the user's cache folder (`NUMBA_CACHE_DIR` names another); without a
writable folder they are compiled in every process. They run in one thread and release the GIL.
"""

import numpy as np
from jaxtyping import Float32, Int64

from poise.machine import compiled

BorderIndices = tuple[Int64[np.ndarray, " i"], Int64[np.ndarray, " j"]]
BlurOutputs = tuple[Float32[np.ndarray, " t"], Float32[np.ndarray, " m"], Float32[np.ndarray, " m"], Float32[np.ndarray, "m q"]]


def blur(
    source: Float32[np.ndarray, " s"],
    shape: tuple[int, int, int],
    taps: tuple[np.float32, ...],
    edges: BorderIndices,
    *,
    margin: int,
    index: Int64[np.ndarray, "m q"],
    memory: Float32[np.ndarray, " n"],
    out: BlurOutputs,
) -> None:
    """Blur interleaved maps (the map as LAST axis) along both axes.

    Twice as fast if all memory starts at a multiple of 64 bytes (PyTorch's does, NumPy's may not) and m is a multiple of 16:
    vector registers then never cross a cache line. NaNs stay within their map.

    Args:
        source: The maps, contiguous; what follows them is not read.
        shape: Height, width and number of the maps (h w m).
        taps: First r + 1 of the 2 r + 1 symmetric taps.
        edges: Source indices beyond the border along y and along x, r + `margin` cells of it (`border_index`).
        margin: Width of the margin around the maps that is blurred too, cells.
        index: Flat indices of the cells wanted of each blurred map.
        memory: Workspace of `workspace_size` numbers.
        out: Outputs: the blurred maps, interleaved as `source`; the lowest and the highest value of each, NaNs skipped; the
            blurred values of the cells of `index`.
    """
    compiled(_blur, contract=True)(source, shape, taps, *edges, margin, index, memory, *out)


def find_top_cells(
    smooth: Float32[np.ndarray, " t"],
    shape: tuple[int, int, int],
    best: Float32[np.ndarray, " c"],
    *,
    tie: float,
    out: tuple[Int64[np.ndarray, "m p 2"], Float32[np.ndarray, "m p"]],
) -> None:
    """The highest cells of blurred maps, margin included; each is set to 0 before the next is searched.

    Args:
        smooth: The maps that `blur` wrote; overwritten.
        shape: Height, width and number of the maps with their margin (h w m).
        best: Highest value of each column, which `blur` left at the end of its workspace; overwritten.
        tie: Cells lower than the highest by at most this share count as equally high; the first is taken.
        out: Outputs: the cells (x, y), and their values. A map of NaNs gives cell 0 and -inf.
    """
    compiled(_find_top_cells)(smooth, shape, best, tie, *out)


def border_index(length: int, reach: int, *, mirror: bool) -> Int64[np.ndarray, " i"]:
    """Index of the cell that stands at -reach, ..., length + reach - 1: mirrored about the outermost cells, or -1 for none.

    Args:
        length: Cells along the axis.
        reach: Cells beyond each end.
        mirror: Whether the map is mirrored; else there is nothing beyond its ends.
    """
    index = np.arange(-reach, length + reach, dtype=np.int64)
    if not mirror:
        return np.where((index >= 0) & (index < length), index, -1)
    period = max(2 * (length - 1), 1)
    index %= period
    return np.where(index < length, index, period - index)


def workspace_size(shape: tuple[int, int, int], reach: int, margin: int) -> int:
    """Numbers that `blur` needs as workspace for maps of `shape` (h w m)."""
    _, width, lanes = shape
    return (3 * width + 2 * reach + 6 * margin) * lanes


def _blur(
    source: Float32[np.ndarray, " s"],
    shape: tuple[int, int, int],
    taps: tuple[np.float32, ...],
    rows: Int64[np.ndarray, " i"],
    columns: Int64[np.ndarray, " j"],
    margin: int,
    index: Int64[np.ndarray, "m q"],
    memory: Float32[np.ndarray, " n"],
    target: Float32[np.ndarray, " t"],
    low: Float32[np.ndarray, " m"],
    high: Float32[np.ndarray, " m"],
    values: Float32[np.ndarray, "m q"],
) -> None:
    # One row of all maps at a time: along y into `memory`, which has room for the cells beyond the edges; from there along x.
    # After it come the lowest and highest value of each column. Indices are unsigned, so none is tested for being negative:
    # only then does LLVM vectorise every inner loop.
    height, width, lanes = shape
    reach, pad = len(taps) - 1, len(taps) - 1 + margin
    row, edge, side = np.uintp(width * lanes), np.uintp(pad * lanes), np.uintp(reach * lanes)
    long = np.uintp((width + 2 * margin) * lanes)
    col_min = row + np.uintp(2) * edge
    col_max = col_min + long
    for x in range(col_min):
        memory[x] = 0
    for x in range(long):
        memory[col_min + x] = np.inf
        memory[col_max + x] = -np.inf
    for y in range(height + 2 * margin):
        if reach <= y - margin < height - reach:
            top = np.uintp(y - margin - reach) * row
            for x in range(row):
                total = taps[reach] * source[top + np.uintp(reach) * row + x]
                for i in range(reach):
                    pair = source[top + np.uintp(i) * row + x] + source[top + np.uintp(2 * reach - i) * row + x]
                    total += taps[i] * pair
                memory[edge + x] = total
        else:
            for x in range(row):
                memory[edge + x] = 0
            for i in range(2 * reach + 1):
                if rows[y + i] >= 0:
                    tap, top = taps[min(i, 2 * reach - i)], np.uintp(rows[y + i]) * row
                    for x in range(row):
                        memory[edge + x] += tap * source[top + x]
        for i in range(2 * pad):
            j = i if i < pad else i + width
            if columns[j] >= 0:
                to, at = np.uintp(j * lanes), np.uintp((columns[j] + pad) * lanes)
                for x in range(np.uintp(lanes)):
                    memory[to + x] = memory[at + x]
        to = np.uintp(y) * long
        for x in range(long):
            total = taps[reach] * memory[side + x]
            for i in range(reach):
                total += taps[i] * (memory[np.uintp(i * lanes) + x] + memory[np.uintp((2 * reach - i) * lanes) + x])
            target[to + x] = total
            memory[col_min + x] = total if total < memory[col_min + x] else memory[col_min + x]
            memory[col_max + x] = total if total > memory[col_max + x] else memory[col_max + x]
    for x in range(lanes):
        low[x], high[x] = memory[col_min + np.uintp(x)], memory[col_max + np.uintp(x)]
        for i in range(1, width + 2 * margin):
            low[x] = min(low[x], memory[col_min + np.uintp(i * lanes + x)])
            high[x] = max(high[x], memory[col_max + np.uintp(i * lanes + x)])
        for i in range(index.shape[1]):
            values[x, i] = target[index[x, i] * lanes + x]


def _find_top_cells(
    smooth: Float32[np.ndarray, " t"],
    shape: tuple[int, int, int],
    best: Float32[np.ndarray, " c"],
    tie: float,
    spots: Int64[np.ndarray, "m p 2"],
    values: Float32[np.ndarray, "m p"],
) -> None:
    # The highest values of the columns say where to search, so that few cells are read.
    height, width, lanes = shape
    for lane in range(lanes):
        for peak in range(spots.shape[1]):
            top = best[lane]
            for x in range(1, width):
                top = max(top, best[x * lanes + lane])
            enough = top - tie * abs(top) if abs(top) < np.inf else top
            column, first = 0, height
            for x in range(width):
                if best[x * lanes + lane] >= enough:
                    for y in range(first):  # an earlier row, or the same in an earlier column
                        if smooth[(y * width + x) * lanes + lane] >= enough:
                            column, first = x, y
                            break
            first %= height
            spots[lane, peak, 0], spots[lane, peak, 1], values[lane, peak] = column, first, top
            if peak + 1 < spots.shape[1]:
                smooth[(first * width + column) * lanes + lane] = 0
                top = -np.inf
                for y in range(height):
                    value = smooth[(y * width + column) * lanes + lane]
                    top = value if value > top else top
                best[column * lanes + lane] = top
