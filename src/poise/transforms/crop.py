"""Cutting a person's box out of an image: our rule, and those of the releases.

A rule does two things. It turns a box into a `Frame`, the centre and extent of what is to be seen; and it lays that frame
on the pixels of the view. The releases differ in both: by a pixel in the centre (DARK), by a pixel in the extent (UDP,
DARK), by which axes they scale (HRNet and DARK only look at the width), by the sense of a rotation.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import BoxError
from poise.geometry import Warp, rotation, scaling, translation
from poise.structures import CropRule


@dataclass(frozen=True)
class Frame:
    """What a view shows: `centre` (x, y) and `extent` (width, height), in pixels of the image."""

    centre: tuple[float, float]
    extent: tuple[float, float]

    def scaled(self, factor: float) -> "Frame":
        """The same centre, an extent `factor` times as large."""
        return Frame(self.centre, (self.extent[0] * factor, self.extent[1] * factor))

    def moved(self, x: float, y: float) -> "Frame":
        """Moved by shares of its own extent."""
        return Frame((self.centre[0] + x * self.extent[0], self.centre[1] + y * self.extent[1]), self.extent)

    def mirrored(self, width: int) -> "Frame":
        """The same frame in the mirrored image of that width."""
        return Frame((width - 1 - self.centre[0], self.centre[1]), self.extent)


def aspect(rule: CropRule, size: Size) -> float:
    """Width over height that a rule gives its frames: of the pixels, or for ours of the distances between corner pixels."""
    h, w = size
    return (w - 1) / (h - 1) if rule == "unbiased" and min(size) > 1 else w / h


def widened(extent: tuple[float, float], ratio: float) -> tuple[float, float]:
    """The smaller side grown until width / height is `ratio`."""
    w, h = extent
    return (w, w / ratio) if w > ratio * h else (ratio * h, h)


def frame(rule: CropRule, box: Float[Tensor, "4"], *, size: Size, padding: float) -> Frame:
    """The frame of a box x0 y0 x1 y1 for views of `size`.

    A box whose centre has x = -1 is not padded by the releases (their mark for "unknown"; golden t01); ours pads every box.

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    x0, y0, x1, y1 = box.tolist()
    w, h = x1 - x0, y1 - y0
    if not (w > 0 and h > 0 and w < float("inf") and h < float("inf")):
        raise BoxError(f"box x0 y0 x1 y1 = {[round(v, 2) for v in (x0, y0, x1, y1)]} has no extent; x1 and y1 must lie beyond")
    off = 1 if rule == "dark" else 0
    centre = (x0 + (w - off) / 2, y0 + (h - off) / 2)
    result = Frame(centre, widened((w, h), aspect(rule, size)))
    return result if rule != "unbiased" and centre[0] == -1 else result.scaled(padding)


def frame_warp(rule: CropRule, seen: Frame, *, size: Size, degrees: float = 0.0) -> Warp:
    """The 3x3 warp that lays a frame on a view of `size`; image pixels to view pixels.

    `degrees` turns the content in the sense of each release: HRNet and DARK against the clock, UDP and ours with it.
    """
    (cx, cy), (w, h) = seen.centre, seen.extent
    rows, columns = size
    home = translation(-cx, -cy)
    if rule == "hrnet":
        k, middle = columns / w, (columns / 2, rows / 2)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ home
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    if rule == "dark":
        k = (columns - 1) / (w - 1)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ home
    return translation(*middle) @ scaling((columns - 1) / w, (rows - 1) / h) @ rotation(degrees) @ home


def crop_warp(rule: CropRule, box: Float[Tensor, "4"], *, size: Size, padding: float) -> Warp:
    """The warp that cuts `box` (x0 y0 x1 y1), grown by `padding`, into a view of `size`.

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    return frame_warp(rule, frame(rule, box, size=size, padding=padding), size=size)


def well_centred(seen: Frame, xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"]) -> bool:
    """Whether a person's labelled keypoints lie around the middle of the frame (golden t06; HRNet's `SELECT_DATA`).

    The distance of their mean from the centre, in a fifth of the frame's size, may be the less the more keypoints there are.
    """
    labelled = visible > 0
    count = int(labelled.sum())
    if count == 0:
        return False
    x, y = xy[labelled].double().mean(dim=0).tolist()
    squared = (x - seen.centre[0]) ** 2 + (y - seen.centre[1]) ** 2
    return math.exp(-squared / (2 * 0.2**2 * seen.extent[0] * seen.extent[1])) > 0.0125 * count + 0.4375
