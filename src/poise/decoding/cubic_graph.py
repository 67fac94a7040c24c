"""The argmax of bicubically resized heatmaps as tensor operations that are the same for all values, boxes and numbers of boxes.

The form for graphs of `decoding/cubic.py`: no loop over boxes, whose sizes are free, and not every pixel of every map. Between
two cells lie a few pixels of the resized map, or none. Of each gap between four cells up to three by three pixels are computed,
spread over it, and then all pixels of the gaps where the highest of these is. That is exact for boxes of up to three times as
many pixels as cells; in larger ones the other pixels of a gap are hardly higher than those that were computed.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from poise.decoding.cubic import keys_weights

SPREAD = 3
"""Pixels of each gap that are computed at first, along each axis."""

GAPS = 8
"""Gaps of each map all of whose pixels are computed."""


def bicubic_argmax_of_gaps(
    maps: Float[Tensor, "n k h w"], lengths: Int64[Tensor, "n 2"]
) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
    """The highest pixel (x, y) of each map after a bicubic resize, and its value.

    Args:
        maps: Heatmaps of the keypoints of each box.
        lengths: Width and height, pixels, that the maps of each box are resized to.
    """
    height, width = maps.shape[2:]
    wide, high = lengths.to(maps.dtype).unbind(1)
    columns, rows = _starts(wide, width), _starts(high, height)
    heights = _spread(rows, high, height) @ (maps @ _spread(columns, wide, width).transpose(-1, -2))
    of_gaps = functional.max_pool2d(heights, SPREAD, stride=SPREAD)
    of_gaps = of_gaps.masked_fill(_empty(rows)[:, None, :, None] | _empty(columns)[:, None, None], -torch.inf).flatten(2)
    gap = of_gaps.topk(min(GAPS, (height + 1) * (width + 1)), dim=2).indices
    row, column = gap.div(width + 1, rounding_mode="floor"), gap % (width + 1)
    x, across = _pixels(columns, column, wide, width)
    y, down = _pixels(rows, row, high, height)
    pixels = (down @ _windows(maps, row, column) @ across.transpose(-1, -2)).masked_fill(
        (y < 0)[..., None] | (x < 0)[..., None, :], -torch.inf
    )
    values, index = pixels.flatten(2).max(dim=2)
    along, size = x.shape[3], x.shape[3] * y.shape[3]
    which, rest = index.div(size, rounding_mode="floor"), index % size
    found_x = x.flatten(2).gather(2, (which * along + rest % along)[..., None])
    found_y = y.flatten(2).gather(2, (which * y.shape[3] + rest.div(along, rounding_mode="floor"))[..., None])
    return torch.cat((found_x, found_y), dim=2), values


def _starts(length: Float[Tensor, " n"], cells: int) -> Float[Tensor, "n s"]:
    """First pixel of each gap along an axis: before cell 0, between 0 and 1, ..., behind the last; then their number."""
    gap = torch.arange(cells + 2, device=length.device)
    first = ((gap - 0.5) * (length[:, None] / cells) - 0.5).ceil().clamp(min=0)
    return torch.where(gap == cells + 1, length[:, None], torch.where(gap == 0, 0.0, first))


def _empty(starts: Float[Tensor, "n s"]) -> Tensor:
    """Which gaps have no pixel."""
    return starts[:, 1:] <= starts[:, :-1]


def _spread(starts: Float[Tensor, "n s"], length: Float[Tensor, " n"], cells: int) -> Float[Tensor, "n _ p c"]:
    """The resize along one axis as matrices, cells to `SPREAD` pixels of each gap; of a gap with fewer some come twice."""
    share = torch.arange(SPREAD, device=starts.device) / (SPREAD - 1)
    between = (starts[:, 1:] - 1 - starts[:, :-1]).clamp(min=0)
    pixel = starts[:, :-1, None] + (between[..., None] * share).floor()
    gap = torch.arange(cells + 1, device=starts.device)
    cell = (gap[:, None] + torch.arange(-2, 2, device=starts.device)).clamp(0, cells - 1)
    of_cells = functional.one_hot(cell, cells).to(starts.dtype)
    return (_weights(pixel, gap[:, None], length[:, None, None], cells) @ of_cells).flatten(1, 2)[:, None]


def _pixels(
    starts: Float[Tensor, "n s"], gap: Int64[Tensor, "n k g"], length: Float[Tensor, " n"], cells: int
) -> tuple[Float[Tensor, "n k g p"], Float[Tensor, "n k g p 4"]]:
    """The pixels of gaps along one axis, -1 where a gap has fewer than others, and the weights of their four cells."""
    first, end = (starts.gather(1, (gap + more).flatten(1)).view(gap.shape)[..., None] for more in (0, 1))
    most = (starts[:, 1:] - starts[:, :-1]).amax().to(torch.int64)
    pixel = first + torch.arange(most, device=gap.device)  # type: ignore[call-overload]  # a number that the graph computes
    return torch.where(pixel < end, pixel, -1.0), _weights(pixel, gap[..., None], length[:, None, None, None], cells)


def _weights(pixel: Tensor, gap: Tensor, length: Tensor, cells: int) -> Tensor:
    """Weights of the four cells around pixels of a gap, along a new last axis."""
    return torch.stack(keys_weights((pixel + 0.5) * (cells / length) - 0.5 - (gap - 1)), dim=-1)


def _windows(
    maps: Float[Tensor, "n k h w"], row: Int64[Tensor, "n k g"], column: Int64[Tensor, "n k g"]
) -> Float[Tensor, "n k g 4 4"]:
    """The four by four cells around each gap; the outermost ones are repeated beyond the border."""
    height, width = maps.shape[2:]
    near = torch.arange(-2, 2, device=maps.device)
    rows, columns = (row[..., None] + near).clamp(0, height - 1), (column[..., None] + near).clamp(0, width - 1)
    index = rows[..., :, None] * width + columns[..., None, :]
    return maps.flatten(2).gather(2, index.flatten(2)).view(index.shape)
