"""Gaussians exactly on the keypoints, decoded by a Taylor step in the logarithm (DARK, arXiv 1910.06278)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import Lattice, MapCodec, gaussian, laid, mirror_error, ruler
from poise.decoding.blur import blur_maps
from poise.decoding.subpixel import rounding_error
from poise.decoding.taylor import dark_blur_gain, dark_taylor_step
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class Dark(MapCodec):
    """A Gaussian of width `sigma` cells over the whole map, exactly on each keypoint (section 3.2).

    Attributes:
        kernel: Cells a side of the blur that smooths maps before they are decoded (section 3.1); odd.
        lattice: How the cells lie on the view: as in the release of DARK, of HRNet (which mmpose keeps), or of UDP.
    """

    kernel: int = 11
    lattice: Lattice = "isotropic"

    def __post_init__(self) -> None:
        """Refuse an even blur."""
        super().__post_init__()
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise InputError(f"Dark needs an odd kernel of 3 cells or more, found {self.kernel}")

    @cached_property
    def grid(self) -> Grid:
        """One factor for both axes about the common centre, or as `lattice` says."""
        return laid(self.lattice, self.size, self.cells)

    @property
    def crop_rule(self) -> CropRule:
        """DARK's."""
        return "dark"

    @property
    def report_readings(self) -> tuple[str, ...]:
        """The quarter shift and the fit of 5x5 cells: labels are exact, so that their errors are those of the reading alone."""
        return ("quarter", "fit5")

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3, where the grid does not mirror onto itself."""
        error = abs(mirror_error(self.grid))
        return {3: self.tolerance + error} if error > 1e-6 else {}

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell, away from the border; half a cell by a coarse reading."""
        return rounding_error(self.reading) * self.grid.scale[0]

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The keypoint itself."""
        return cells

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the keypoint, never cut off."""
        return gaussian(ruler(centre, length) - centre[..., None], self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """One Newton step in the logarithm of the smoothed map (section 3.1)."""
        return cells + dark_taylor_step(maps, cells, score, kernel=self.kernel)

    def smooth(self, maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """The maps blurred with zeros around them, and scaled so that each keeps its maximum."""
        gain = dark_blur_gain(maps, maps.flatten(1).amax(dim=1), kernel=self.kernel)
        return blur_maps(maps, self.kernel, "zeros") * gain[:, None, None]
