"""Blurred dots as labels, read towards the second peak (CPN, arXiv 1711.07319; MSPN, arXiv 1901.00148; RSN, 2003.04030)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, final, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.maps import check_maps
from poise.codecs.staged import HEIGHT, StagedCodec, steps
from poise.decoding.blur import blur_taps, iterate_blurred
from poise.decoding.second_peak import argmax_with_ties, find_top_peaks
from poise.decoding.subpixel import SubpixelMethod, argmax_cells, check_method, quarter_offset, refine
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.machine import is_traced
from poise.structures import CropRule, Points

SHIFT = 0.25
"""Cells that a position is moved towards the second peak, or towards the higher neighbour."""


@final
@dataclass(frozen=True)
class Megvii(StagedCodec):
    """A dot in the cell of each keypoint, blurred by `kernel` cells and scaled to `height`; read towards the second peak.

    Attributes:
        kernel: Cells a side of the blur that makes the label; odd.
        level: Cell of the label that is `height` high: the highest one, or the keypoint's own (MMPose). They differ next to
            the border, where the blur mirrors the label.
        reading: How positions are read from the maps. "mspn" goes from the highest cell of the blurred map towards the
            next highest one; "cpn" does so too, but divides each map by its maximum first, which turns maps
            upside down that are negative everywhere; "mmpose" goes from the highest cell of the blurred map towards its
            higher neighbours. The readings of `decoding/subpixel.py` can be taken, too.
        blur: Cells a side of the blur that smooths maps before they are read; odd. MSPN takes 5 on COCO and 9 on
            MPII, CPN 21, MMPose 11.
        shifts: Cells that the position is moved towards the second peak, then towards the third, and so on.
    """

    kernel: int = 7
    level: Literal["highest", "cell"] = "highest"
    reading: Literal["mspn", "cpn", "mmpose"] | SubpixelMethod = "mspn"
    blur: int = 5
    shifts: tuple[float, ...] = (SHIFT,)

    def __post_init__(self) -> None:
        """Refuse blurs of an even size and unknown readings."""
        super().__post_init__()
        if min(self.kernel, self.blur) < 3 or self.kernel % 2 == 0 or self.blur % 2 == 0:
            raise InputError(f"Megvii needs an odd kernel and blur of 3 cells or more, found {self.kernel} and {self.blur}")
        if self.level not in ("highest", "cell"):
            raise InputError(f"Megvii makes the 'highest' value or that of the 'cell' as high, found level {self.level!r}")
        check_method(self.reading, ("mspn", "cpn", "mmpose", *get_args(SubpixelMethod)))

    @property
    def crop_rule(self) -> CropRule:
        """The rule of MSPN's release."""
        return "mspn"

    @cached_property
    def grid(self) -> Grid:
        """A keypoint is labelled in the cell that its pixel lies in, and read in the middle of a cell: pixel 4 cell + 2."""
        scale = (self.size[1] / self.cells[1], self.size[0] / self.cells[0])
        return Grid(self.size, self.cells, scale, (scale[0] / 2, scale[1] / 2))

    @property
    def tolerance(self) -> float:
        """Pixels: half a cell, since labels stand on whole cells, plus the shifts, since second peaks of a label are equal."""
        return (0.5 + self._shift_error) * max(self.grid.scale) + 1e-3

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Law 3 by the pixel that the grid does not mirror, unless the shift is wider; law 5 as of `StagedCodec`."""
        near = self._shift_error * max(self.grid.scale) >= 1
        return dict(super().exceptions) | ({} if near else {3: self.tolerance + 1})

    @property
    def _shift_error(self) -> float:
        """Error of the reading on a label, cells: the sum of the shifts."""
        return sum(self.shifts) if self.reading in ("mspn", "cpn") else 0.0

    def profiles(self, xy: Float[Tensor, "b k 2"]) -> tuple[Float[Tensor, "b k h"], Float[Tensor, "b k w"]]:
        """The blurred dot along both axes, out of a table with a row for each cell."""
        height, width = self.cells
        x, y = (xy * xy.new_tensor((width, height)) / xy.new_tensor((self.size[1], self.size[0]))).long().unbind(-1)
        columns, rows = (_blurred_dots(self.kernel, length, self.level, xy.device) for length in (height, width))
        return columns[y], rows[x]

    def decode(self, output: Float[Tensor, "b k h w"]) -> Points:
        """Positions; the score is the value of the nearest cell divided by `height`, plus 0.5, as in the release.

        The readings that start at the highest cell ("mmpose" and those of `decoding/subpixel.py`) take the maximum instead.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        maps = output.detach().float().flatten(0, 1).contiguous()
        with torch.autocast(maps.device.type, enabled=False):
            match self.reading:
                case "mspn" | "cpn":
                    found, score = self._towards_peaks(maps)
                case "mmpose":
                    found, score = self._towards_neighbours(maps)
                case _:
                    found, score = self._read(maps, self.reading)
        score = torch.where(score.isfinite(), score / self.height + 0.5, 0)
        return Points(self.grid.to_pixels(found.view(*output.shape[:2], 2)), score.view(output.shape[:2]))

    def _towards_peaks(self, maps: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        if self.reading == "cpn":
            sign = maps.flatten(1).amax(dim=1).sign()
            maps_to_read = maps * sign[:, None, None] if is_traced() or (sign < 0).any() else maps
        else:
            maps_to_read = maps
        spots, value = find_top_peaks(maps_to_read, self.blur, len(self.shifts) + 1)
        at = spots[:, 0]
        for i, shift in enumerate(self.shifts):
            way = spots[:, i + 1] - at
            length = way.norm(dim=-1, keepdim=True)
            at = at + torch.where(length > 1e-3, shift * way / length, 0)
        at = at.clamp(at.new_zeros(2), at.new_tensor((self.cells[1] - 1, self.cells[0] - 1)))
        if is_traced() or not value.isfinite().all():
            at = torch.where(value.isfinite()[:, None], at, argmax_cells(maps)[0].to(at))
        near = at.round().long()
        score = maps.flatten(1).gather(1, (near[:, 1] * self.cells[1] + near[:, 0])[:, None]).squeeze(1)
        return at, score

    def _read(self, maps: Float[Tensor, "n h w"], reading: SubpixelMethod) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        cells, score = argmax_cells(maps)
        sigma = 0.3 * ((self.kernel - 1) / 2 - 1) + 0.8  # of a blur of so many cells, as OpenCV has it
        found = refine(reading, maps / self.height, cells, score / self.height, sigma=sigma)
        return torch.where(found.isfinite().all(dim=-1, keepdim=True), found, cells).to(maps), score

    def _towards_neighbours(self, maps: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
        if is_traced():  # all maps at once
            [(_, smooth)] = iterate_blurred(maps, self.blur, "zeros")
            found, finite = self._from_blurred(smooth)
        else:
            found, finite = maps.new_empty(len(maps), 2), maps.new_empty(len(maps), dtype=torch.bool)
            for some, smooth in iterate_blurred(maps, self.blur, "zeros"):
                found[some], finite[some] = self._from_blurred(smooth)
        cells, score = argmax_cells(maps)
        nothing = torch.where(score[:, None] < 0, -1.5, -0.5)  # without a positive cell the release looks at cell -1
        found = torch.where((score > 0)[:, None], found, nothing)
        return torch.where((finite | (score == 0))[:, None], found, cells.to(maps)), score

    def _from_blurred(self, smooth: Float[Tensor, "h w m"]) -> tuple[Float[Tensor, "m 2"], Bool[Tensor, " m"]]:
        """Positions in blurred maps, and whether their highest values are finite."""
        each = torch.arange(smooth.shape[2], device=smooth.device)
        cells, value, _ = argmax_with_ties(smooth, smooth.amax(dim=1), each)
        there = quarter_offset(smooth.permute(2, 0, 1).contiguous(), cells, cells)
        # The release adds half a cell within the map and none at its border; our grid adds it everywhere.
        return torch.where(_within(cells, self.cells), there, cells - 0.5), value.isfinite()


def cpn_codecs(
    size: Size, cells: Size, keypoints: int, *, height: float = HEIGHT, weight: float = 1.0
) -> tuple[tuple[Megvii, ...], Megvii]:
    """CPN's codecs: of GlobalNet's four outputs, coarse to fine, and of RefineNet's.

    Labels of 15, 11, 9 and 7 cells for views up to 256 pixels, 23, 17, 13 and 9 above, as the release sets them. GlobalNet's
    losses are half the mean squared error, RefineNet's is that of the eight hardest keypoints (section 3.2).

    Args:
        size: Size of a view (h, w), pixels.
        cells: Size of a map (h, w), cells.
        keypoints: Number of keypoints.
        height: Height of the labels.
        weight: Factor of all losses.
    """
    kernels = (15, 11, 9, 7) if max(size) <= 256 else (23, 17, 13, 9)
    deep = tuple(_coarse(size, cells, keypoints, kernel, height=height, weight=0.5 * weight) for kernel in kernels)
    top = min(8, keypoints)
    refined = Megvii(size, cells, keypoints, height=height, weight=weight, ohkm=top, kernel=kernels[-1], reading="cpn", blur=21)
    return deep, refined


def mspn_codecs(
    size: Size,
    cells: Size,
    keypoints: int,
    *,
    stages: int,
    coarse_to_fine: bool = True,
    height: float = HEIGHT,
    blur: int = 5,
) -> tuple[tuple[Megvii, ...], Megvii]:
    """MSPN's and RSN's codecs: of the four outputs of every stage, coarse to fine, without the last one; and of that one.

    Args:
        size: Size of a view (h, w), pixels.
        cells: Size of a map (h, w), cells.
        keypoints: Number of keypoints.
        stages: Number of stages of the network.
        coarse_to_fine: Whether the last stage has narrower labels than those before (MSPN, section 3.3).
        height: Height of the labels.
        blur: Cells a side of the blur before maps are read; the release takes 9 on MPII.
    """
    made = [
        _coarse(size, cells, keypoints, kernel, height=height, weight=0.25)
        if step < 3
        else Megvii(size, cells, keypoints, height=height, ohkm=min(8, keypoints), kernel=kernel, blur=blur)
        for step, kernel in steps(stages, coarse_to_fine=coarse_to_fine)
    ]
    return tuple(made[:-1]), made[-1]


def _coarse(size: Size, cells: Size, keypoints: int, kernel: int, *, height: float, weight: float) -> Megvii:
    return Megvii(size, cells, keypoints, height=height, weight=weight, least_visible=2, others="emptied", kernel=kernel)


@cache
def _blurred_dots(kernel: int, length: int, level: str, device: torch.device) -> Float[Tensor, "n n"]:
    """A dot in each cell of a line, blurred with the line mirrored at its ends, and scaled: one row for each cell."""
    lines = cv2.sepFilter2D(
        np.eye(length), -1, np.array(blur_taps(kernel)), np.ones(1), borderType=cv2.BORDER_REFLECT_101
    ).reshape(length, length)
    top = lines.max(axis=1) if level == "highest" else lines.diagonal()
    with torch.inference_mode(False):  # kept, and used in training too
        return torch.from_numpy((lines / top[:, None]).astype(np.float32)).to(device)


def _within(cells: Int64[Tensor, "n 2"], size: Size) -> Bool[Tensor, "n 1"]:
    return ((cells > 1) & (cells < cells.new_tensor((size[1] - 1, size[0] - 1)))).all(dim=-1, keepdim=True)
