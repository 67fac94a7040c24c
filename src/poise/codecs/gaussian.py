"""Gaussians on rounded cells, decoded with a quarter shift (Simple Baselines, arXiv 1804.06208; HRNet, arXiv 1902.09212)."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.strided import StridedMaps
from poise.decoding.subpixel import quarter_offset


@final
@dataclass(frozen=True)
class Gaussian(StridedMaps):
    """A Gaussian on the cell nearest to each keypoint, read with a quarter shift."""

    @property
    def report_readings(self) -> tuple[str, ...]:
        """DARK's step and the fit of 5x5 cells: no reading gives back what the rounded label has lost."""
        return ("dark", "fit5")

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """A quarter of a cell towards the higher neighbour on each axis; cells 0, 1 and the last stay where they are."""
        return quarter_offset(maps, cells, cells)
