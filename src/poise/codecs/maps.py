"""What codecs with one map per keypoint share: Gaussians, their loss, how they are read, the mirror."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.decoding.subpixel import SubpixelMethod, argmax_cells, check_method, refine
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.geometry import Grid
from poise.losses.heatmaps import mean_squares, ohkm_squares, outer_squares
from poise.structures import Points

ROI_MSE = 2000.0
"""Factor of the mean squared error of maps with peaks of height 1 in a detector.

A practitioner found 2000 to 3000 best, and worse boxes at 10000. With it the first loss of Gaussians of 2 cells on 56x56 cells
is 7.7, that of the hourglass' Gaussians of 1 cell 2.0.
"""


def usual_sigma(size: Size) -> float:
    """Deviation of a Gaussian in cells of stride 4, as the releases set it: 1 for 128x96, 2 for 256x192, 3 for 384x288."""
    short = min(size)
    return 1.0 if short < 160 else 2.0 if short < 288 else 3.0


@dataclass(frozen=True)
class MapCodec(InstanceCodec):
    """One map per keypoint, with a Gaussian of width `sigma` cells; the loss is the mean squared error of maps.

    Attributes:
        sigma: Width of the Gaussian, cells.
        joint_weights: Weight of each keypoint in the loss; None weighs all alike.
        ohkm: Only so many keypoints of each view, the worst ones, make the loss; None takes all.
        reading: How positions are read from the maps; None is the codec's own way.
    """

    sigma: float = 2.0
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None
    reading: SubpixelMethod | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no loss."""
        super().__post_init__()
        if not self.sigma > 0:
            raise InputError(f"{type(self).__name__} needs a sigma above 0 cells, found {self.sigma}")
        check_weights(self, self.joint_weights, self.ohkm)
        check_method(self.reading)

    @classmethod
    def for_size(cls, size: Size, cells: Size, keypoints: int) -> "MapCodec":
        """With Gaussians as wide as the releases make them at this size (`usual_sigma`)."""
        return cls(size, cells, keypoints, sigma=usual_sigma(size))

    @property
    def mse_share(self) -> float:
        """0.5: the loss of HRNet's release is half the mean squared error."""
        return 0.5

    @property
    def roi_weight(self) -> float:
        """4000, which makes the factor of the mean squared error `ROI_MSE`; an output of zeros has a loss of 0.0019."""
        return ROI_MSE / self.mse_share

    @property
    def channels(self) -> int:
        """One map per keypoint."""
        return self.keypoints

    @abstractmethod
    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """Where the release looks whether a keypoint at `cells` is in reach of the map."""

    @abstractmethod
    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """The Gaussian along one axis of `length` cells; a column times a row makes the map."""

    @abstractmethod
    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """Positions between the cells, from the highest cell of each map, its value, and what is around it."""

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A Gaussian on each keypoint, float32; an empty map where the keypoint is out of reach."""
        cells = self.grid.to_cells(xy)
        column, row = self._target(cells, self._in_reach(cells))
        return column[..., None] * row[..., None, :]

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or out of reach of the map."""
        return weighted(self._in_reach(self.grid.to_cells(xy)) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Half the mean squared difference from the Gaussians; unlabelled keypoints count as 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        at = self.grid.to_cells(xy)
        counts = self._in_reach(at) & (visible > 0)
        distance = outer_squares(output.float(), *self._target(at, counts))
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return mean_squares(distance, weighted(counts, self.joint_weights), cells=cells)
        return ohkm_squares(distance, weighted(counts, self.joint_weights), cells=cells, top=self.ohkm)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions and the value of the highest cell of each map, computed in float32.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        maps = output.detach().float().flatten(0, 1).contiguous()
        with torch.autocast(maps.device.type, enabled=False):
            found, score = self.read(maps)
        score = score.nan_to_num(0, 0, 0)
        return Points(self.grid.to_pixels(found.view(*output.shape[:2], 2)), score.view(output.shape[:2]))

    def read(self, maps: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        """Positions in cells, the highest cell where they are not finite, and scores."""
        cells, score = argmax_cells(maps)
        if self.reading is None:
            peaks = self.peaks(maps, cells, score)
        else:
            peaks = refine(self.reading, maps, cells, score, sigma=self.sigma)
        return torch.where(peaks.isfinite().all(dim=-1, keepdim=True), peaks, cells).float(), score

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """Columns reversed, left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps, cut at 0 and 1."""
        return output.detach().float().nan_to_num(0).clamp(0, 1)

    def _in_reach(self, cells: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        centre, reach = self.centre(cells), 3 * self.sigma
        low, high = (centre - reach).trunc(), (centre + reach + 1).trunc()
        return ((low < low.new_tensor(self.cells[::-1])) & (high >= 0)).all(dim=-1)

    def _target(self, cells: Float[Tensor, "b k 2"], counts: Bool[Tensor, "b k"]) -> tuple[Tensor, Tensor]:
        # What stands at keypoints that do not count means nothing and may be NaN.
        x, y = torch.where(counts[..., None], cells, 0).unbind(-1)
        column, row = self.profile(y, self.cells[0]), self.profile(x, self.cells[1])
        return (column * counts[..., None]).float(), row.float()


def check_maps(codec: InstanceCodec, output: Float[Tensor, "b ..."]) -> None:
    """Refuse maps of another number or size than a codec's.

    Raises:
        InputError: Says both.
    """
    if output.shape[1:] != (codec.channels, *codec.cells):
        raise InputError(
            f"{type(codec).__name__} reads {codec.channels} maps of {codec.cells} cells, found {tuple(output.shape[1:])}; "
            "the network must be built for this codec"
        )


def check_weights(codec: InstanceCodec, joint_weights: tuple[float, ...] | None, ohkm: int | None) -> None:
    """Refuse weights of other keypoints than a codec's, and more hard keypoints than it has.

    Raises:
        InputError: Says both numbers.
    """
    if joint_weights is not None and len(joint_weights) != codec.keypoints:
        raise InputError(f"{len(joint_weights)} joint weights were given for {codec.keypoints} keypoints")
    if ohkm is not None and not 1 <= ohkm <= codec.keypoints:
        raise InputError(f"ohkm counts the hardest keypoints: it must be 1 to {codec.keypoints}, found {ohkm}")


def weighted(counts: Bool[Tensor, "b k"], joint_weights: tuple[float, ...] | None) -> Float[Tensor, "b k"]:
    """The weight of each keypoint that counts, 0 for others."""
    weight = counts.float()
    return weight if joint_weights is None else weight * weight.new_tensor(joint_weights)


def mean_of_worst(lost: Float[Tensor, "b k"], weight: Float[Tensor, "b k"], ohkm: int | None) -> Float[Tensor, ""]:
    """The mean over views and keypoints of what is lost at each, or over the `ohkm` worst keypoints of each view.

    What a keypoint without weight lost may be NaN.
    """
    weighed = torch.where(weight > 0, lost, 0) * weight
    return (weighed if ohkm is None else weighed.topk(ohkm, dim=1).values).mean()


def gaussian_on_cell(centre: Float[Tensor, "b k"], length: int, sigma: float) -> Float[Tensor, "b k n"]:
    """A Gaussian around the nearest cell, 0 beyond 3 sigma."""
    distance = ruler(centre, length) - rounded(centre)[..., None]
    return gaussian(distance, sigma) * (distance.abs() <= 3 * sigma)


def gaussian_on_keypoint(centre: Float[Tensor, "b k"], length: int, sigma: float) -> Float[Tensor, "b k n"]:
    """A Gaussian around the keypoint, 0 beyond 3 sigma from the nearest cell."""
    cell = ruler(centre, length)
    near = (cell - rounded(centre)[..., None]).abs() <= 3 * sigma
    return gaussian(cell - centre[..., None], sigma) * near


Lattice = Literal["strided", "isotropic", "cornered"]
"""Names of the grids of `poise.geometry.Grid` that releases lay their maps on."""


def laid(lattice: Lattice, size: Size, cells: Size) -> Grid:
    """A grid by its name.

    Raises:
        UnknownName: There is none of that name.
    """
    kinds = {"strided": Grid.strided, "isotropic": Grid.isotropic, "cornered": Grid.cornered}
    if lattice not in kinds:
        raise unknown("lattice", lattice, kinds)
    return kinds[lattice](size, cells)


def mirror_error(grid: Grid, shift: int = 0) -> float:
    """How many pixels to the right of a keypoint the answer for the mirrored view has it, moved by `shift` cells."""
    return (grid.cells[1] - 1 + shift) * grid.scale[0] + 2 * grid.shift[0] - (grid.size[1] - 1)


def gaussian(distance: Float[Tensor, "*b n"], sigma: float) -> Float[Tensor, "*b n"]:
    """exp(-d^2 / 2 sigma^2), and exactly 0 below exp(-43).

    A product of two then never falls below float32's smallest number: exponentials that do are hundreds of times slower.
    """
    power = distance.square() * (-0.5 / sigma**2)
    return power.clamp(min=-43).exp() * (power > -43)


def ruler(like: Tensor, length: int) -> Float[Tensor, " n"]:
    """0, 1, ..., length - 1 on the device and in the dtype of `like`."""
    return torch.arange(length, device=like.device, dtype=like.dtype)


def rounded(cells: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The nearest cell as the releases round: halves up, and negative numbers towards 0."""
    return (cells + 0.5).trunc()
