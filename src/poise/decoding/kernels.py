"""The blur of many maps at once, and their highest cells, as compiled loops that stay in a core's cache.

Neither NumPy, OpenCV nor PyTorch has such ones. numba compiles them when they are first called, about a second for each number
of taps, and keeps the result beside this file or in the user's cache folder (`NUMBA_CACHE_DIR` names another); where no folder
can be written they are compiled in every process. They run in one thread and let other Python threads run.
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
    """Smooth maps that lie side by side, the map as LAST axis, along both axes.

    Twice as fast where all memory starts at a multiple of 64 bytes (PyTorch's does, NumPy's need not) and m is a multiple of
    16: registers then never lie across two lines of the cache. NaNs stay in their map.

    Args:
        source: The maps, in one piece; what is behind them is not looked at.
        shape: Of the maps (h w m).
        taps: Of the blur, the first r + 1 of its 2 r + 1, which are symmetric.
        edges: What is beyond the border along y and along x, r + `margin` cells of it, `beyond`.
        margin: Cells around the maps that are smoothed too.
        index: Cells asked for in each smoothed map, counted row after row.
        memory: `workspace_size` numbers to work in.
        out: Takes the smoothed maps, as `source` holds them; the lowest and the highest value of each, NaNs passed over; and
            the smoothed values of the cells that were asked for.
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
    """The highest cells of smoothed maps, and around them if they have a margin; each is emptied before the next is sought.

    Args:
        smooth: What `blur` gave; overwritten.
        shape: Of the smoothed maps, their margin with them (h w m).
        best: The highest value of each column, what `blur` left at the end of its memory; overwritten.
        tie: Of cells that are lower than the highest by this share or less the first is taken.
        out: Takes the cells (x, y) and their columns' highest values. A map of NaNs gives cell 0 and -inf.
    """
    compiled(_find_top_cells)(smooth, shape, best, tie, *out)


def border_index(length: int, reach: int, *, mirror: bool) -> Int64[np.ndarray, " i"]:
    """Which cell stands at -reach, ..., length + reach - 1: the one mirrored about the outermost cell, or -1 for none."""
    index = np.arange(-reach, length + reach, dtype=np.int64)
    if not mirror:
        return np.where((index >= 0) & (index < length), index, -1)
    period = max(2 * (length - 1), 1)
    index %= period
    return np.where(index < length, index, period - index)


def workspace_size(shape: tuple[int, int, int], reach: int, margin: int) -> int:
    """Numbers that `blur` needs to work in for maps of `shape` (h w m)."""
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
    # One row of all maps at a time: along y into `memory`, which has room for what is beyond the edges; from there along x.
    # Behind it lie the least and the most of each column. Indices are unsigned so that none is looked at for being negative:
    # with that, LLVM makes whole registers of every inner loop.
    height, width, lanes = shape
    reach, pad = len(taps) - 1, len(taps) - 1 + margin
    row, edge, side = np.uintp(width * lanes), np.uintp(pad * lanes), np.uintp(reach * lanes)
    long = np.uintp((width + 2 * margin) * lanes)
    least = row + np.uintp(2) * edge
    most = least + long
    for x in range(least):
        memory[x] = 0
    for x in range(long):
        memory[least + x] = np.inf
        memory[most + x] = -np.inf
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
            memory[least + x] = total if total < memory[least + x] else memory[least + x]
            memory[most + x] = total if total > memory[most + x] else memory[most + x]
    for x in range(lanes):
        low[x], high[x] = memory[least + np.uintp(x)], memory[most + np.uintp(x)]
        for i in range(1, width + 2 * margin):
            low[x] = min(low[x], memory[least + np.uintp(i * lanes + x)])
            high[x] = max(high[x], memory[most + np.uintp(i * lanes + x)])
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
    # The columns' highest values say where to look, so that few cells are looked at.
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
