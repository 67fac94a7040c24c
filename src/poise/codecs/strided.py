"""What HRNet's and LPN's codecs share: Gaussians on the cells of a strided grid, and flipped maps shifted by one cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import Lattice, MapCodec, gaussian_on_cell, gaussian_on_keypoint, laid, mirror_error, rounded
from poise.decoding.subpixel import rounding_error
from poise.geometry import Grid
from poise.structures import CropRule, Points


@dataclass(frozen=True)
class StridedMaps(MapCodec):
    """A Gaussian of width `sigma` cells, cut off at 3 sigma, on the cell nearest to each keypoint.

    Its other forms are the steps from HRNet to UDP (arXiv 1911.07524): other cells, other Gaussians, other ways to add the
    answer for the mirrored view.

    Attributes:
        shift_flipped: Whether maps of the mirrored view move one cell to the right (HRNet's SHIFT_HEATMAP). Cell 0 of
            the strided grid does not mirror onto the last cell, and this makes up for most of it.
        exact: Whether Gaussians stand on the keypoints themselves instead of the nearest cells.
        lattice: How the cells lie on the view; UDP's are cornered.
        compensate: Whether positions move by half of `mirror_error`, for which the mean of both views is off. On a strided
            grid with `shift_flipped` that is half a pixel, 1 / 2s cells. It is meant for the flip test: without it positions
            are off by as much.
    """

    shift_flipped: bool = True
    exact: bool = False
    lattice: Lattice = "strided"
    compensate: bool = False

    def __post_init__(self) -> None:
        """Refuse grids there are not."""
        super().__post_init__()
        laid(self.lattice, self.size, self.cells)

    @cached_property
    def grid(self) -> Grid:
        """Strided: cell 0 on pixel 0; or as `lattice` says."""
        return laid(self.lattice, self.size, self.cells)

    @property
    def crop_rule(self) -> CropRule:
        """HRNet's, which LPN shares."""
        return "hrnet"

    @property
    def tolerance(self) -> float:
        """Half a cell where the target is rounded or read coarsely; else what the reading misses."""
        exactly = self.exact and self.reading is not None
        return (rounding_error(self.reading) if exactly else 0.5) * max(self.grid.scale) + 1e-3

    @property
    def mirror_error(self) -> float:
        """How many pixels to the right of a keypoint the answer for the mirrored view has it."""
        return mirror_error(self.grid, shift=int(self.shift_flipped))

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 2 in column 0 when flipped maps are shifted; law 3 by `mirror_error`; law 1 too if that is compensated."""
        error = abs(self.mirror_error)
        broken = {2: 1 / self.cells[1]} if self.shift_flipped else {}
        if error < 1e-6:
            return broken
        if self.compensate:
            return broken | {1: self.tolerance + error / 2, 3: self.tolerance + error / 2}
        return broken | {3: self.tolerance + error}

    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The nearest cell."""
        return rounded(cells)

    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """A Gaussian around the nearest cell or, if `exact`, around the keypoint; 0 beyond 3 sigma from the cell."""
        return (gaussian_on_keypoint if self.exact else gaussian_on_cell)(centre, length, self.sigma)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """As every codec of maps; then half of `mirror_error` to the left, if that is compensated."""
        found = super().decode(output)
        if not self.compensate:
            return found
        return Points(found.xy - found.xy.new_tensor((self.mirror_error / 2, 0)), found.score)

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """Columns reversed, left and right swapped; then one cell to the right, column 0 staying, if `shift_flipped`."""
        back = super().unflip(output, flip)
        return torch.cat((back[..., :1], back[..., :-1]), dim=-1) if self.shift_flipped else back
