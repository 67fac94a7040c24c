"""Gaussians exactly on the keypoints of an unbiased grid (UDP, arXiv 1911.07524)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, gaussian_on_keypoint, round_half_up
from poise.decoding.blur import blurred_extremes, iterate_blurred
from poise.decoding.subpixel import rounding_error
from poise.decoding.taylor import UDP_BLUR, rescaled, udp_taylor_step
from poise.geometry import Grid
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class UDPGaussian(MapCodec):
    """A Gaussian of width `sigma` exactly on each keypoint, cut off at 3 sigma around the nearest cell (section 3)."""

    @property
    def crop_rule(self) -> CropRule:
        """The rule of UDP's release."""
        return "udp"

    @cached_property
    def grid(self) -> Grid:
        """Cornered: a mirror image maps cells onto cells."""
        return Grid.cornered(self.size, self.cells)

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell away from the border, half a cell for a coarse reading; pixels."""
        return rounding_error(self.reading) * max(self.grid.scale)

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return round_half_up(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the keypoint, 0 beyond 3 sigma from the nearest cell."""
        return gaussian_on_keypoint(centre, length, self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """One Newton step in the logarithm of the blurred map, at the border too."""
        return cells + udp_taylor_step(maps, cells, score)

    def smooth(self, maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """The maps blurred, and scaled so that each goes from 0 to its maximum before the blur."""
        low, high = blurred_extremes(maps, UDP_BLUR, "mirror")
        smooth = torch.empty_like(maps)
        for some, part in iterate_blurred(maps, UDP_BLUR, "mirror"):
            smooth[some] = part.permute(2, 0, 1)
        return rescaled(smooth.flatten(1), low, high, maps.flatten(1).amax(dim=1)).view(maps.shape)
