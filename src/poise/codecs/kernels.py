"""The blur of many maps at once as one compiled loop: neither NumPy, OpenCV nor PyTorch has one that stays in a core's cache.

numba compiles it when it is first called, about a second for each number of taps, and keeps the result beside this file or in
the user's cache folder (`NUMBA_CACHE_DIR` names another); where no folder can be written it is compiled in every process. It
runs in one thread and lets other Python threads run.
"""

import numpy as np
from jaxtyping import Float32, Int64

from poise.machine import compiled

Edges = tuple[Int64[np.ndarray, " i"], Int64[np.ndarray, " j"]]
Found = tuple[Float32[np.ndarray, " t"], Float32[np.ndarray, " m"], Float32[np.ndarray, " m"], Float32[np.ndarray, "m q"]]


def blur(
    source: Float32[np.ndarray, " s"],
    shape: tuple[int, int, int],
    taps: tuple[np.float32, ...],
    edges: Edges,
    *,
    index: Int64[np.ndarray, "m q"],
    memory: Float32[np.ndarray, " n"],
    out: Found,
) -> None:
    """Smooth maps that lie side by side, the map as LAST axis, along both axes.

    Twice as fast where all memory starts at a multiple of 64 bytes (PyTorch's does, NumPy's need not) and m is a multiple of
    16: registers then never lie across two lines of the cache. NaNs stay in their map.

    Args:
        source: The maps, in one piece; what is behind them is not looked at.
        shape: Of the maps (h w m).
        taps: Of the blur, the first r + 1 of its 2 r + 1, which are symmetric.
        edges: What is beyond the border along y and along x, `beyond`.
        index: Cells asked for in each map, counted row after row.
        memory: `memory_needed` numbers to work in.
        out: Takes the smoothed maps, as `source` holds them; the lowest and the highest value of each, NaNs passed over; and
            the smoothed values of the cells that were asked for.
    """
    compiled(_blur, contract=True)(source, shape, taps, *edges, index, memory, *out)


def beyond(length: int, reach: int, *, mirror: bool) -> Int64[np.ndarray, " i"]:
    """Which cell stands at -reach, ..., length + reach - 1: the one mirrored about the outermost cell, or -1 for none."""
    index = np.arange(-reach, length + reach, dtype=np.int64)
    if not mirror:
        return np.where((index >= 0) & (index < length), index, -1)
    period = max(2 * (length - 1), 1)
    index %= period
    return np.where(index < length, index, period - index)


def memory_needed(shape: tuple[int, int, int], reach: int) -> int:
    """Numbers that `blur` needs to work in for maps of `shape` (h w m)."""
    _, width, lanes = shape
    return (3 * width + 2 * reach) * lanes


def _blur(
    source: Float32[np.ndarray, " s"],
    shape: tuple[int, int, int],
    taps: tuple[np.float32, ...],
    rows: Int64[np.ndarray, " i"],
    columns: Int64[np.ndarray, " j"],
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
    reach, row, edge = len(taps) - 1, np.uintp(width * lanes), np.uintp((len(taps) - 1) * lanes)
    least, most = row + np.uintp(2) * edge, np.uintp(2) * row + np.uintp(2) * edge
    for x in range(least):
        memory[x] = 0
    for x in range(row):
        memory[least + x] = np.inf
        memory[most + x] = -np.inf
    for y in range(height):
        if reach <= y < height - reach:
            top = np.uintp(y - reach) * row
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
        for i in range(2 * reach):
            j = i if i < reach else i + width
            if columns[j] >= 0:
                to, at = np.uintp(j * lanes), np.uintp((columns[j] + reach) * lanes)
                for x in range(np.uintp(lanes)):
                    memory[to + x] = memory[at + x]
        to = np.uintp(y) * row
        for x in range(row):
            total = taps[reach] * memory[edge + x]
            for i in range(reach):
                total += taps[i] * (memory[np.uintp(i * lanes) + x] + memory[np.uintp((2 * reach - i) * lanes) + x])
            target[to + x] = total
            memory[least + x] = total if total < memory[least + x] else memory[least + x]
            memory[most + x] = total if total > memory[most + x] else memory[most + x]
    for x in range(lanes):
        low[x], high[x] = memory[least + np.uintp(x)], memory[most + np.uintp(x)]
        for i in range(1, width):
            low[x] = min(low[x], memory[least + np.uintp(i * lanes + x)])
            high[x] = max(high[x], memory[most + np.uintp(i * lanes + x)])
        for i in range(index.shape[1]):
            values[x, i] = target[index[x, i] * lanes + x]
