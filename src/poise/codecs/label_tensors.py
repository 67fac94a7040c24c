"""Gaussians and vectors in the cells around keypoints, as tensors on any device; `label_kernel.py` does the same on a CPU."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.label_kernel import Placed
from poise.dims import Size


def draw(
    maps: Float[Tensor, "b q h w"],
    channel: Int64[Tensor, "n k"],
    labelled: Bool[Tensor, "n k"],
    index: Int64[Tensor, "n k d 2"],
    sides: Float[Tensor, "n k d 2"],
    *,
    clip: float,
) -> None:
    """As `label_kernel.draw`."""
    value = (sides[..., :, None, 1] * (sides[..., None, :, 0] * labelled[..., None, None])).flatten()
    place = channel[..., None] * (maps.shape[2] * maps.shape[3]) + _cell(index, maps.shape[3])
    maps.view(-1).scatter_reduce_(0, place.flatten(), value.masked_fill_(value < clip, 0.0), "amax")


def shortest(
    maps: Int64[Tensor, "n m"],
    index: Int64[Tensor, "n m d 2"],
    inside: Bool[Tensor, "n m d 2"],
    ahead: Float[Tensor, "n m d 2"],
    *,
    count: int,
    cells: Size,
) -> Placed:
    """As `label_kernel.shortest`."""
    cell = _cell(index, cells[1])
    side = ahead.shape[2]
    across, down = ahead[..., None, :, 0].expand(-1, -1, side, -1), ahead[..., :, None, 1].expand(-1, -1, -1, side)
    vector = torch.stack((across, down), dim=-1).flatten(2, 3)
    within = (inside[..., :, None, 1] & inside[..., None, :, 0]).flatten(2)
    squared = ahead.square()
    length = (squared[..., None, :, 0] + squared[..., :, None, 1]).flatten(2)
    # One number that orders as length does, then as windows do: floats that are not below 0 order as their bits do.
    window = torch.arange(maps.numel(), device=cell.device).view(*maps.shape, 1)
    rank = (length.view(torch.int32).long() << 32).add_(window).masked_fill_(~within, torch.iinfo(torch.int64).max)
    place = maps[..., None] * (cells[0] * cells[1]) + cell
    least = extreme(rank, place, "amin", count=count * cells[0] * cells[1])
    return cell, vector, within & (least == rank)


def put(
    maps: Float[Tensor, "b q h w"],
    place: Int64[Tensor, "n m c"],
    values: Float[Tensor, "n m c v"],
    where: Bool[Tensor, "n m c"],
) -> None:
    """As `label_kernel.put`."""
    kept = where.flatten().nonzero().squeeze(1)
    flat, at = maps.view(-1), place.flatten().index_select(0, kept)
    for number, value in enumerate(values.flatten(0, 2).index_select(0, kept).unbind(dim=1)):
        flat[at + number * maps.shape[2] * maps.shape[3]] = value


def extreme(
    rank: Int64[Tensor, "n m c"], place: Int64[Tensor, "n m c"], which: Literal["amin", "amax"], *, count: int
) -> Int64[Tensor, "n m c"]:
    """The lowest or highest number of those that have the same place, of `count` places."""
    flat, at = rank.flatten(), place.flatten()
    found = rank.new_empty(count)  # only the places that are asked for are looked at
    found.index_copy_(0, at, flat)
    found.scatter_reduce_(0, at, flat, which)
    return found.index_select(0, at).view(rank.shape)


def _cell(index: Int64[Tensor, "n m d 2"], width: int) -> Int64[Tensor, "n m c"]:
    """The cells of windows, counted row after row of the view."""
    return (index[..., 1, None] * width + index[..., None, :, 0]).flatten(2)
