"""The Gaussian blur that smooths heatmaps before they are decoded, equal to OpenCV's."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from poise.decoding.kernels import blur, border_index, find_top_cells, workspace_size
from poise.machine import by_loops


def blur_taps(size: int) -> tuple[float, ...]:
    """The taps of OpenCV's Gaussian blur of `size` cells (odd) when no sigma is given; their sum is 1.

    Up to 9 cells they come from OpenCV's table, then from a Gaussian of sigma = 0.3 ((size - 1) / 2 - 1) + 0.8.
    """
    table = {3: (1, 2, 1), 5: (1, 4, 6, 4, 1), 7: (2, 7, 14, 18, 14, 7, 2), 9: (4, 13, 30, 51, 60, 51, 30, 13, 4)}
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = table.get(size, tuple(math.exp(-0.5 * ((i - (size - 1) / 2) / sigma) ** 2) for i in range(size)))
    return tuple(tap / sum(taps) for tap in taps)


Border = Literal["zeros", "mirror"]
"""Values beyond the border of a map: 0, or the map mirrored about its outermost cells."""

CHUNK = 128
"""Maps blurred at a time where whole blurred maps are needed: enough that the cost of a call is small."""

SMALL_CHUNK = 16
"""Maps blurred at a time where few values are needed: one vector register, so that rows stay in the L1 cache."""


def iterate_blurred(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    """Blurred maps, a chunk at a time: indices of the maps, and their values with the map as LAST axis.

    The memory of a chunk is overwritten by the next one: allocating it anew costs more than the blur.

    Args:
        maps: Heatmaps.
        size: Side of the blur, cells.
        border: Values beyond the border.
    """
    if not by_loops(maps.device.type):
        yield slice(0, len(maps)), _blurred_as_images(maps, size, border).permute(1, 2, 0)
        return
    values, low, high = torch.empty(len(maps), 0), *torch.empty(2, len(maps))
    for part in _blurred_as_channels(maps, values.long(), size, border, chunk=CHUNK, out=(values, low, high)):
        yield part.maps, torch.from_numpy(part.values[: math.prod(part.shape)]).view(part.shape)


def blur_maps(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    """Blurred maps, all in memory of their own.

    Args:
        maps: Heatmaps.
        size: Side of the blur, cells.
        border: Values beyond the border.
    """
    smooth = torch.empty_like(maps)
    for some, part in iterate_blurred(maps, size, border):
        smooth[some] = part.permute(2, 0, 1)
    return smooth


def blurred_extremes(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Lowest and highest value of each map after the blur.

    Args:
        maps: Heatmaps.
        size: Side of the blur, cells.
        border: Values beyond the border.
    """
    return blurred_at(maps, torch.empty(len(maps), 0, dtype=torch.int64, device=maps.device), size, border)[1:]


