"""Gaussians exactly on the keypoints, decoded by a Taylor step in the logarithm (DARK, arXiv 1910.06278)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import Lattice, MapCodec, build_grid, cell_indices, gaussian, mirror_error
from poise.decoding.blur import blur_maps
from poise.decoding.subpixel import rounding_error
from poise.decoding.taylor import dark_blur_gain, dark_taylor_step
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class Dark(MapCodec):
    """A Gaussian of width `sigma` over the whole map, exactly on each keypoint (section 3.2).

    Attributes:
        kernel: Cells a side of the Gaussian blur before maps are decoded (section 3.1); odd.
        lattice: Position of the cells on the view: "isotropic" as in DARK's release, "strided" as in HRNet's (which MMPose
            keeps), "cornered" as in UDP's.
    """

    kernel: int = 11
    lattice: Lattice = "isotropic"

    def __post_init__(self) -> None:
        """Refuse a blur of an even size."""
        super().__post_init__()
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise InputError(f"Dark needs an odd kernel of 3 cells or more, found {self.kernel}")

    @cached_property
    def grid(self) -> Grid:
        """The grid named `lattice`; by default isotropic, one factor for both axes about the common centre."""
        return build_grid(self.lattice, self.size, self.cells)

    @property
    def crop_rule(self) -> CropRule:
        """The rule of DARK's release."""
        return "dark"

    @property
    def report_methods(self) -> tuple[str, ...]:
        """The quarter shift and the fit of 5x5 cells: labels are exact, so that their errors are those of the reading alone."""
        return ("quarter", "fit5")

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 where the grid does not mirror onto itself."""
        error = abs(mirror_error(self.grid))
        return {3: self.tolerance + error} if error > 1e-6 else {}

    @property
    def tolerance(self) -> float:
        """A thousandth of a cell away from the border, half a cell for a coarse reading; pixels."""
        return rounding_error(self.reading) * self.grid.scale[0]

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The keypoint itself."""
        return cells

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the keypoint, not cut off."""
        return gaussian(cell_indices(centre, length) - centre[..., None], self.sigma)

    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """One Newton step in the logarithm of the blurred map (section 3.1)."""
        return cells + dark_taylor_step(maps, cells, score, kernel=self.kernel)

    def smooth(self, maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """The maps blurred, with zeros around them, and scaled so that each keeps its maximum."""
        gain = dark_blur_gain(maps, maps.flatten(1).amax(dim=1), kernel=self.kernel)
        return blur_maps(maps, self.kernel, "zeros") * gain[:, None, None]
