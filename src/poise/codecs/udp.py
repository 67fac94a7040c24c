"""Bumps exactly on the keypoints of an unbiased grid (UDP, arXiv 1911.07524)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, blurred, blurred_extremes, bump, rounded, ruler
from poise.geometry import Grid

BLUR = 7
"""Cells a side of the blur that smooths maps before they are decoded."""

LEAST, MOST = 0.001, 50.0
"""The release cuts smoothed maps here before it takes the logarithm."""


@final
@dataclass(frozen=True)
class UDPGaussian(MapCodec):
    """A bump of width `sigma` cells exactly on each keypoint, cut off at 3 sigma around the nearest cell (section 3)."""

    @cached_property
    def grid(self) -> Grid:
        """Cornered: a mirror maps cells onto cells."""
        return Grid.cornered(self.size, self.cells)

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell, away from the border."""
        return 0.001 * max(self.grid.scale)

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return rounded(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A bump around the keypoint, 0 beyond 3 sigma from the nearest cell."""
        cell = ruler(centre, length)
        window = (cell - rounded(centre)[..., None]).abs() <= 3 * self.sigma
        return bump(cell - centre[..., None], self.sigma) * window

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """One Newton step in the logarithm of the smoothed map, at the border too.

        The step does not change when a map is scaled, and no blur makes it higher than it was. So the highest smoothed
        value is looked for only where the release's cuts under the logarithm may count.
        """
        near, low = self._around(maps, cells)
        high = score.clone()
        uncut = (_risen(near, low, high, score) > LEAST).all(dim=1) & (score <= MOST)
        if not uncut.all():
            high[~uncut] = blurred_extremes(maps[~uncut], BLUR, "mirror")[1]
        risen = _risen(near, low, high, score).clamp(LEAST, MOST)
        return cells + newton(risen.log().view(-1, 3, 3))

    def smooth(self, maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """The maps blurred, and scaled so that each goes from 0 to its maximum."""
        low, high = blurred_extremes(maps, BLUR, "mirror")
        smooth = torch.empty_like(maps)
        for some, part in blurred(maps, BLUR, "mirror"):
            smooth[some] = part.permute(2, 0, 1)
        return _risen(smooth.flatten(1), low, high, maps.flatten(1).amax(dim=1)).view(maps.shape)

    def _around(self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"]) -> tuple[Tensor, Tensor]:
        """The blurred maps in 3x3 cells around `cells`, (n, 9), and their lowest values, (n)."""
        height, width = self.cells
        x, y = (c[:, None] + torch.arange(-1, 2, device=maps.device) for c in cells.unbind(-1))
        index = (y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]).flatten(1)
        near, low = maps.new_empty(index.shape), maps.new_empty(len(maps))
        for some, smooth in blurred(maps, BLUR, "mirror"):
            near[some] = smooth.flatten(0, 1).gather(0, index[some].t()).t()
            low[some] = smooth.amin(dim=0).amin(dim=0)  # both axes at once are slow for a few maps
        return near, low


def _risen(
    values: Float[Tensor, "n i"], low: Float[Tensor, " n"], high: Float[Tensor, " n"], score: Float[Tensor, " n"]
) -> Float[Tensor, "n i"]:
    return (values - low[:, None]) / (high - low)[:, None] * score[:, None]


def newton(log: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 2"]:
    """- inverse Hessian times gradient at the middle; the mixed derivative looks along one diagonal, as the release does."""
    log = log.double()
    c, left, right, up, down = log[:, 1, 1], log[:, 1, 0], log[:, 1, 2], log[:, 0, 1], log[:, 2, 1]
    dx, dy = (right - left) / 2, (down - up) / 2
    tiny = torch.finfo(torch.float32).eps  # the release adds it so that no Hessian is singular
    dxx, dyy = right - 2 * c + left + tiny, down - 2 * c + up + tiny
    dxy = (log[:, 2, 2] - right - down + 2 * c - left - up + log[:, 0, 0]) / 2
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=-1)
    return step / (dxx * dyy - dxy * dxy)[:, None]