def blurred_at(
    maps: Float[Tensor, "n h w"], index: Int64[Tensor, "n i"], size: int, border: Border
) -> tuple[Float[Tensor, "n i"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Values of some cells of each map after the blur, and its lowest and highest value.

    Args:
        maps: Heatmaps.
        index: Flat indices (y * w + x) of the cells of each map.
        size: Side of the blur, cells.
        border: Values beyond the border.
    """
    if not by_loops(maps.device.type):
        smooth = _blurred_as_images(maps, size, border).flatten(1)
        return smooth.gather(1, index), smooth.amin(dim=1), smooth.amax(dim=1)
    values, low, high = maps.new_empty(index.shape), maps.new_empty(len(maps)), maps.new_empty(len(maps))
    for _ in _blurred_as_channels(maps, index, size, border, chunk=SMALL_CHUNK, out=(values, low, high)):
        pass
    return values, low, high


def blurred_peaks(
    maps: Float[Tensor, "n h w"], size: int, border: Border, *, count: int = 1, margin: int = 0, tie: float = 0.0
) -> tuple[Int64[Tensor, "n c 2"], Float[Tensor, "n c"]]:
    """The highest cells (x, y) of each map after the blur, highest first, and their values; NaNs are skipped.

    Args:
        maps: Heatmaps.
        size: Side of the blur, cells.
        border: Values beyond the border; "zeros" if there is a margin.
        count: Number of cells; each is set to 0 before the next is searched.
        margin: Width of the margin around the map that is searched too, cells; its coordinates are negative or beyond the last.
        tie: Cells lower than the highest by at most this share count as equally high; the first of them in row-major order is
            taken.
    """
    if not by_loops(maps.device.type):
        cells, values = _peaks_of_images(_blurred_as_images(F.pad(maps, (margin,) * 4), size, border), count, tie=tie)
        return cells - margin, values
    cells, values = torch.empty(len(maps), count, 2, dtype=torch.int64), torch.empty(len(maps), count)
    spots, tops, none, ends = cells.numpy(), values.numpy(), torch.empty(len(maps), 0), torch.empty(2, len(maps))
    for part in _blurred_as_channels(
        maps, none.long(), size, border, margin=margin, chunk=SMALL_CHUNK, out=(none, ends[0], ends[1])
    ):
        find_top_cells(part.values, part.shape, part.column_max, tie=tie, out=(spots[part.maps], tops[part.maps]))
    return cells - margin, values


class BlurredChunk(NamedTuple):
    """A chunk of blurred maps, interleaved: the map is the last axis.

    Attributes:
        maps: Indices of the maps.
        values: Their values, flat, with unused memory after them.
        shape: Height and width with the margin, and number of maps (h w m).
        column_max: Highest value of each column of each map, flat (w m).
    """

    maps: slice
    values: Float32[np.ndarray, " t"]
    shape: tuple[int, int, int]
    column_max: Float32[np.ndarray, " c"]


def _blurred_as_channels(
    maps: Float[Tensor, "n h w"],
    index: Int64[Tensor, "n i"],
    size: int,
    border: Border,
    *,
    chunk: int,
    margin: int = 0,
    out: tuple[Float[Tensor, "n i"], Float[Tensor, " n"], Float[Tensor, " n"]],
) -> Iterator[BlurredChunk]:
    # Interleaved like the channels of one image, eight or sixteen maps are blurred by one instruction.
    count, height, width = maps.shape
    high, wide, reach, mirror = height + 2 * margin, width + 2 * margin, size // 2, border == "mirror"
    most = min(count, chunk)
    taps = tuple(np.array(blur_taps(size)[: reach + 1], np.float32))
    edges = border_index(height, reach + margin, mirror=mirror), border_index(width, reach + margin, mirror=mirror)
    rows, wanted = maps.flatten(1).numpy(), index.contiguous().numpy()
    values, low, top = (part.numpy() for part in out)
    given, taken, memory = (
        torch.empty(numbers).numpy()  # PyTorch's memory starts at a multiple of 64 bytes
        for numbers in (height * width * most, high * wide * most, workspace_size((height, width, most), reach, margin))
    )
    for start in range(0, count, chunk):
        some = slice(start, min(start + chunk, count))
        part = rows[some]
        lanes = len(part)
        cv2.transpose(part, dst=given[: part.size].reshape(height * width, lanes))
        found = taken, low[some], top[some], values[some]
        shape = height, width, lanes
        blur(given, shape, taps, edges, margin=margin, index=wanted[some], memory=memory, out=found)
        end = workspace_size(shape, reach, margin)
        yield BlurredChunk(some, taken, (high, wide, lanes), memory[end - wide * lanes : end])


def _peaks_of_images(
    smooth: Float[Tensor, "n h w"], count: int, *, tie: float
) -> tuple[Int64[Tensor, "n c 2"], Float[Tensor, "n c"]]:
    cells, values = [], []
    flat = smooth.flatten(1).nan_to_num(-torch.inf, torch.inf, -torch.inf)
    for _ in range(count):
        top = flat.amax(dim=1)
        enough = torch.where(top.isfinite(), top - tie * top.abs(), top)
        index = (flat >= enough[:, None]).byte().argmax(dim=1, keepdim=True)
        flat = flat.scatter(1, index, 0)
        cells.append(torch.cat((index % smooth.shape[2], index.div(smooth.shape[2], rounding_mode="floor")), dim=1))
        values.append(top)
    return torch.stack(cells, dim=1), torch.stack(values, dim=1)


def _blurred_as_images(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    taps, half = maps.new_tensor(blur_taps(size)), size // 2
    wide = F.pad(maps[:, None], (half,) * 4, mode="constant" if border == "zeros" else "reflect")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).squeeze(1)
