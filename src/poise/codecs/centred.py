"""Gaussians on a grid whose cells cover blocks of pixels, read at the highest cell (DeepLabCut 3)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, gaussian_on_keypoint
from poise.geometry import Grid
from poise.structures import CropRule, Points


@final
@dataclass(frozen=True)
class CentredMaps(MapCodec):
    """A Gaussian of width `sigma` on each keypoint; the position is the centre of the highest cell, the score is 0 to 1.

    A map of n cells divides its view into n blocks, so that mirroring maps cells onto cells.
    """

    @cached_property
    def grid(self) -> Grid:
        """Each cell covers a block of pixels."""
        return Grid.centred(self.size, self.cells)

    @property
    def crop_rule(self) -> CropRule:
        """Pixels as squares, in the image and in the view."""
        return "unbiased"

    @property
    def tolerance(self) -> float:
        """Half a cell."""
        return 0.5 * max(self.grid.scale) + 1e-3

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The keypoint itself."""
        return cells

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the keypoint; 0 beyond 3 sigma from the nearest cell."""
        return gaussian_on_keypoint(centre, length, self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """The highest cells."""
        return cells.to(maps)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions, and the value of the highest cell of each map, 0 to 1, as the score."""
        found = super().decode(output)
        return Points(found.xy, found.score.clamp(0, 1))
