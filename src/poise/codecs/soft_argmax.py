"""Gaussians on rounded cells, decoded by the mean cell under a softmax (LPN, arXiv 1911.10346)."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.gaussian import StridedMaps
from poise.decoding.subpixel import SOFT_ARGMAX_BETA, argmax_cells, quarter_offset, soft_argmax
from poise.errors import InputError


@final
@dataclass(frozen=True)
class SoftArgmax(StridedMaps):
    """A Gaussian on the cell nearest to each keypoint, read by beta-soft-argmax.

    The score is the value of the cell nearest to the mean, not the highest value.

    Attributes:
        beta: Factor of the maps before the softmax.
        quarter: Whether the mean is then moved a quarter of a cell towards the higher neighbour, as in the release.
    """

    beta: float = SOFT_ARGMAX_BETA
    quarter: bool = True

    def __post_init__(self) -> None:
        """Refuse a beta with which the softmax is not highest at the peak."""
        super().__post_init__()
        if not self.beta > 0:
            raise InputError(f"SoftArgmax needs a beta above 0, found {self.beta}")

    def read(self, maps: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        """The mean cells and the values of the cells nearest to them; the highest cell where the mean is not finite."""
        if self.reading is not None:
            return super().read(maps)
        mean = soft_argmax(maps, beta=self.beta)
        if not mean.sum().isfinite():
            bad = ~mean.isfinite().all(dim=-1)
            mean[bad] = argmax_cells(maps[bad])[0].to(mean)
        x, y = mean.round().long().unbind(-1)
        score = maps.flatten(1).gather(1, (y * maps.shape[-1] + x)[:, None]).squeeze(1)
        return (quarter_offset(maps, (mean + 0.5).floor().long(), mean) if self.quarter else mean), score

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """The mean cells."""
        return self.read(maps)[0]
