"""What codecs with one map per keypoint share: bumps, their loss, the highest cell, the blur, the mirror."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
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
    def profile(self, centre: Float[Tensor, "b k"], length: int) -> Float[Tensor, "b k n"]:
        """The bump along one axis of `length` cells; a column times a row makes the map."""

    @abstractmethod
    def peaks(
        self, maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "n 2"], score: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 2"]:
        """Positions between the cells, from the highest cell of each map, its value, and what is around it."""

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k h w"]:
        """A bump on each keypoint, float32; an empty map where the keypoint is out of reach."""
        cells = self.grid.to_cells(xy)
        column, row = self._target(cells, self._in_reach(cells))
        return column[..., None] * row[..., None, :]

    def weights(self, xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Weight of each keypoint in the loss: 0 where it is not labelled or out of reach of the map."""
        return self._weighted(self._in_reach(self.grid.to_cells(xy)) & (visible > 0))

    def loss(
        self, output: Float[Tensor, "b k h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Half the mean squared difference from the bumps; unlabelled keypoints count as 0.

        Raises:
            InputError: The output is not of this codec's size.
        """
        self._check(output)
        at = self.grid.to_cells(xy)
        counts = self._in_reach(at) & (visible > 0)
        distance = outer_squares(output.float(), *self._target(at, counts))
        cells = self.cells[0] * self.cells[1]
        if self.ohkm is None:
            return mean_squares(distance, self._weighted(counts), cells=cells)
        return hardest_squares(distance, self._weighted(counts), cells=cells, top=self.ohkm)

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions and the value of the highest cell of each map, computed in float32.

        Raises:
            InputError: The output is not of this codec's size.
        """
        self._check(output)
        maps = output.detach().float().flatten(0, 1).contiguous()
        with torch.autocast(maps.device.type, enabled=False):
            cells, score = highest(maps)
            peaks = self.peaks(maps, cells, score)
        found = torch.where(peaks.isfinite().all(dim=-1, keepdim=True), peaks, cells).view(*output.shape[:2], 2)
        return Points(self.grid.to_pixels(found.float()), torch.where(score.isfinite(), score, 0).view(output.shape[:2]))

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

    def _target(self, cells: Float[Tensor, "b k 2"], counts: Bool[Tensor, "b k"]) -> tuple[Tensor, Tensor]:
        # What stands at keypoints that do not count means nothing and may be NaN.
        x, y = torch.where(counts[..., None], cells, 0).unbind(-1)
        column, row = self.profile(y, self.cells[0]), self.profile(x, self.cells[1])
        return (column * counts[..., None]).float(), row.float()

    def _weighted(self, counts: Bool[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        weight = counts.float()
        return weight if self.joint_weights is None else weight * weight.new_tensor(self.joint_weights)


def bump(distance: Float[Tensor, "b k n"], sigma: float) -> Float[Tensor, "b k n"]:
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


def highest(maps: Float[Tensor, "n h w"]) -> tuple[Int64[Tensor, "n 2"], Float[Tensor, " n"]]:
    """The first highest cell (x, y) of each map and its value; cell (0, 0) where that is not above 0.

    NaNs are passed over for the cell; the value is then NaN.
    """
    flat = maps.flatten(1)
    index = _argmax(flat)
    score = flat.gather(1, index[:, None]).squeeze(1)
    if not score.isfinite().all():
        index = _argmax(flat.nan_to_num(-torch.inf, torch.inf, -torch.inf))
    index = index.masked_fill(score <= 0, 0)
    width = maps.shape[-1]
    return torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1), score


def _argmax(rows: Tensor) -> Tensor:
    # NumPy's is vectorised: ten times as fast on a processor.
    return rows.argmax(dim=1) if rows.device.type != "cpu" else torch.from_numpy(rows.numpy().argmax(axis=1))


def blur_taps(size: int) -> tuple[float, ...]:
    """The blur of `size` cells, odd, that OpenCV takes when it is not told how wide.

    Up to 9 cells from its table, then a Gaussian of sigma = 0.3 ((size - 1) / 2 - 1) + 0.8.
    """
    table = {3: (1, 2, 1), 5: (1, 4, 6, 4, 1), 7: (2, 7, 14, 18, 14, 7, 2), 9: (4, 13, 30, 51, 60, 51, 30, 13, 4)}
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = table.get(size, tuple(math.exp(-0.5 * ((i - (size - 1) / 2) / sigma) ** 2) for i in range(size)))
    return tuple(tap / sum(taps) for tap in taps)


Border = Literal["zeros", "mirror"]
"""What is beyond the edge of a map: nothing, or the map mirrored about its outermost cells."""

CHUNK = 128
"""Maps blurred at a time on a processor: OpenCV takes no more channels."""


def blurred(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    """Maps smoothed by `size` cells (`blur_taps`) along both axes, some at a time: which ones, and the maps as LAST axis.

    What is given is overwritten when the next is asked for: fresh memory for each costs more than the blur.
    """
    if maps.device.type == "cpu":
        yield from _blurred_as_channels(maps, size, border)
    else:
        yield slice(0, len(maps)), _blurred_as_images(maps, size, border).permute(1, 2, 0)


def blurred_extremes(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The lowest and the highest value of each map after the blur."""
    low, high = maps.new_empty(len(maps)), maps.new_empty(len(maps))
    for some, smooth in blurred(maps, size, border):
        low[some], high[some] = smooth.amin(dim=0).amin(dim=0), smooth.amax(dim=0).amax(dim=0)
    return low, high


def _blurred_as_channels(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    # As channels of one image maps are filtered side by side, eight or sixteen in one instruction.
    count, height, width = maps.shape
    edge = {"zeros": cv2.BORDER_CONSTANT, "mirror": cv2.BORDER_REFLECT_101}[border]
    taps = np.array(blur_taps(size), np.float32)
    rows = maps.flatten(1).numpy()
    memory = np.empty((2, height * width * min(count, CHUNK)), np.float32)
    for start in range(0, count, CHUNK):
        part = rows[start : start + CHUNK]
        image, smooth = (m[: part.size].reshape(height, width, len(part)) for m in memory)
        cv2.transpose(part, dst=image.reshape(-1, len(part)))
        cv2.sepFilter2D(image, -1, taps, taps, dst=smooth, borderType=edge)
        yield slice(start, start + len(part)), torch.from_numpy(smooth)


def _blurred_as_images(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    taps, half = maps.new_tensor(blur_taps(size)), size // 2
    wide = F.pad(maps[:, None], (half,) * 4, mode="constant" if border == "zeros" else "reflect")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).squeeze(1)
