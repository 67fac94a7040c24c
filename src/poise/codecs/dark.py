"""Bumps exactly on the keypoints, decoded by a Taylor step in the logarithm (DARK, arXiv 1910.06278)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, bump, ruler
from poise.errors import InputError
from poise.geometry import Grid


@final
@dataclass(frozen=True)
class Dark(MapCodec):
    """A bump of width `sigma` cells over the whole map, exactly on each keypoint (section 3.2).

    Attributes:
        kernel: Cells a side of the blur that smooths maps before they are decoded (section 3.1); odd.
    """

    kernel: int = 11

    def __post_init__(self) -> None:
        """Refuse an even blur."""
        super().__post_init__()
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise InputError(f"Dark needs an odd kernel of 3 cells or more, found {self.kernel}")

    @cached_property
    def grid(self) -> Grid:
        """One factor for both axes about the common centre."""
        return Grid.isotropic(self.size, self.cells)

    @property
    def tolerance(self) -> float:
        """A hundredth of a cell, away from the border."""
        return 0.01 * self.grid.scale[0]

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The keypoint itself."""
        return cells

    def profiles(self, cells: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """A bump around the keypoint, never cut off."""
        x, y = cells.unbind(-1)
        height, width = self.cells
        return (
            bump(ruler(cells, height) - y[..., None], self.sigma),
            bump(ruler(cells, width) - x[..., None], self.sigma),
        )

    def peaks(
        self, maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k 2"], score: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b k 2"]:
        """One Newton step in the logarithm of the smoothed map; cells within two of the border stay where they are."""
        x, y = cells.unbind(-1)
        height, width = self.cells
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
        smooth = self.smooth(maps).flatten(0, 1)
        reach = torch.arange(-2, 3, device=maps.device)
        x, y = (torch.where(inside, v, 2).flatten()[:, None] + reach for v in (x, y))
        rows = torch.arange(len(smooth), device=maps.device)[:, None, None]
        log = smooth[rows, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]].clamp(min=1e-10).log()
        step = newton(log).view(*cells.shape)
        return cells + torch.where(inside[..., None], step, 0)

    def smooth(self, maps: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps blurred with zeros around them, and scaled so that each keeps its maximum."""
        taps = gaussian_taps(self.kernel, maps)
        wide = F.conv2d(maps.flatten(0, 1)[:, None], taps.view(1, 1, 1, -1), padding=(0, self.kernel // 2))
        blurred = F.conv2d(wide, taps.view(1, 1, -1, 1), padding=(self.kernel // 2, 0)).view(maps.shape)
        return blurred * (maps.amax(dim=(-2, -1), keepdim=True) / blurred.amax(dim=(-2, -1), keepdim=True))


def gaussian_taps(size: int, like: Float[Tensor, "*n"]) -> Float[Tensor, " size"]:
    """The blur OpenCV takes for `size` cells when it is not told how wide: sigma = 0.3 ((size - 1) / 2 - 1) + 0.8."""
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = torch.exp(-0.5 * ((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / sigma) ** 2)
    return (taps / taps.sum()).to(like)


def newton(log: Float[Tensor, "n 5 5"]) -> Float[Tensor, "n 2"]:
    """- inverse Hessian times gradient at the middle, by central differences over one and two cells; 0 if singular."""
    c = log[:, 2, 2]
    dx, dy = (log[:, 2, 3] - log[:, 2, 1]) / 2, (log[:, 3, 2] - log[:, 1, 2]) / 2
    dxx = (log[:, 2, 4] - 2 * c + log[:, 2, 0]) / 4
    dyy = (log[:, 4, 2] - 2 * c + log[:, 0, 2]) / 4
    dxy = (log[:, 3, 3] - log[:, 1, 3] - log[:, 3, 1] + log[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=-1)
    return torch.where(determinant[:, None] != 0, step / determinant[:, None], 0)
