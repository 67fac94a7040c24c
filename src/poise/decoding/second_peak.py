"""The two highest cells of blurred maps, as the decoding of CPN's and MSPN's releases searches them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.decoding.blur import blurred_peaks
from poise.machine import is_traced

MARGIN = 10
"""Width of the zero padding, cells, that the releases add around a map before they blur and decode it."""

TIE = 1e-6
"""Two values of a blurred map that differ by a smaller share count as equally high."""


def find_top_peaks(maps: Float[Tensor, "n h w"], blur: int, count: int) -> tuple[Float[Tensor, "n c 2"], Float[Tensor, " n"]]:
    """The highest cells (x, y) of each blurred map, highest first, and the highest value.

    Each cell is set to 0 before the next is searched. The releases search a margin of `MARGIN` cells too. Blurred values only
    fall outside the map, unless the map is negative at its border; so a narrow margin is searched first, and all of it only for
    maps with a peak at the end of the narrow one.

    Args:
        maps: Heatmaps.
        blur: Side of the blur, cells.
        count: Number of cells.
    """
    reach = min(blur // 2, MARGIN)
    edge = reach if is_traced() else min(reach, 2)
    spots, value = _top_peaks_within(maps, blur, count, edge=edge)
    if edge < reach:
        low, high = spots.amin(dim=1), spots.amax(dim=1)
        at_end = (low <= -edge) | (high >= high.new_tensor((maps.shape[2], maps.shape[1])) + edge - 1)
        far = at_end.any(dim=1)
        if far.any():
            spots[far], value[far] = _top_peaks_within(maps[far], blur, count, edge=reach)
    return spots, value


def _top_peaks_within(
    maps: Float[Tensor, "n h w"], blur: int, count: int, *, edge: int
) -> tuple[Float[Tensor, "n c 2"], Float[Tensor, " n"]]:
    """The highest cells, as `find_top_peaks`, outside a margin of `edge` cells; its corner if no value is above 0."""
    cells, value = blurred_peaks(maps, blur, "zeros", count=count, margin=edge, tie=TIE)
    spots = torch.where((value <= 0)[..., None], -MARGIN, cells) if edge < MARGIN else cells
    return spots.to(maps), value[:, 0]


def argmax_with_ties(
    smooth: Float[Tensor, "h w m"], best_of_rows: Float[Tensor, "h m"], each: Int64[Tensor, " m"]
) -> tuple[Int64[Tensor, "m 2"], Float[Tensor, " m"], Float[Tensor, "m w"]]:
    """The first highest cell (x, y) of each map, its value, and its row; values that differ by rounding only count as equal.

    Args:
        smooth: Blurred maps, the map as LAST axis.
        best_of_rows: Highest value of each row of each map.
        each: Indices of the maps.
    """
    top = best_of_rows.amax(dim=0)
    enough = top - TIE * top.abs()
    y = (best_of_rows >= enough).byte().argmax(dim=0)
    row = smooth[y, :, each]
    x = (row >= enough[:, None]).byte().argmax(dim=1)
    return torch.stack((x, y), dim=-1), top, row
