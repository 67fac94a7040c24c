"""Gaussians exactly on the keypoints with RSN's losses and height (UDP, arXiv 1911.07524; RSN, arXiv 2003.04030)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.maps import cell_indices, check_maps, gaussian
from poise.codecs.staged import HEIGHT, StagedCodec, steps
from poise.codecs.udp import UDPGaussian
from poise.decoding.subpixel import SubpixelMethod, argmax_cells, check_method
from poise.decoding.taylor import udp_taylor_step
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import CropRule, Points

SIGMAS: Mapping[int, float] = {15: 2.6, 11: 2.0, 9: 1.7, 7: 1.4105, 5: 1.1105}
"""Standard deviation in cells of the Gaussians that replace the blurs of 15 to 5 cells in UDP's RSN."""


@final
@dataclass(frozen=True)
class MegviiUDP(StagedCodec):
    """A Gaussian of width `sigma` exactly on each keypoint, over the whole map; read as by `UDPGaussian`.

    How UDP's release trains RSN (arXiv 1911.07524): labels of RSN's loss and height on an unbiased grid.

    Attributes:
        sigma: Standard deviation of the Gaussian, cells.
        reading: How positions are read from the maps (`decoding.subpixel`); None for UDP's way.
    """

    sigma: float = 1.4105
    reading: SubpixelMethod | None = None

    def __post_init__(self) -> None:
        """Refuse a Gaussian without width."""
        super().__post_init__()
        if not self.sigma > 0:
            raise InputError(f"MegviiUDP needs a sigma above 0 cells, found {self.sigma}")
        check_method(self.reading)

    @cached_property
    def reader(self) -> UDPGaussian:
        """The codec that reads the maps, divided by `height`."""
        return UDPGaussian(self.size, self.cells, self.keypoints, sigma=self.sigma, reading=self.reading)

    @property
    def crop_rule(self) -> CropRule:
        """The rule of UDP's release."""
        return "udp"

    @property
    def grid(self) -> Grid:
        """Cornered: a mirror image maps cells onto cells."""
        return self.reader.grid

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell away from the border, pixels."""
        return self.reader.tolerance

    def profiles(self, xy: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """The Gaussian along both axes."""
        x, y = self.grid.to_cells(xy).unbind(-1)
        column, row = (
            gaussian(cell_indices(at, length) - at[..., None], self.sigma)
            for at, length in zip((y, x), self.cells, strict=True)
        )
        return column.float(), row.float()

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions, and the value of the highest cell divided by `height` as the score.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        if self.reading is not None:
            return self.reader.decode(output.float() / self.height)
        # UDP's step is the same for maps of any height, but for the height itself: no need to divide all cells.
        maps = output.detach().float().flatten(0, 1).contiguous()
        with torch.autocast(maps.device.type, enabled=False):
            cells, score = argmax_cells(maps)
            score = score / self.height
            found = cells + udp_taylor_step(maps, cells, score)
        found = torch.where(found.isfinite().all(dim=-1, keepdim=True), found, cells).float().view(*output.shape[:2], 2)
        return Points(self.grid.to_pixels(found), score.nan_to_num(0, 0, 0).view(output.shape[:2]))


def rsn_udp_codecs(
    size: Size, cells: Size, keypoints: int, *, stages: int, coarse_to_fine: bool = True, height: float = HEIGHT
) -> tuple[tuple[MegviiUDP, ...], MegviiUDP]:
    """The codecs of RSN as UDP's release trains it: `mspn_codecs` with Gaussians exactly on the keypoints."""
    made = [
        MegviiUDP(size, cells, keypoints, height=height, weight=0.25, least_visible=2, others="emptied", sigma=SIGMAS[kernel])
        if step < 3
        else MegviiUDP(size, cells, keypoints, height=height, ohkm=min(8, keypoints), sigma=SIGMAS[kernel])
        for step, kernel in steps(stages, coarse_to_fine=coarse_to_fine)
    ]
    return tuple(made[:-1]), made[-1]
