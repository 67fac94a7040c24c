"""Bumps on rounded cells, decoded with a quarter shift (Simple Baselines, arXiv 1804.06208; HRNet, arXiv 1902.09212)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, bump, rounded, ruler
from poise.codecs.readings import quarter
from poise.geometry import Grid


@final
@dataclass(frozen=True)
class Gaussian(MapCodec):
    """A bump of width `sigma` cells, cut off at 3 sigma, on the cell nearest to each keypoint.

    Attributes:
        shift_flipped: Whether maps of the mirrored view move one cell to the right (HRNet's SHIFT_HEATMAP). Cell 0 of
            the strided grid does not mirror onto the last cell, and this makes up for most of it.
    """

    shift_flipped: bool = True

    @cached_property
    def grid(self) -> Grid:
        """Strided: cell 0 on pixel 0."""
        return Grid.strided(self.size, self.cells)

    @property
    def tolerance(self) -> float:
        """Half a cell: the target is rounded."""
        return max(self.grid.scale) / 2 + 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 2 in column 0 when flipped maps are shifted; law 3 by what the strided grid does not mirror."""
        stride = self.grid.scale[0]
        if self.shift_flipped:
            return {2: 1 / self.cells[1], 3: self.tolerance + 1}
        return {3: self.tolerance + stride - 1} if stride > 1 else {}

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return rounded(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A bump around the nearest cell, 0 beyond 3 sigma."""
        distance = ruler(centre, length) - rounded(centre)[..., None]
        return bump(distance, self.sigma) * (distance.abs() <= 3 * self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """A quarter of a cell towards the higher neighbour on each axis; cells 0, 1 and the last stay where they are."""
        return quarter(maps, cells, cells)

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """Columns reversed, left and right swapped; then one cell to the right, column 0 staying, if `shift_flipped`."""
        back = super().unflip(output, flip)
        return torch.cat((back[..., :1], back[..., :-1]), dim=-1) if self.shift_flipped else back
