"""Bumps exactly on the keypoints, decoded by a Taylor step in the logarithm (DARK, arXiv 1910.06278)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import MapCodec, blur_taps, blurred, blurred_extremes, bump, ruler
from poise.errors import InputError
from poise.geometry import Grid

FLOOR = 1e-10
"""Under the logarithm, as the release has it."""


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
        """A thousandth of a cell, away from the border."""
        return 0.001 * self.grid.scale[0]

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The keypoint itself."""
        return cells

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A bump around the keypoint, never cut off."""
        return bump(ruler(centre, length) - centre[..., None], self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """One Newton step in the logarithm of the smoothed map; cells within two of the border stay where they are.

        The step does not change when a map is scaled, so only what is around each highest cell is smoothed. Where that
        is not positive the release's floor under the logarithm counts, and with it the scale.
        """
        limit = cells.new_tensor(self.cells[::-1]) - 2
        inside = ((cells > 1) & (cells < limit)).all(dim=-1)
        near = self._smooth_around(maps, cells)
        low = (near <= FLOOR).flatten(1).any(dim=1) & inside
        if low.any():
            near[low] *= self._gain(maps[low], score[low])[:, None, None]
        return cells + torch.where(inside[:, None], newton(near.clamp(min=FLOOR).log()), 0)

    def smooth(self, maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """The maps blurred with zeros around them, and scaled so that each keeps its maximum."""
        smooth = torch.empty_like(maps)
        for some, part in blurred(maps, self.kernel, "zeros"):
            smooth[some] = part.permute(2, 0, 1)
        return smooth * self._gain(maps, maps.flatten(1).amax(dim=1))[:, None, None]

    def _gain(self, maps: Float[Tensor, "n h w"], score: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """How much lower the blur makes each maximum."""
        return score / blurred_extremes(maps, self.kernel, "zeros")[1]

    def _smooth_around(self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"]) -> Float[Tensor, "n 5 5"]:
        """The blurred maps in 5x5 cells around `cells`."""
        height, width = self.cells
        reach = self.kernel // 2 + 2
        x, y = (c[:, None] + torch.arange(-reach, reach + 1, device=maps.device) for c in cells.unbind(-1))
        rows, columns = y.clamp(0, height - 1) * width, x.clamp(0, width - 1)
        index = rows[:, :, None] + columns[:, None, :]
        patch = maps.flatten(1).gather(1, index.flatten(1)).view(index.shape)
        patch *= ((y >= 0) & (y < height))[:, :, None].float()
        patch *= ((x >= 0) & (x < width))[:, None, :].float()
        taps = torch.tensor(blur_taps(self.kernel), dtype=torch.float64, device=maps.device)
        band = torch.stack([F.pad(taps, (i, 4 - i)) for i in range(5)], dim=1)
        # In float64, so that no setting of precision for matrix products reaches it.
        return (patch.flatten(1).double() @ torch.kron(band, band)).view(-1, 5, 5)


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
