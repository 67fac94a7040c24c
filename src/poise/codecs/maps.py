"""What codecs with one map per keypoint share: bumps, their loss, the highest cell, the mirror."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.errors import InputError
from poise.losses.keypoints import hardest_squares, mean_squares, outer_squares
from poise.structures import Points


@dataclass(frozen=True)
class MapCodec(InstanceCodec):
    """One map per keypoint, with a bump of width `sigma` cells; the loss is the mean squared error of maps.

    Attributes:
        sigma: Width of the bump, cells.
        joint_weights: Weight of each keypoint in the loss; None weighs all alike.
        ohkm: Only so many keypoints of each view, the worst ones, make the loss; None takes all.
    """

    sigma: float = 2.0
    joint_weights: tuple[float, ...] | None = None
    ohkm: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no loss."""
        super().__post_init__()
        if not self.sigma > 0:
            raise InputError(f"{type(self).__name__} needs a sigma above 0 cells, found {self.sigma}")
        if self.joint_weights is not None and len(self.joint_weights) != self.keypoints:
            raise InputError(f"{len(self.joint_weights)} joint weights were given for {self.keypoints} keypoints")
        if self.ohkm is not None and not 1 <= self.ohkm <= self.keypoints:
            raise InputError(f"ohkm counts the hardest keypoints: it must be 1 to {self.keypoints}, found {self.ohkm}")

    @property
    def channels(self) -> int:
        """One map per keypoint."""
        return self.keypoints

    @abstractmethod
    def centre(self, cells: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        """Where the release looks whether a keypoint at `cells` is in reach of the map."""

    @abstractmethod
    def profiles(self, cells: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """The column and the row whose product is the bump."""

    @abstractmethod
    def peaks(
        self, maps: Float[Tensor, "b k h w"], cells: Int64[Tensor, "b k 2"], score: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b k 2"]:
        """Positions between the cells, from the highest cell of each map and what is around it."""

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A bump on each keypoint, float32; an empty map where the keypoint is out of reach."""
        column, row = self._target(self.grid.to_cells(xy))
        return column[..., None] * row[..., None, :]

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or out of reach of the map."""
        weight = (self._in_reach(self.grid.to_cells(xy)) & (visible > 0)).float()
        return weight if self.joint_weights is None else weight * weight.new_tensor(self.joint_weights)

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Half the mean squared difference from the bumps; unlabelled keypoints count as 0."""
        self._check(output)
        xy = xy.masked_fill((visible == 0)[..., None], -torch.inf)  # what stands there means nothing and may be NaN
        distance = outer_squares(output.float(), *self._target(self.grid.to_cells(xy)))
        weight = self.weights(xy, visible)
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return mean_squares(distance, weight, cells=cells)
        return hardest_squares(distance, weight, cells=cells, top=self.ohkm)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions and the value of the highest cell of each map, computed in float32."""
        self._check(output)
        maps = output.detach().float().contiguous()
        cells, score = highest(maps)
        peaks = self.peaks(maps, cells, score)
        found = torch.where(peaks.isfinite().all(dim=-1, keepdim=True), peaks, cells.to(peaks))
        return Points(self.grid.to_pixels(found).float(), torch.where(score.isfinite(), score, 0))

    def unflip(self, output: Float[Tensor, "b k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b k h w"]:
        """Columns reversed, left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The maps, cut at 0 and 1."""
        return output.detach().float().nan_to_num(0).clamp(0, 1)

    def _check(self, output: Tensor) -> None:
        if output.shape[1:] != (self.channels, *self.cells):
            raise InputError(
                f"{type(self).__name__} reads {self.channels} maps of {self.cells} cells, found {tuple(output.shape[1:])}; "
                "the network must be built for this codec"
            )

    def _in_reach(self, cells: Float[Tensor, "b k 2"]) -> Bool[Tensor, "b k"]:
        centre, reach = self.centre(cells), 3 * self.sigma
        low, high = (centre - reach).trunc(), (centre + reach + 1).trunc()
        return ((low < low.new_tensor(self.cells[::-1])) & (high >= 0)).all(dim=-1)

    def _target(self, cells: Float[Tensor, "b k 2"]) -> tuple[Tensor, Tensor]:
        inside = self._in_reach(cells)
        column, row = self.profiles(cells.masked_fill(~inside[..., None], 0))
        return (column * inside[..., None]).float(), row.float()


def bump(distance: Float[Tensor, "b k n"], sigma: float) -> Float[Tensor, "b k n"]:
    """exp(-d^2 / 2 sigma^2)."""
    return (distance.square() * (-0.5 / sigma**2)).exp()


def ruler(like: Tensor, length: int) -> Float[Tensor, " n"]:
    """0, 1, ..., length - 1 on the device and in the dtype of `like`."""
    return torch.arange(length, device=like.device, dtype=like.dtype)


def rounded(cells: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The nearest cell as the releases round: halves up, and negative numbers towards 0."""
    return (cells + 0.5).trunc()


def highest(maps: Float[Tensor, "b k h w"]) -> tuple[Int64[Tensor, "b k 2"], Float[Tensor, "b k"]]:
    """The first highest cell (x, y) of each map and its value; cell 0, 0 where that is not above 0.

    NaNs are looked over for the cell; the value is then NaN.
    """
    flat = maps.flatten(2)
    score, index = flat.max(dim=-1)
    if not score.isfinite().all():
        index = flat.nan_to_num(-torch.inf, torch.inf, -torch.inf).argmax(dim=-1)
    width = maps.shape[-1]
    cells = torch.stack((index % width, index // width), dim=-1)
    return cells.masked_fill((score <= 0)[..., None], 0), score


def sample(maps: Float[Tensor, "b k h w"], x: Int64[Tensor, "b k"], y: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """The value of each map at its cell (x, y), which must lie on it."""
    return maps.flatten(2).gather(2, (y * maps.shape[-1] + x)[..., None]).squeeze(2)
