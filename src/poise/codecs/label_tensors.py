"""Gaussians and offset vectors in the cells around keypoints, as tensor operations on any device."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.label_kernel import WindowTargets
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
    """Draw Gaussians with the arguments and the result of `label_kernel.draw`."""
    value = (sides[..., :, None, 1] * (sides[..., None, :, 0] * labelled[..., None, None])).flatten()
    flat_index = channel[..., None] * (maps.shape[2] * maps.shape[3]) + _cell(index, maps.shape[3])
    maps.view(-1).scatter_reduce_(0, flat_index.flatten(), value.masked_fill_(value < clip, 0.0), "amax")


def shortest(
    maps: Int64[Tensor, "n m"],
    index: Int64[Tensor, "n m d 2"],
    inside: Bool[Tensor, "n m d 2"],
    offset: Float[Tensor, "n m d 2"],
    *,
    count: int,
    cells: Size,
) -> WindowTargets:
    """The shortest vectors of windows, with the arguments and the result of `label_kernel.shortest`."""
    cell = _cell(index, cells[1])
    side = offset.shape[2]
    across, down = offset[..., None, :, 0].expand(-1, -1, side, -1), offset[..., :, None, 1].expand(-1, -1, -1, side)
    vector = torch.stack((across, down), dim=-1).flatten(2, 3)
    within = (inside[..., :, None, 1] & inside[..., None, :, 0]).flatten(2)
    squared = offset.square()
    length = (squared[..., None, :, 0] + squared[..., :, None, 1]).flatten(2)
    # One number that orders as length does, then as windows do: floats that are not below 0 order as their bits do.
    window = torch.arange(maps.numel(), device=cell.device).view(*maps.shape, 1)
    rank = (length.view(torch.int32).long() << 32).add_(window).masked_fill_(~within, torch.iinfo(torch.int64).max)
    flat_index = maps[..., None] * (cells[0] * cells[1]) + cell
    best = scatter_extreme(rank, flat_index, "amin", count=count * cells[0] * cells[1])
    return cell, vector, within & (best == rank)


def put(
    maps: Float[Tensor, "b q h w"],
    flat_index: Int64[Tensor, "n m c"],
    values: Float[Tensor, "n m c v"],
    where: Bool[Tensor, "n m c"],
) -> None:
    """Write values into maps, with the arguments and the result of `label_kernel.put`."""
    written = where.flatten().nonzero().squeeze(1)
    flat, at = maps.view(-1), flat_index.flatten().index_select(0, written)
    for number, value in enumerate(values.flatten(0, 2).index_select(0, written).unbind(dim=1)):
        flat[at + number * maps.shape[2] * maps.shape[3]] = value


def scatter_extreme(
    rank: Int64[Tensor, "n m c"], flat_index: Int64[Tensor, "n m c"], which: Literal["amin", "amax"], *, count: int
) -> Int64[Tensor, "n m c"]:
    """For each cell the lowest or highest rank of all cells with the same index.

    Args:
        rank: Rank of each cell.
        flat_index: Index of each cell.
        which: "amin" for the lowest, "amax" for the highest.
        count: One more than the highest index there can be.
    """
    flat, at = rank.flatten(), flat_index.flatten()
    found = rank.new_empty(count)  # only entries that were written are read
    found.index_copy_(0, at, flat)
    found.scatter_reduce_(0, at, flat, which)
    return found.index_select(0, at).view(rank.shape)


def _cell(index: Int64[Tensor, "n m d 2"], width: int) -> Int64[Tensor, "n m c"]:
    """Index of the cells of windows in their view, counted row by row."""
    return (index[..., 1, None] * width + index[..., None, :, 0]).flatten(2)
