"""The expectation of a map taken as probabilities (integral regression, arXiv 1711.08229)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from poise.codecs.base import InstanceCodec
from poise.codecs.maps import (
    cell_indices,
    check_maps,
    check_weights,
    gaussian,
    keypoint_weights,
    ohkm_mean,
    round_half_up,
    usual_sigma,
)
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.losses.heatmaps import outer_squares
from poise.structures import Points

MIN_EXPONENT = -20.0
"""Smallest exponent of a perfect output: far from the keypoint the probability is 2e-9 of the highest."""


@final
@dataclass(frozen=True)
class Integral(InstanceCodec):
    """The softmax of each map is the probability of each cell; its expectation is the keypoint (section 2).

    The loss is the L1 distance of the expectation from the label, as a share of the view. `map_weight` adds heatmap supervision
    (the paper's I1).

    Attributes:
        sigma: Standard deviation of the Gaussian of a perfect output, cells.
        beta: Factor of the maps before the softmax.
        map_weight: Factor of the squared error of the probabilities, whose label is a Gaussian.
        cells_on: Position of the cells on the view: "corners" is the cornered grid, whose mirror image maps cells onto cells;
            with "strides" cell 0 is at pixel 0, as in the releases.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
    """

    sigma: float = 2.0
    beta: float = 1.0
    map_weight: float = 0.0
    cells_on: Literal["corners", "strides"] = "corners"
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        if not (self.sigma > 0 and self.beta > 0 and self.map_weight >= 0 and self.cells_on in ("corners", "strides")):
            raise InputError(
                "Integral needs a sigma and a beta above 0, a map_weight of 0 or more and cells on corners or strides, found "
                f"{self.sigma}, {self.beta}, {self.map_weight} and {self.cells_on!r}"
            )
        check_weights(self, self.joint_weights, self.ohkm)

    @classmethod
    def for_size(cls, size: Size, cells: Size, keypoints: int) -> "Integral":
        """With a Gaussian as wide as heatmaps have it at this size (`usual_sigma`)."""
        return cls(size, cells, keypoints, sigma=usual_sigma(size))

    @property
    def roi_weight(self) -> float:
        """32: an output of zeros, whose mean is the middle of the box, has a loss of 0.24."""
        return 32.0

    @cached_property
    def grid(self) -> Grid:
        """Cornered, or strided as in the releases."""
        return (Grid.cornered if self.cells_on == "corners" else Grid.strided)(self.size, self.cells)

    @property
    def channels(self) -> int:
        """One map per keypoint: k."""
        return self.keypoints

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell away from the border, pixels."""
        return 0.001 * max(self.grid.scale)

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by the part of a strided grid that does not mirror; law 4, since the border cuts off tails of the Gaussian."""
        off = self.grid.scale[0] - 1
        fourth = {4: 1e-5 + 0.02 / self.sigma**4 * self.map_weight}  # labels are on the nearest cell, up to half a cell away
        return fourth | ({3: self.tolerance + off} if self.cells_on == "strides" and off > 0 else {})

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """The logarithm of a Gaussian exactly on each keypoint, float32, not below `MIN_EXPONENT`."""
        x, y = self.grid.to_cells(xy).unbind(-1)
        sides = ((y, self.cells[0]), (x, self.cells[1]))
        column, row = ((cell_indices(at, length) - at[..., None]).square() for at, length in sides)
        exponent = (column[..., None] + row[..., None, :]) * (-0.5 / self.sigma**2)
        return (exponent.clamp(min=MIN_EXPONENT) / self.beta).float()

    def targets(self, xy: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """Labels of the probabilities, as a column and a row to be multiplied; zeros where the keypoint is out of reach.

        They are Gaussians on the nearest cell, cut off at 3 sigma, as in the releases.
        """
        x, y = round_half_up(self.grid.to_cells(xy)).unbind(-1)
        column, row = self._cut_gaussian(y, self.cells[0]), self._cut_gaussian(x, self.cells[1])
        return column, row

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or outside the view."""
        return keypoint_weights(self._inside(xy) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """The mean distance along an axis, as a share of the view; that of keypoints without weight is 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        weight = self.weights(xy, visible)
        if not output.numel():
            return output.sum()
        # The positions of keypoints that give no loss mean nothing and may be NaN.
        labels, maps = torch.where(weight[..., None] > 0, xy, 0).float(), output.float()
        off = (self.grid.to_pixels(_SoftMean.apply(maps, self.beta)) - labels) / labels.new_tensor(self.size[::-1])
        loss = off.abs().mean(dim=-1)
        if self.map_weight:
            loss = loss + self.map_weight * outer_squares(self._probability(maps), *self.targets(labels))
        return ohkm_mean(loss, weight, self.ohkm)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """The expectation; the score is the probability within 3 sigma of it on both axes.

        Both are 0 where a map has no finite value.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        maps = output.detach().float().nan_to_num(-torch.inf, torch.finfo(torch.float32).max, -torch.inf)
        probability = self._probability(maps)
        at = expectation(probability)
        with torch.autocast(maps.device.type, enabled=False):
            score = torch.einsum("bkhw,bkw,bkh->bk", probability, *self._near(at))
        finite = at.isfinite().all(dim=-1) & score.isfinite()
        return Points(self.grid.to_pixels(torch.where(finite[..., None], at, 0)), torch.where(finite, score, 0))

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """The maps with columns reversed and left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The probabilities divided by the height of a Gaussian, clamped to 0 and 1."""
        probability = self._probability(output.detach().float())
        return (probability * (2 * torch.pi * self.sigma**2)).nan_to_num(0).clamp(0, 1)

    def _probability(self, maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        return probabilities(maps, self.beta)

    def _near(self, at: Float[Tensor, "b k 2"]) -> list[Tensor]:
        """1 for cells within 3 sigma of a position, else 0, along x and along y."""
        sides = zip(at.unbind(-1), self.cells[::-1], strict=True)
        return [((cell_indices(x, length) - x[..., None]).abs() <= 3 * self.sigma).float() for x, length in sides]

    def _cut_gaussian(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        distance = cell_indices(centre, length) - centre[..., None]
        values = gaussian(distance, self.sigma) * (distance.abs() <= 3 * self.sigma)
        return (values / (values.sum(dim=-1, keepdim=True) + 1e-24)).float()  # nothing stays nothing

    def _inside(self, xy: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        last = xy.new_tensor((self.size[1] - 1, self.size[0] - 1))
        return ((xy >= 0) & (xy <= last)).all(dim=-1)


class _SoftMean(torch.autograd.Function):
    """The expectation under the softmax; its derivative by a cell is the probability of the cell times its distance from it."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, beta: float) -> Tensor:
        probability = probabilities(maps, beta)
        mean = expectation(probability)
        ctx.save_for_backward(probability, mean)
        ctx.beta = beta
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        probability, mean = ctx.saved_tensors
        terms = zip((gradient * ctx.beta).unbind(-1), mean.unbind(-1), probability.shape[:1:-1], strict=True)
        row, column = (g[..., None] * (cell_indices(m, length) - m[..., None]) for g, m, length in terms)
        return (column[..., None] + row[..., None, :]).mul_(probability), None


def probabilities(maps: Float[Tensor, "b k h w"], beta: float) -> Float[Tensor, "b k h w"]:
    """The softmax of `beta` times each map."""
    powers = maps.flatten(2) if beta == 1 else maps.flatten(2) * beta
    return powers.softmax(dim=-1).view(maps.shape)


def expectation(probability: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k 2"]:
    """The mean cell (x, y), cells."""
    column, row = probability.sum(dim=-1), probability.sum(dim=-2)
    return torch.stack([(line * cell_indices(line, line.shape[-1])).sum(dim=-1) for line in (row, column)], dim=-1)
