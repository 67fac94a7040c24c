"""Gaussians on the cells of a strided grid (Simple Baselines, arXiv 1804.06208; HRNet, arXiv 1902.09212)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import Lattice, MapCodec, build_grid, gaussian_on_cell, gaussian_on_keypoint, mirror_error, round_half_up
from poise.decoding.subpixel import quarter_offset, rounding_error
from poise.geometry import Grid
from poise.structures import CropRule, Points


@dataclass(frozen=True)
class StridedMaps(MapCodec):
    """A Gaussian of width `sigma`, cut off at 3 sigma, on the cell nearest to each keypoint.

    Its other forms are the steps from HRNet to UDP (arXiv 1911.07524): another grid, exact Gaussians, another way to merge the
    output for the mirrored view.

    Attributes:
        shift_flipped: Whether maps of the mirrored view are shifted by one cell to the right (HRNet's SHIFT_HEATMAP). Cell 0 of
            the strided grid does not mirror onto the last cell, and the shift corrects most of that.
        exact: Whether Gaussians stand on the keypoints themselves instead of the nearest cells.
        lattice: Position of the cells on the view; "cornered" is UDP's.
        compensate: Whether positions are moved by half of `mirror_error`, which is the error of the mean of both views. On a
            strided grid with `shift_flipped` that is half a pixel, 1 / 2s cells. It is meant for the flip test: without one
            positions are off by as much.
    """

    shift_flipped: bool = True
    exact: bool = False
    lattice: Lattice = "strided"
    compensate: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown grids."""
        super().__post_init__()
        build_grid(self.lattice, self.size, self.cells)

    @cached_property
    def grid(self) -> Grid:
        """The grid named `lattice`; by default strided, with cell 0 on pixel 0."""
        return build_grid(self.lattice, self.size, self.cells)

    @property
    def crop_rule(self) -> CropRule:
        """The rule of HRNet's release, which LPN shares."""
        return "hrnet"

    @property
    def tolerance(self) -> float:
        """Half a cell if the label is rounded or the reading coarse, else the error of the reading; pixels."""
        exactly = self.exact and self.reading is not None
        return (rounding_error(self.reading) if exactly else 0.5) * max(self.grid.scale) + 1e-3

    @property
    def mirror_error(self) -> float:
        """Error along x of the output for the mirrored view, flipped back, pixels."""
        return mirror_error(self.grid, shift=int(self.shift_flipped))

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 2 in column 0 if flipped maps are shifted; law 3 by `mirror_error`; law 1 too if that is compensated."""
        error = abs(self.mirror_error)
        broken = {2: 1 / self.cells[1]} if self.shift_flipped else {}
        if error < 1e-6:
            return broken
        if self.compensate:
            return broken | {1: self.tolerance + error / 2, 3: self.tolerance + error / 2}
        return broken | {3: self.tolerance + error}

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return round_half_up(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the nearest cell or, if `exact`, around the keypoint; 0 beyond 3 sigma from the nearest cell."""
        return (gaussian_on_keypoint if self.exact else gaussian_on_cell)(centre, length, self.sigma)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions and scores as of `MapCodec`; positions moved by half of `mirror_error` to the left if `compensate`."""
        found = super().decode(output)
        if not self.compensate:
            return found
        return Points(found.xy - found.xy.new_tensor((self.mirror_error / 2, 0)), found.score)

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """The maps with columns reversed and keypoints swapped; shifted by a cell, column 0 staying, if `shift_flipped`."""
        back = super().unflip(output, flip)
        return torch.cat((back[..., :1], back[..., :-1]), dim=-1) if self.shift_flipped else back


@final
@dataclass(frozen=True)
class Gaussian(StridedMaps):
    """A Gaussian on the cell nearest to each keypoint, read with a quarter shift."""

    @property
    def report_methods(self) -> tuple[str, ...]:
        """DARK's step and the fit of 5x5 cells: no reading gives back what the rounded label has lost."""
        return ("dark", "fit5")

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """A quarter of a cell towards the higher neighbour on each axis; cells 0, 1 and the last stay where they are."""
        return quarter_offset(maps, cells, cells)
