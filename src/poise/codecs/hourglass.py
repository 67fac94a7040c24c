"""Labels and reading of the stacked hourglass (arXiv 1603.06937), as in PyTorch-Pose and Learning from Synthetic Animals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, cell_indices, check_maps, gaussian, keypoint_weights, round_half_up
from poise.decoding.subpixel import quarter_offset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.losses.heatmaps import mean_squares, ohkm_squares, squares
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class Hourglass(MapCodec):
    """A Gaussian or Cauchy peak on the cell each keypoint lies in, cut off at 3 sigma; read with a quarter shift.

    Attributes:
        label: Shape of the peak: exp(-d^2 / 2 sigma^2), or sigma / (d^2 + sigma^2)^1.5, which is 1 / sigma^2 high.
        weight: Factor of the loss, half the mean squared error. Learning from Synthetic Animals divides the sum over keypoints
            by 18 whatever their number: 17 / 18 for 17 of them.
    """

    sigma: float = 1.0
    label: Literal["gaussian", "cauchy"] = "gaussian"
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse unknown labels, and a weight that is not above 0."""
        super().__post_init__()
        if self.label not in ("gaussian", "cauchy"):
            raise InputError(f"Hourglass draws 'gaussian' or 'cauchy' labels, found {self.label!r}")
        if not self.weight > 0:
            raise InputError(f"Hourglass needs a weight above 0, found {self.weight}")

    @classmethod
    def for_size(cls, size: Size, cells: Size, keypoints: int) -> "Hourglass":
        """The codec with Gaussians of 1 cell, which the releases use at every size."""
        return cls(size, cells, keypoints)

    @property
    def crop_rule(self) -> CropRule:
        """The rule of PyTorch-Pose."""
        return "hourglass"

    @cached_property
    def grid(self) -> Grid:
        """A keypoint is labelled in the cell that its pixel lies in, and read in the middle of a cell."""
        scale = (self.size[1] / self.cells[1], self.size[0] / self.cells[0])
        return Grid(self.size, self.cells, scale, (scale[0] / 2, scale[1] / 2))

    @property
    def tolerance(self) -> float:
        """Half a cell, in pixels: labels stand on whole cells."""
        return max(self.grid.scale) / 2 + 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by one pixel, by which the grid does not mirror onto itself."""
        return {3: self.tolerance + 1}

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The cell that the keypoint lies in."""
        return round_half_up(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """The Gaussian along one axis."""
        distance, pasted = self._patch(round_half_up(centre), length)
        return gaussian(distance, self.sigma) * pasted

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """A quarter of a cell towards the higher neighbour on each axis; cells at the border stay where they are.

        Without a positive value the position is cell -1, as in the release.
        """
        return torch.where((score <= 0)[:, None], -1, quarter_offset(maps, cells, cells, border="outermost"))

    def draw(self, at: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """Labels at positions in cells, float32, drawn as the release does: its patch is pasted on whole cells.

        A map is all zeros where the patch is outside of it.
        """
        (x, in_x), (y, in_y) = (self._patch(p, n) for p, n in zip(at.unbind(-1), self.cells[::-1], strict=True))
        if self.label == "gaussian":
            column, row = gaussian(y, self.sigma) * in_y, gaussian(x, self.sigma) * in_x
            return (column[..., None] * row[..., None, :]).float()
        squared = y.square()[..., None] + (x.square() + self.sigma**2)[..., None, :]
        return (squared.pow(-1.5) * (self.sigma * in_y[..., None]) * in_x[..., None, :]).float()

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A peak on each keypoint, float32; zeros where the keypoint is out of reach of the map."""
        return self.draw(round_half_up(self.grid.to_cells(xy)))

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """`weight` times half the mean squared error; the error of unlabelled keypoints is 0, and they are part of the mean.

        Raises:
            InputError: The output is not of this codec's size.
        """
        if self.label == "gaussian":
            return self.weight * super().loss(output, xy, visible)
        check_maps(self, output)
        at = self.grid.to_cells(xy)
        counts = self._in_reach(at) & (visible > 0)
        distance = squares(output.float(), self.draw(round_half_up(torch.where(counts[..., None], at, 0))))
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return self.weight * mean_squares(distance, keypoint_weights(counts, self.joint_weights), cells=cells)
        return self.weight * ohkm_squares(distance, keypoint_weights(counts, self.joint_weights), cells=cells, top=self.ohkm)

    def _patch(self, at: Float[Tensor, "b k"], length: int) -> tuple[Float[Tensor, "b k n"], Bool[Tensor, "b k n"]]:
        """The distance of each cell of an axis from the middle of the patch, in cells, and whether the patch covers it.

        The release truncates the first and the last cell of the patch towards 0.
        """
        first, end = (at - 3 * self.sigma).trunc()[..., None], (at + 3 * self.sigma + 1).trunc()[..., None]
        cell = cell_indices(at, length)
        return cell - first - int(6 * self.sigma + 1) // 2, (cell >= first) & (cell < end)
