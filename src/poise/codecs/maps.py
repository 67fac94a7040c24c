"""Shared by codecs with one heatmap per keypoint: Gaussian labels, mean squared error, reading, the flip."""

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
    """One heatmap per keypoint, with a Gaussian of width `sigma`; the loss is half the mean squared error.

    Attributes:
        sigma: Standard deviation of the Gaussian, cells.
        joint_weights: Weight of each keypoint in the loss; None for 1 each.
        ohkm: Number of keypoints of each view that make the loss, those with the largest one (online hard keypoint mining,
            arXiv 1711.07319); None for all.
        reading: How positions are read from the maps (`decoding.subpixel`); None for the codec's own way.
    """

    sigma: float = 2.0
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None
    reading: SubpixelMethod | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
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
        """One map per keypoint: k."""
        return self.keypoints

    @abstractmethod
    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """The point, in cells, by which the release decides whether a keypoint at `cells` is in reach of the map."""

    @abstractmethod
    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """The Gaussian along one axis of `length` cells; the map is a column times a row."""

    @abstractmethod
    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """Positions between the cells, in cells.

        Args:
            maps: Heatmaps.
            cells: The highest cell of each (x, y).
            score: Its value.
        """

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A Gaussian on each keypoint, float32; zeros where the keypoint is out of reach of the map."""
        cells = self.grid.to_cells(xy)
        column, row = self._target(cells, self._in_reach(cells))
        return column[..., None] * row[..., None, :]

    def highest_cells(self, xy: Float[Tensor, "b k 2"], labelled: Bool[Tensor, "b k"]) -> Float[Tensor, "b k 2"]:
        """The highest of column and row of each label; no map is made."""
        cells = self.grid.to_cells(xy)
        return highest_of(*self._target(cells, self._in_reach(cells) & labelled))

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or out of reach of the map."""
        return keypoint_weights(self._in_reach(self.grid.to_cells(xy)) & (visible > 0), self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Half the mean squared error; the error of unlabelled keypoints is 0, and they are part of the mean.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        at = self.grid.to_cells(xy)
        counts = self._in_reach(at) & (visible > 0)
        distance = outer_squares(output.float(), *self._target(at, counts))
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return mean_squares(distance, keypoint_weights(counts, self.joint_weights), cells=cells)
        return ohkm_squares(distance, keypoint_weights(counts, self.joint_weights), cells=cells, top=self.ohkm)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions, and the value of the highest cell of each map as the score, computed in float32.

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
        """Positions in cells (the highest cell where they are not finite) and scores."""
        cells, score = argmax_cells(maps)
        if self.reading is None:
            peaks = self.peaks(maps, cells, score)
        else:
            peaks = refine(self.reading, maps, cells, score, sigma=self.sigma)
        return torch.where(peaks.isfinite().all(dim=-1, keepdim=True), peaks, cells).float(), score

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """The maps with columns reversed and left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps, clamped to 0 and 1."""
        return output.detach().float().nan_to_num(0).clamp(0, 1)

    def _in_reach(self, cells: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        centre, reach = self.centre(cells), 3 * self.sigma
        low, high = (centre - reach).trunc(), (centre + reach + 1).trunc()
        return ((low < low.new_tensor(self.cells[::-1])) & (high >= 0)).all(dim=-1)

    def _target(self, cells: Float[Tensor, "b k 2"], counts: Bool[Tensor, "b k"]) -> tuple[Tensor, Tensor]:
        # The positions of keypoints that give no loss mean nothing and may be NaN.
        x, y = torch.where(counts[..., None], cells, 0).unbind(-1)
        column, row = self.profile(y, self.cells[0]), self.profile(x, self.cells[1])
        return (column * counts[..., None]).float(), row.float()


def highest_of(column: Float[Tensor, "b k h"], row: Float[Tensor, "b k w"]) -> Float[Tensor, "b k 2"]:
    """The highest cell (x, y) of each map that is a column times a row; (0, 0) where it has nothing above 0."""
    (high, y), (wide, x) = column.max(dim=-1), row.max(dim=-1)
    return torch.stack((x, y), dim=-1).double() * ((high > 0) & (wide > 0))[..., None]


def check_maps(codec: InstanceCodec, output: Float[Tensor, "b ..."]) -> None:
    """Check that an output has the number and the size of the codec's maps.

    Raises:
        InputError: It has others; the message says both.
    """
    if output.shape[1:] != (codec.channels, *codec.cells):
        raise InputError(
            f"{type(codec).__name__} reads {codec.channels} maps of {codec.cells} cells, found {tuple(output.shape[1:])}; "
            "the network must be built for this codec"
        )


def check_vectors(codec: InstanceCodec, output: Float[Tensor, "b ..."]) -> None:
    """Check that an output has the codec's vectors for each keypoint.

    Raises:
        InputError: It has others; the message says both.
    """
    if output.shape[1:] != (codec.keypoints, sum(codec.vectors)):
        lengths = " + ".join(str(length) for length in codec.vectors)
        raise InputError(
            f"{type(codec).__name__} reads {lengths} numbers of each of {codec.keypoints} keypoints, found "
            f"{tuple(output.shape[1:])}; the network must be built for this codec"
        )


def check_weights(codec: InstanceCodec, joint_weights: tuple[float, ...] | None, ohkm: int | None) -> None:
    """Check that there is a weight for each keypoint of a codec, and that `ohkm` is not above their number.

    Raises:
        InputError: They differ; the message says both numbers.
    """
    if joint_weights is not None and len(joint_weights) != codec.keypoints:
        raise InputError(f"{len(joint_weights)} joint weights were given for {codec.keypoints} keypoints")
    if ohkm is not None and not 1 <= ohkm <= codec.keypoints:
        raise InputError(f"ohkm counts the hardest keypoints: it must be 1 to {codec.keypoints}, found {ohkm}")


def keypoint_weights(counts: Bool[Tensor, "b k"], joint_weights: tuple[float, ...] | None) -> Float[Tensor, "b k"]:
    """The weight of each keypoint that gives a loss, 0 for the others."""
    weight = counts.float()
    return weight if joint_weights is None else weight * weight.new_tensor(joint_weights)


def ohkm_mean(lost: Float[Tensor, "b k"], weight: Float[Tensor, "b k"], ohkm: int | None) -> Float[Tensor, ""]:
    """The weighted mean of a loss over views and keypoints, or over the `ohkm` keypoints of each view with the largest loss.

    The loss of a keypoint with weight 0 may be NaN.
    """
    weighed = torch.where(weight > 0, lost, 0) * weight
    return (weighed if ohkm is None else weighed.topk(ohkm, dim=1).values).mean()


def gaussian_on_cell(centre: Float[Tensor, "b k"], length: int, sigma: float) -> Float[Tensor, "b k n"]:
    """A Gaussian around the nearest cell, 0 beyond 3 sigma."""
    distance = cell_indices(centre, length) - round_half_up(centre)[..., None]
    return gaussian(distance, sigma) * (distance.abs() <= 3 * sigma)


def gaussian_on_keypoint(centre: Float[Tensor, "b k"], length: int, sigma: float) -> Float[Tensor, "b k n"]:
    """A Gaussian around the keypoint, 0 beyond 3 sigma from the nearest cell."""
    cell = cell_indices(centre, length)
    near = (cell - round_half_up(centre)[..., None]).abs() <= 3 * sigma
    return gaussian(cell - centre[..., None], sigma) * near


Lattice = Literal["strided", "isotropic", "cornered"]
"""Grids of `poise.geometry.Grid` that releases lay their maps on, by name."""


def build_grid(lattice: Lattice, size: Size, cells: Size) -> Grid:
    """A grid by its name.

    Raises:
        UnknownName: There is none of that name.
    """
    kinds = {"strided": Grid.strided, "isotropic": Grid.isotropic, "cornered": Grid.cornered}
    if lattice not in kinds:
        raise unknown("lattice", lattice, kinds)
    return kinds[lattice](size, cells)


def mirror_error(grid: Grid, shift: int = 0) -> float:
    """Error along x of the output for a mirrored view that is flipped back and shifted by `shift` cells, pixels."""
    return (grid.cells[1] - 1 + shift) * grid.scale[0] + 2 * grid.shift[0] - (grid.size[1] - 1)


def gaussian(distance: Float[Tensor, "*b n"], sigma: float) -> Float[Tensor, "*b n"]:
    """exp(-d^2 / 2 sigma^2), and exactly 0 below exp(-43).

    The product of two such values is then no denormal number of float32; computing with those is hundreds of times slower.
    """
    power = distance.square() * (-0.5 / sigma**2)
    return power.clamp(min=-43).exp() * (power > -43)


def cell_indices(like: Tensor, length: int) -> Float[Tensor, " n"]:
    """0, 1, ..., `length` - 1 on the device and in the dtype of `like`."""
    return torch.arange(length, device=like.device, dtype=like.dtype)


def round_half_up(cells: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The nearest cell, rounded as the releases round: (x + 0.5) cut towards 0, so halves go up."""
    return (cells + 0.5).trunc()
