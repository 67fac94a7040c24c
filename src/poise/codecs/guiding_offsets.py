"""Targets of OffsetGuided: Gaussians, and offset vectors in the cells around keypoints (arXiv 2107.03098, section 3).

Cell i stands for pixel 4 i + 1.5. The targets of a keypoint stand in a window of D cells a side around it: the cells from
round(x / 4 - D / 2) up to, but not including, round(x / 4 + D / 2), halves rounded to the even number as in the release, so
that a window of 7 may have 6 or 8. Vectors are in pixels. Where windows of one map overlap, the shorter vector counts.

Vectors stay a list of cells: the loss compares what a network predicts in these cells, and no maps are filled for it.
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
from poise.codecs.label_tensors import scatter_extreme
from poise.dims import Size
from poise.machine import by_loops
from poise.scenes import Scenes

STRIDE = 4
"""Pixels from cell to cell."""

CENTRE = 1.5
"""Pixel that cell 0 stands for."""

MIN_SUPERVISED_SHARE = 0.7
"""Share of a cell's pixels, weighted as cubic resizing weights them, that must not be ignored (the release's)."""

_CUBIC = (-3 / 32, 19 / 32, 19 / 32, -3 / 32)
"""Weights of the pixels of a cell where an image is made 4 times smaller by cubic convolution (a = -0.75, OpenCV's)."""

_FAR = 1e6
"""Keypoints are clamped to this many pixels: farther ones give the same targets."""


@dataclass(frozen=True, eq=False)
class LabelledKeypoints:
    """The keypoints that give targets.

    Attributes:
        scene: Index of the view that each person is in.
        xy: Positions, pixels; finite everywhere.
        labelled: True for keypoints that are labelled and have a finite position.
        views: Number of views.
        cells: Cells of a map (h, w).
    """

    scene: Int64[Tensor, " n"]
    xy: Float[Tensor, "n k 2"]
    labelled: Bool[Tensor, "n k"]
    views: int
    cells: Size

    @classmethod
    def of(cls, scenes: Scenes, cells: Size) -> "LabelledKeypoints":
        """Those of the views in `scenes`, for maps of `cells`."""
        labelled = (scenes.visible > 0) & scenes.xy.isfinite().all(dim=-1)
        xy = scenes.xy.detach().masked_fill(~labelled[..., None], 0.0).clamp_(-_FAR, _FAR)
        return cls(scenes.scene, xy, labelled, len(scenes), cells)


@dataclass(frozen=True, eq=False)
class OffsetTargets:
    """Target vectors of n people, m keypoints or limbs of each, in the c cells of a window.

    Attributes:
        scene: Index of the view that each person is in.
        cell: Index of each cell in its view, counted row by row.
        vector: Vectors (x, y) from the cells to the keypoint they lead to, pixels.
        valid: True where the cell lies in the view, both ends are labelled and no shorter vector stands in the same cell.
    """

    scene: Int64[Tensor, " n"]
    cell: Int64[Tensor, "n m c"]
    vector: Float[Tensor, "n m c 2"]
    valid: Bool[Tensor, "n m c"]

    def flat_index(self, channels: Int64[Tensor, " m"], *, count: int, cells: Size) -> Int64[Tensor, "n m c"]:
        """Index of each cell in the flattened maps of all views.

        Args:
            channels: Channel of each keypoint or limb.
            count: Channels of a view.
            cells: Cells of a map (h, w).
        """
        return (self.scene[:, None] * count + channels)[..., None] * (cells[0] * cells[1]) + self.cell

    def inside(self, area: Bool[Tensor, "b 1 h w"]) -> Bool[Tensor, "n m c"]:
        """Whether the cells lie in an area of their view."""
        return area.flatten()[self.scene[:, None, None] * area[0].numel() + self.cell]

    def write(self, maps: Float[Tensor, "b q h w"], channels: Int64[Tensor, " m"]) -> None:
        """Write the valid vectors into contiguous maps: x into the channel of each keypoint or limb, y into the next one."""
        self._put(maps, channels, self.vector, self.valid)

    def write_values(
        self,
        maps: Float[Tensor, "b q h w"],
        channels: Int64[Tensor, " m"],
        values: Float[Tensor, "n m c"],
        where: Bool[Tensor, "n m c"],
    ) -> None:
        """Write a value for each cell where `where` is True into contiguous maps, into the channel of each keypoint or limb."""
        self._put(maps, channels, values[..., None], where)

    def _put(self, maps: Tensor, channels: Tensor, values: Tensor, where: Tensor) -> None:
        """Write the last axis of values into consecutive channels, beginning with that of each keypoint or limb."""
        index = self.flat_index(channels, count=maps.shape[1], cells=(maps.shape[2], maps.shape[3]))
        _backend(maps).put(maps, index, values, where)


def window_side(sigma: float, clip: float) -> int:
    """Cells a side of the window of a Gaussian that is cut off where it falls below `clip`.

    Args:
        sigma: Width of the Gaussian, pixels.
        clip: Height at which it ends, as a share of its peak.

    >>> window_side(7.0, 0.01)
    12
    """
    return 2 * math.ceil(math.sqrt(-2 * sigma**2 * math.log(clip)) / STRIDE)


def supervised_cells(ignore: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b 1 hh ww"]:
    """True for the cells that give a loss, from the pixels that give none."""
    taps = torch.tensor(_CUBIC, device=ignore.device)
    pixels = (~ignore).to(taps)
    views, height, width = pixels.shape
    pixels = pixels.reshape(views, height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    share: Tensor = ((pixels @ taps).transpose(2, 3) @ taps)[:, None]
    return share > MIN_SUPERVISED_SHARE


def draw_gaussians(maps: Float[Tensor, "b q h w"], keypoints: LabelledKeypoints, *, sigma: float, clip: float) -> None:
    """Draw a Gaussian of height 1 on every labelled keypoint, keeping the maximum where several overlap.

    Args:
        maps: Contiguous maps, changed in place; the first k channels are those of the keypoints.
        keypoints: Centres of the Gaussians.
        sigma: Width of the Gaussians, pixels.
        clip: Height below which nothing is drawn.
    """
    index, inside, pixels = _windows(keypoints.xy, window_side(sigma, clip), keypoints.cells)
    sides = (keypoints.xy[:, :, None] - pixels).square_().div_(-2 * sigma**2).exp_() * inside
    channel = keypoints.scene[:, None] * maps.shape[1] + torch.arange(keypoints.xy.shape[1], device=maps.device)
    _backend(maps).draw(maps, channel, keypoints.labelled, index, sides, clip=clip)


def guiding_offsets(
    keypoints: LabelledKeypoints, starts: Int64[Tensor, " l"], ends: Int64[Tensor, " l"], *, fill: int
) -> OffsetTargets:
    """Vectors from the cells around each limb's first keypoint to its second one; each limb has maps of its own.

    Args:
        keypoints: Labelled keypoints.
        starts: Index of the first keypoint of each limb.
        ends: Index of the second keypoint of each limb.
        fill: Cells a side of the window.
    """
    index, inside, pixels = _windows(keypoints.xy, fill, keypoints.cells)
    offset = keypoints.xy[:, ends, None] - pixels[:, starts]
    inside = inside[:, starts] & (keypoints.labelled[:, starts] & keypoints.labelled[:, ends])[..., None, None]
    maps = keypoints.scene[:, None] * len(starts) + torch.arange(len(starts), device=starts.device)
    return _shortest(keypoints, maps, len(starts), (index[:, starts], inside, offset))


def jitter_offsets(keypoints: LabelledKeypoints, *, fill: int) -> OffsetTargets:
    """Vectors from the cells around each keypoint to the keypoint itself; all keypoints share one pair of maps.

    Args:
        keypoints: Labelled keypoints.
        fill: Cells a side of the window.
    """
    index, inside, pixels = _windows(keypoints.xy, fill, keypoints.cells)
    maps = keypoints.scene[:, None].expand(keypoints.labelled.shape)
    inside = inside & keypoints.labelled[..., None, None]
    return _shortest(keypoints, maps, 1, (index, inside, keypoints.xy[:, :, None] - pixels))


def in_last_limb(targets: OffsetTargets, starts: Int64[Tensor, " l"], keypoints: LabelledKeypoints) -> Bool[Tensor, "n l c"]:
    """True for the last of the limbs that start at one keypoint and have a vector in one cell: the release keeps its scale."""
    count, cells = keypoints.xy.shape[1], keypoints.cells
    rank = torch.arange(len(starts), device=starts.device)[:, None].expand(targets.cell.shape)
    rank = rank.masked_fill(~targets.valid, -1)
    index = targets.flat_index(starts, count=count, cells=cells)
    last = scatter_extreme(rank, index, "amax", count=keypoints.views * count * cells[0] * cells[1])
    return targets.valid & (last == rank)


def split_output(
    output: Float[Tensor, "b c h w"], maps: int, index: Int64[Tensor, " p"]
) -> tuple[Float[Tensor, "b m h w"], Float[Tensor, " p"]]:
    """The first maps of an output, and its values at some cells; the backward pass fills one gradient for both.

    Args:
        output: All maps.
        maps: Number of heatmaps that are returned whole.
        index: Index of each value in the flattened output.
    """
    first, values = _Split.apply(output, maps, index)
    return first, values


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, maps: int, index: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(index)
        ctx.shape = output.shape
        return output[:, :maps].clone(memory_format=torch.contiguous_format), output.flatten().index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, maps: Tensor, values: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors
        gradient = maps.new_empty(ctx.shape)
        gradient[:, : maps.shape[1]] = maps
        gradient[:, maps.shape[1] :] = 0
        gradient.view(-1).index_add_(0, index, values)
        return gradient, None, None


Windows = tuple[Int64[Tensor, "n m d 2"], Bool[Tensor, "n m d 2"], Float[Tensor, "n m d 2"]]
"""Columns and rows (x, y) of windows: index in the map, whether they are in window and view, and the pixel they stand for."""


def _windows(xy: Float[Tensor, "n m 2"], side: int, cells: Size) -> Windows:
    """Windows of `side` cells around points, pixels."""
    start, end = torch.round(xy / STRIDE - side / 2), torch.round(xy / STRIDE + side / 2)
    index = start[:, :, None] + torch.arange(side + side % 2, device=xy.device)[:, None]
    limit = torch.tensor(cells[::-1], device=xy.device)
    inside = (index >= 0) & (index < torch.minimum(end, limit)[:, :, None])
    return index.long().clamp_(min=0).minimum(limit - 1), inside, STRIDE * index + CENTRE


def _shortest(keypoints: LabelledKeypoints, maps: Int64[Tensor, "n m"], each: int, windows: Windows) -> OffsetTargets:
    """Target vectors of windows. In each cell of a map the shortest one is valid, among equal ones the first person's.

    Args:
        keypoints: Labelled keypoints.
        maps: Index of the map of each window, counted through all views.
        each: Maps of a view.
        windows: Cells around the keypoints, their mask, and the vectors.
    """
    found = _backend(maps).shortest(maps, *windows, count=keypoints.views * each, cells=keypoints.cells)
    return OffsetTargets(keypoints.scene, *found)


def _backend(labels: Tensor) -> ModuleType:
    """Compiled loops on a CPU, tensor operations elsewhere and without numba."""
    return label_kernel if by_loops(labels.device.type) else label_tensors
