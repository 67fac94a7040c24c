"""Labels of OffsetGuided: Gaussians, and vectors in the cells around keypoints (arXiv 2107.03098, section 3).

Cell i stands for the pixel 4 i + 1.5. What is said of a keypoint is said in a window of D cells a side around it: of the cells
from round(x / 4 - D / 2) up to, not including, round(x / 4 + D / 2), halves to the even number as the release rounds, so that a
window of 7 may have 6 or 8. Vectors are in pixels. Where windows of one map overlap the shorter vector counts.

Vectors stay a list of cells: a loss compares what a network says there, and nobody fills maps with what is not labelled.
"""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from poise.codecs import label_kernel, label_tensors
from poise.codecs.label_tensors import extreme
from poise.dims import Size
from poise.scenes import Scenes

STRIDE = 4
"""Pixels from cell to cell."""

CENTRE = 1.5
"""The pixel that cell 0 stands for."""

LEAST_USED = 0.7
"""Share of a cell's pixels, weighed as cubic resizing weighs them, that must be for learning (the release's)."""

_CUBIC = (-3 / 32, 19 / 32, 19 / 32, -3 / 32)
"""Weights of the pixels of a cell where an image is made 4 times smaller by cubic convolution (a = -0.75, OpenCV's)."""

_FAR = 1e6
"""Pixels; what is farther off than that is as good as there."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Keypoints there is something to learn of, in maps of a size.

    Attributes:
        scene: The view of each person.
        xy: Pixels; numbers everywhere.
        labelled: Which keypoints.
        views: How many.
        cells: Of a map (h, w).
    """

    scene: Int64[Tensor, " n"]
    xy: Float[Tensor, "n k 2"]
    labelled: Bool[Tensor, "n k"]
    views: int
    cells: Size

    @classmethod
    def of(cls, scenes: Scenes, cells: Size) -> "Seen":
        """Whatever is labelled and somewhere."""
        labelled = (scenes.visible > 0) & scenes.xy.isfinite().all(dim=-1)
        xy = scenes.xy.detach().masked_fill(~labelled[..., None], 0.0).clamp_(-_FAR, _FAR)
        return cls(scenes.scene, xy, labelled, len(scenes), cells)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors that cells are to say: for n people and m keypoints or limbs of each, in the c cells of a window.

    Attributes:
        scene: The view of each person.
        cell: Which cell of the view, counted row after row.
        vector: From the cell to what it points at, pixels.
        counts: Whether the cell lies in the view, both ends are labelled and no shorter vector is there.
    """

    scene: Int64[Tensor, " n"]
    cell: Int64[Tensor, "n m c"]
    vector: Float[Tensor, "n m c 2"]
    counts: Bool[Tensor, "n m c"]

    def places(self, channels: Int64[Tensor, " m"], *, count: int, cells: Size) -> Int64[Tensor, "n m c"]:
        """Where they stand in maps of `count` channels a view, all numbers in a row; each keypoint or limb has its channel."""
        return (self.scene[:, None] * count + channels)[..., None] * (cells[0] * cells[1]) + self.cell

    def inside(self, area: Bool[Tensor, "b 1 h w"]) -> Bool[Tensor, "n m c"]:
        """Which of the cells lie in an area of their view."""
        return area.flatten()[self.scene[:, None, None] * area[0].numel() + self.cell]

    def write(self, maps: Float[Tensor, "b q h w"], channels: Int64[Tensor, " m"]) -> None:
        """Fill contiguous maps with the vectors that count, x in each keypoint's or limb's channel and y in the next one."""
        self._put(maps, channels, self.vector, self.counts)

    def write_numbers(
        self,
        maps: Float[Tensor, "b q h w"],
        channels: Int64[Tensor, " m"],
        values: Float[Tensor, "n m c"],
        where: Bool[Tensor, "n m c"],
    ) -> None:
        """Fill one channel of each keypoint or limb of contiguous maps."""
        self._put(maps, channels, values[..., None], where)

    def _put(self, maps: Tensor, channels: Tensor, values: Tensor, where: Tensor) -> None:
        """Fill channels beginning with each keypoint's or limb's, one for each of the last axis of values."""
        place = self.places(channels, count=maps.shape[1], cells=(maps.shape[2], maps.shape[3]))
        _by(maps).put(maps, place, values, where)


def diameter(sigma: float, clip: float) -> int:
    """Cells a side of the window of a Gaussian of width `sigma` (pixels) that ends where it is `clip` high.

    >>> diameter(7.0, 0.01)
    12
    """
    return 2 * math.ceil(math.sqrt(-2 * sigma**2 * math.log(clip)) / STRIDE)


def used(ignore: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b 1 hh ww"]:
    """The cells where a network is to learn, from the pixels where it is not."""
    taps = torch.tensor(_CUBIC, device=ignore.device)
    pixels = (~ignore).to(taps)
    views, height, width = pixels.shape
    pixels = pixels.reshape(views, height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    share: Tensor = ((pixels @ taps).transpose(2, 3) @ taps)[:, None]
    return share > LEAST_USED


def draw_gaussians(maps: Float[Tensor, "b q h w"], seen: Seen, *, sigma: float, clip: float) -> None:
    """Put a Gaussian of height 1 on every labelled keypoint, where that is more than what is there.

    Args:
        maps: Contiguous; the keypoints' are the first ones.
        seen: The keypoints.
        sigma: Width, pixels.
        clip: What is lower is left out.
    """
    index, inside, pixels = _windows(seen.xy, diameter(sigma, clip), seen.cells)
    sides = (seen.xy[:, :, None] - pixels).square_().div_(-2 * sigma**2).exp_() * inside
    channel = seen.scene[:, None] * maps.shape[1] + torch.arange(seen.xy.shape[1], device=maps.device)
    _by(maps).draw(maps, channel, seen.labelled, index, sides, clip=clip)


def guides(seen: Seen, starts: Int64[Tensor, " l"], ends: Int64[Tensor, " l"], *, fill: int) -> Vectors:
    """From the cells around limbs' first keypoints to their second ones, where both are labelled; each limb has its own map."""
    index, inside, pixels = _windows(seen.xy, fill, seen.cells)
    ahead = seen.xy[:, ends, None] - pixels[:, starts]
    inside = inside[:, starts] & (seen.labelled[:, starts] & seen.labelled[:, ends])[..., None, None]
    maps = seen.scene[:, None] * len(starts) + torch.arange(len(starts), device=starts.device)
    return _shortest(seen, maps, len(starts), (index[:, starts], inside, ahead))


