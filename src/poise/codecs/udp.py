"""Bumps exactly on the keypoints of an unbiased grid (UDP, arXiv 1911.07524)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, bump, rounded, ruler
from poise.geometry import Grid

TAPS = (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125)
"""OpenCV's table for a blur of 7 cells."""

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
        """A tenth of a cell, away from the border: the cut-off and the floor of the logarithm leave a little."""
        return 0.1 * max(self.grid.scale)

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return rounded(cells)

    def profiles(self, cells: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """A bump around the keypoint, 0 beyond 3 sigma from the nearest cell."""
        column, row = (self._profile(cells[..., axis], self.cells[1 - axis]) for axis in (1, 0))
        return column, row

    def _profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        cell = ruler(centre, length)
        window = (cell - rounded(centre)[..., None]).abs() <= 3 * self.sigma
        return bump(cell - centre[..., None], self.sigma) * window

    def peaks(
        self, maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k 2"], score: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b k 2"]:
        """One Newton step in the logarithm of the smoothed map, at the border too."""
        height, width = self.cells
        smooth = self.smooth(maps).flatten(0, 1)
        x, y = (v.flatten()[:, None] + torch.arange(-1, 2, device=maps.device) for v in cells.unbind(-1))
        rows = torch.arange(len(smooth), device=maps.device)[:, None, None]
        patch = smooth[rows, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
        return cells + newton(patch.clamp(LEAST, MOST).log()).view(*cells.shape)

    def smooth(self, maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps blurred, and scaled so that each goes from 0 to its maximum."""
        taps = maps.new_tensor(TAPS)
        wide = F.pad(maps.flatten(0, 1)[:, None], (3, 3, 3, 3), mode="reflect")
        blurred = F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).view(maps.shape)
        low, high = blurred.amin(dim=(-2, -1), keepdim=True), blurred.amax(dim=(-2, -1), keepdim=True)
        return (blurred - low) / (high - low) * maps.amax(dim=(-2, -1), keepdim=True)


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
