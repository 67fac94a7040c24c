"""The highest cells of smoothed maps, one after another, as CPN's and MSPN's releases look for them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.decoding.blur import blurred_peaks

MARGIN = 10
"""Cells of nothing that the releases lay around a map before they smooth and read it."""

TIE = 1e-6
"""Two values of a smoothed map that differ by less, relatively, are equally high."""


def find_top_peaks(maps: Float[Tensor, "n h w"], blur: int, count: int) -> tuple[Float[Tensor, "n c 2"], Float[Tensor, " n"]]:
    """The highest cells (x, y) of each smoothed map, highest first, each emptied before the next; the highest value.

    The releases look at `MARGIN` cells around the map too. Smoothed values only fall outside, unless the map is negative
    at its border; so a narrow margin is looked at first, and all of it for maps with a peak at the margin's end.
    """
    reach = min(blur // 2, MARGIN)
    edge = min(reach, 2)
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
    """As `peaks`, in the map and `edge` cells around it; the corner of the whole margin where no value is above 0."""
    cells, value = blurred_peaks(maps, blur, "zeros", count=count, margin=edge, tie=TIE)
    spots = torch.where((value <= 0)[..., None] & (edge < MARGIN), -MARGIN, cells)
    return spots.to(maps), value[:, 0]


def argmax_with_ties(
    smooth: Float[Tensor, "h w m"], best_of_rows: Float[Tensor, "h m"], each: Int64[Tensor, " m"]
) -> tuple[Int64[Tensor, "m 2"], Float[Tensor, " m"], Float[Tensor, "m w"]]:
    """The first highest cell (x, y) of each map, its value, its row. What differs by rounding only is equally high."""
    top = best_of_rows.amax(dim=0)
    enough = top - TIE * top.abs()
    y = (best_of_rows >= enough).byte().argmax(dim=0)
    row = smooth[y, :, each]
    x = (row >= enough[:, None]).byte().argmax(dim=1)
    return torch.stack((x, y), dim=-1), top, row
