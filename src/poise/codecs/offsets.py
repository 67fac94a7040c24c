"""Shared by codecs with three maps per keypoint: a disk around the keypoint, and the offset vectors to it inside the disk.

Channels are map, dx, dy of the first keypoint, then of the next (UDP, arXiv 1911.07524; G-RMI, arXiv 1701.01779).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import check_maps, check_weights
from poise.decoding.blur import blur_taps, blurred_peaks, iterate_blurred
from poise.decoding.hough import cast_votes
from poise.decoding.subpixel import argmax_cells, check_method
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.machine import is_traced
from poise.structures import Points

OffsetReading = Literal["cell", "offset", "votes"]
"""The highest cell of the blurred disk map; that cell plus its vector; the peak of the votes of all cells (Hough voting)."""


MEAN_STEPS = 3
"""Steps of mean shift from the cell with most votes to the peak between the cells."""


MAPS_AT_ONCE = 512
"""Maps whose votes are counted at a time: in an untrained network every cell votes, which takes 100 bytes per cell."""


@dataclass(frozen=True)
class OffsetCodec(InstanceCodec):
    """A disk map and two vector maps per keypoint, on a grid whose cells mirror onto cells.

    Attributes:
        heat_blur: Cells a side of the blur of disk maps before their highest cell is searched; odd, 1 for none.
        offset_blur: Cells a side of the blur of vector maps before they are read; odd, 1 for none.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
        reading: How positions are read; None for the codec's own way.
    """

    heat_blur: int = 15
    offset_blur: int = 7
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None
    reading: OffsetReading | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range and unknown readings."""
        super().__post_init__()
        check_weights(self, self.joint_weights, self.ohkm)
        check_method(self.reading, get_args(OffsetReading))
        if min(self.heat_blur, self.offset_blur) < 1 or self.heat_blur % 2 == 0 or self.offset_blur % 2 == 0:
            raise InputError(
                f"{type(self).__name__} needs odd blurs of 1 cell or more, found heat_blur {self.heat_blur} and offset_blur "
                f"{self.offset_blur}"
            )

    @cached_property
    def grid(self) -> Grid:
        """Cornered: a mirror image maps cells onto cells."""
        return Grid.cornered(self.size, self.cells)

    @property
    def channels(self) -> int:
        """Three maps per keypoint, 3 k: disk, dx, dy."""
        return 3 * self.keypoints

    @property
    def tolerance(self) -> float:
        """Pixels: a cell if only the highest one is read, else nearly 0 plus the bias of a blur wider than the disk."""
        reading = self.reading or self.default_reading
        if reading == "cell":
            return max(self.grid.scale)
        return (0.001 + (self._blur_bias() if reading == "offset" else 0.0)) * max(self.grid.scale)

    def _blur_bias(self) -> float:
        """Largest error of blurred vectors along an axis, cells: those outside of the disk are 0.

        A quarter more than at the nearest cell, since the highest blurred cell may be beside it.
        """
        along = torch.arange(self.offset_blur) - self.offset_blur // 2
        taps, places = torch.tensor(blur_taps(self.offset_blur)), torch.linspace(-0.5, 0.5, 21)  # within the middle cell
        distance = places[:, None] - along
        outside = distance[:, None, :, None].square() + distance[None, :, None, :].square() > self.disk_radius**2
        return torch.einsum("xyij,i,j,xi->xy", outside.float(), taps, taps, distance).abs().max().item() * 1.25

    @property
    @abstractmethod
    def disk_radius(self) -> float:
        """Radius of the disk, cells."""

    @property
    @abstractmethod
    def unit(self) -> float:
        """Cells that a vector of length 1 spans."""

    @property
    @abstractmethod
    def default_reading(self) -> OffsetReading:
        """How the release reads positions."""

    @abstractmethod
    def disk_probability(self, heat: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The probability that each cell is inside the disk, 0 to 1."""

    def decode(self, output: Float[Tensor, "b c h w"]) -> Points:
        """Positions and scores, computed in float32.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        with torch.autocast(output.device.type, enabled=False):
            maps = split_channels(output.detach().float())
            heat, vectors = self.disk_probability(maps[:, :, 0]), maps[:, :, 1:].flatten(0, 1)
            cells, score = self._read(heat.flatten(0, 1).contiguous(), vectors)
        score = torch.where(score.isfinite(), score, 0)
        return Points(self.grid.to_pixels(cells.view(*maps.shape[:2], 2).float()), score.view(maps.shape[:2]))

    def unflip(self, output: Float[Tensor, "b c h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b c h w"]:
        """The maps with columns reversed, dx negated, left and right keypoints swapped."""
        sign = output.new_tensor((1, -1, 1))[:, None, None]
        return (split_channels(output)[:, flip].flip(-1) * sign).flatten(1, 2)

    def picture(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """The blurred disk maps, clamped to 0 and 1."""
        heat = self.disk_probability(split_channels(output.detach().float())[:, :, 0]).nan_to_num(0, 1, 0)
        picture = torch.empty_like(heat).flatten(0, 1)
        for some, smooth in iterate_blurred(heat.flatten(0, 1).contiguous(), self.heat_blur, "mirror"):
            picture[some] = smooth.permute(2, 0, 1)
        return picture.view(heat.shape).clamp(0, 1)

    def _read(
        self, heat: Float[Tensor, "n h w"], vectors: Float[Tensor, "n 2 h w"]
    ) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        reading = self.reading or self.default_reading
        if reading == "votes" and is_traced():
            return self._most_voted(heat, vectors)
        if reading == "votes":
            some = zip(torch.split(heat, MAPS_AT_ONCE), torch.split(vectors, MAPS_AT_ONCE), strict=True)
            voted = [self._most_voted(*part) for part in some]
            return torch.cat([found for found, _ in voted]), torch.cat([score for _, score in voted])
        cells, score = self._highest(heat)
        if reading == "cell":
            return cells.to(heat), score
        found = cells + self.unit * blurred_at(vectors, cells, self.offset_blur)
        return torch.where(found.isfinite().all(dim=-1, keepdim=True), found, cells), score

    def _highest(self, heat: Float[Tensor, "n h w"]) -> tuple[Int64[Tensor, "n 2"], Float[Tensor, " n"]]:
        cells, score = blurred_peaks(heat, self.heat_blur, "mirror")
        return cells.masked_fill((score <= 0)[..., None], 0).squeeze(1), score.squeeze(1)

    def _most_voted(
        self, heat: Float[Tensor, "n h w"], vectors: Float[Tensor, "n 2 h w"]
    ) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        votes = cast_votes(heat, vectors, unit=self.unit)
        cells, _ = argmax_cells(votes.accumulate(heat.shape))
        found = cells.to(heat)
        for _ in range(MEAN_STEPS):
            found = votes.mean_around(found)
        return found, votes.votes_at(found) / (math.pi * self.disk_radius**2)

    def disks(self, xy: Float[Tensor, "b k 2"], counts: Bool[Tensor, "b k"]) -> "Disks":
        """The disks of keypoints; those of keypoints that give no loss have no cell."""
        # The positions of keypoints that give no loss mean nothing and may be NaN.
        centre = torch.where(counts[..., None], self.grid.to_cells(xy), 0)
        (height, width), half = self.cells, math.floor(self.disk_radius + 0.5)
        along = torch.arange(-half, half + 1, device=xy.device)
        column, row = (part[..., None] + along for part in centre.round().long().unbind(-1))
        dx, dy = centre[..., :1] - column, centre[..., 1:] - row
        inside = dx.square()[..., None, :] + dy.square()[..., :, None] <= self.disk_radius**2
        inside &= ((column >= 0) & (column < width))[..., None, :] & ((row >= 0) & (row < height))[..., :, None]
        inside &= counts[..., None, None]
        index = row.clamp(0, height - 1)[..., :, None] * width + column.clamp(0, width - 1)[..., None, :]
        vectors = torch.stack((dx[..., None, :].expand(index.shape), dy[..., :, None].expand(index.shape)), dim=-1) / self.unit
        return Disks(index.flatten(2), inside.flatten(2), vectors.flatten(2, 3).float(), self.cells)

    def mean(self, lost: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        """The mean of a loss over views, keypoints and cells, or over the `ohkm` keypoints of each view with the largest."""
        kept = lost if self.ohkm is None else lost.topk(self.ohkm, dim=1).values
        return kept.mean() / (self.cells[0] * self.cells[1])


@dataclass(frozen=True, eq=False)
class Disks:
    """The cells around each keypoint.

    Attributes:
        index: Index of each cell, counted row by row; of the nearest cell of the map for those outside of it.
        inside: Whether the cell is on the map and inside the disk.
        vectors: Vectors (x, y) from the cells to the keypoint, in the codec's unit.
        cells: Size of a map (h, w), cells.
    """

    index: Int64[Tensor, "b k i"]
    inside: Bool[Tensor, "b k i"]
    vectors: Float[Tensor, "b k i 2"]
    cells: Size

    def draw(self, values: Float[Tensor, "b k i"]) -> Float[Tensor, "b k h w"]:
        """Maps with `values` inside the disks and 0 elsewhere."""
        maps = values.new_zeros(*values.shape[:2], self.cells[0] * self.cells[1])
        return maps.scatter_add_(2, self.index, values * self.inside).view(*values.shape[:2], *self.cells)


def near_disks(
    output: Float[Tensor, "b c h w"], disks: Disks
) -> tuple[Float[Tensor, "b k n"], Float[Tensor, "b k i"], Float[Tensor, "b k i 2"]]:
    """The disk maps; their values in the cells around each keypoint; the vectors in these cells."""
    heat, near = _Near.apply(output, disks.index)
    return heat, near[:, :, 0], near[:, :, 1:].mT


class _Near(torch.autograd.Function):
    """Its backward pass fills one gradient; that of PyTorch would make one of the same size for each result."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(index)
        ctx.shape = output.shape
        maps = split_channels(output).flatten(3)
        return maps[:, :, 0].contiguous(), maps.gather(3, index[:, :, None].expand(-1, -1, 3, -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, heat: Tensor, near: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        gradient = near.new_empty(ctx.shape)
        maps = split_channels(gradient).flatten(3)
        maps[:, :, 0], maps[:, :, 1:] = heat, 0
        maps.scatter_add_(3, index[:, :, None].expand(-1, -1, 3, -1), near)
        return gradient, None


def split_channels(output: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k 3 h w"]:
    """Disk map, dx and dy of each keypoint."""
    return output.reshape(output.shape[0], output.shape[1] // 3, 3, *output.shape[2:])


def blurred_at(maps: Float[Tensor, "n c h w"], cells: Int64[Tensor, "n 2"], size: int) -> Float[Tensor, "n c"]:
    """The values at one cell of each map after a blur of `size` cells, with maps mirrored at their border."""
    along = torch.arange(size, device=maps.device) - size // 2
    x, y = (_mirrored(c[:, None] + along, n) for c, n in zip(cells.unbind(-1), maps.shape[:1:-1], strict=True))
    index = (y[:, :, None] * maps.shape[-1] + x[:, None, :]).flatten(1)
    near = maps.flatten(2).gather(2, index[:, None].expand(-1, maps.shape[1], -1))
    taps = maps.new_tensor(blur_taps(size))
    weights = (taps[:, None] * taps).flatten()
    return (near * weights).sum(dim=-1) if is_traced() else near @ weights


def _mirrored(index: Int64[Tensor, "n i"], length: int) -> Int64[Tensor, "n i"]:
    return (length - 1 - (length - 1 - index.abs()).abs()).clamp(0, length - 1)