def jitters(seen: Seen, *, fill: int) -> Vectors:
    """From the cells around each keypoint to the keypoint itself; all keypoints share one map."""
    index, inside, pixels = _windows(seen.xy, fill, seen.cells)
    maps = seen.scene[:, None].expand(seen.labelled.shape)
    return _shortest(seen, maps, 1, (index, inside & seen.labelled[..., None, None], seen.xy[:, :, None] - pixels))


def latest(vectors: Vectors, starts: Int64[Tensor, " l"], seen: Seen) -> Bool[Tensor, "n l c"]:
    """Where limbs that start at one keypoint have vectors in one cell, those of the last limb: the release keeps its scale."""
    keypoints, cells = seen.xy.shape[1], seen.cells
    rank = torch.arange(len(starts), device=starts.device)[:, None].expand(vectors.cell.shape)
    rank = rank.masked_fill(~vectors.counts, -1)
    place = vectors.places(starts, count=keypoints, cells=cells)
    return vectors.counts & (extreme(rank, place, "amax", count=seen.views * keypoints * cells[0] * cells[1]) == rank)


def parted(
    output: Float[Tensor, "b c h w"], maps: int, places: Int64[Tensor, " p"]
) -> tuple[Float[Tensor, "b m h w"], Float[Tensor, " p"]]:
    """The first maps of an answer, and the numbers at some places of it; on the way back one gradient is filled for both."""
    first, numbers = _Parted.apply(output, maps, places)
    return first, numbers


class _Parted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, maps: int, places: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(places)
        ctx.shape = output.shape
        return output[:, :maps].clone(memory_format=torch.contiguous_format), output.flatten().index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, maps: Tensor, numbers: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        gradient = maps.new_empty(ctx.shape)
        gradient[:, : maps.shape[1]] = maps
        gradient[:, maps.shape[1] :] = 0
        gradient.view(-1).index_add_(0, places, numbers)
        return gradient, None, None


Windows = tuple[Int64[Tensor, "n m d 2"], Bool[Tensor, "n m d 2"], Float[Tensor, "n m d 2"]]
"""Of both axes of each window (x, y): the cells, which of them are in the window and in the view, and their centres, pixels."""


def _windows(xy: Float[Tensor, "n m 2"], side: int, cells: Size) -> Windows:
    """Windows of `side` cells around points."""
    start, end = torch.round(xy / STRIDE - side / 2), torch.round(xy / STRIDE + side / 2)
    index = start[:, :, None] + torch.arange(side + side % 2, device=xy.device)[:, None]
    limit = torch.tensor(cells[::-1], device=xy.device)
    inside = (index >= 0) & (index < torch.minimum(end, limit)[:, :, None])
    return index.long().clamp_(min=0).minimum(limit - 1), inside, STRIDE * index + CENTRE


def _shortest(seen: Seen, maps: Int64[Tensor, "n m"], each: int, windows: Windows) -> Vectors:
    """The vectors of windows; in each cell of a map the shortest counts, of several the first person's.

    Args:
        seen: The keypoints.
        maps: The map of each window, counted through all views.
        each: Maps a view.
        windows: Their cells, which of those there are, and the vectors.
    """
    return Vectors(seen.scene, *_by(maps).shortest(maps, *windows, count=seen.views * each, cells=seen.cells))


def _by(labels: Tensor) -> ModuleType:
    """Loops on a processor, tensors elsewhere."""
    return label_kernel if labels.device.type == "cpu" else label_tensors
