"""Cutting a person's box out of an image: our rule, and those of the releases.

A rule does two things. It turns a box into a `Frame`, the centre and extent of what is to be seen; and it lays that frame
on the pixels of the view. The releases differ in both: by a pixel in the centre (DARK), by a pixel in the extent (UDP,
DARK), by which axes they scale (HRNet, MSPN and DARK only look at the width), by the sense of a rotation, by rounding the
frame to whole pixels (CPN). CPN alone moves pixels otherwise than keypoints (`pixel_warp`).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import BoxError
from poise.geometry import Warp, horizontal_flip, rotation, scaling, translation
from poise.structures import CropRule, Preprocess


@dataclass(frozen=True)
class Frame:
    """What a view shows: `centre` (x, y) and `extent` (width, height), in pixels of the image."""

    centre: tuple[float, float]
    extent: tuple[float, float]

    def scaled(self, factor: float) -> "Frame":
        """The same centre, an extent `factor` times as large."""
        return Frame(self.centre, (self.extent[0] * factor, self.extent[1] * factor))

    def shifted(self, x: float, y: float) -> "Frame":
        """Moved by shares of its own extent."""
        return Frame((self.centre[0] + x * self.extent[0], self.centre[1] + y * self.extent[1]), self.extent)

    def mirrored(self, width: int) -> "Frame":
        """The same frame in the mirrored image of that width."""
        return Frame((width - 1 - self.centre[0], self.centre[1]), self.extent)


def aspect_ratio(rule: CropRule, size: Size) -> float:
    """Width over height that a rule gives its frames.

    That of the pixels; for ours that of the distances between corner pixels; the hourglass' frames are always square.
    """
    h, w = size
    if rule == "hourglass":
        return 1.0
    return (w - 1) / (h - 1) if rule == "unbiased" and min(size) > 1 else w / h


def grow_to_aspect(extent: tuple[float, float], ratio: float) -> tuple[float, float]:
    """The smaller side grown until width / height is `ratio`."""
    w, h = extent
    return (w, w / ratio) if w > ratio * h else (ratio * h, h)


def box_frame(preprocess: Preprocess, box: Float[Tensor, "4"], *, size: Size) -> Frame:
    """The frame of a box x0 y0 x1 y1 for views of `size`.

    A box whose centre has x = -1 is not padded by HRNet's, DARK's and UDP's releases (their mark for "unknown"; golden t01).

    Args:
        preprocess: Rule, factors of the two sides, padding.
        box: In pixels of the image.
        size: Of the view (h, w).

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    x0, y0, x1, y1 = box.tolist()
    w, h = x1 - x0, y1 - y0
    if not (w > 0 and h > 0 and w < float("inf") and h < float("inf")):
        raise BoxError(f"box x0 y0 x1 y1 = {[round(v, 2) for v in (x0, y0, x1, y1)]} has no extent; x1 and y1 must lie beyond")
    off = 1 if preprocess.crop == "dark" else 0
    centre = (x0 + (w - off) / 2, y0 + (h - off) / 2)
    result = Frame(
        centre, grow_to_aspect((w * preprocess.sides[0], h * preprocess.sides[1]), aspect_ratio(preprocess.crop, size))
    )
    return result if preprocess.crop in ("hrnet", "dark", "udp") and centre[0] == -1 else result.scaled(preprocess.padding)


def frame_warp(rule: CropRule, seen: Frame, *, size: Size, degrees: float = 0.0) -> Warp:
    """The 3x3 warp that lays a frame on a view of `size`; image pixels to view pixels, for keypoints.

    `degrees` turns the content in the sense of each release: UDP and ours with the clock, the others against it.
    """
    (cx, cy), (w, h) = seen.centre, seen.extent
    rows, columns = size
    home = translation(-cx, -cy)
    if rule in ("hrnet", "mspn"):
        k, middle = columns / w, (columns / 2, rows / 2)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ home
    if rule == "cpn":
        return _rotated_in_view(_integer_box_warp(seen, size), size=size, degrees=degrees)
    if rule == "hourglass":
        laid = translation(columns / 2, rows / 2) @ scaling(columns / w, rows / h) @ home
        return _rotated_in_view(laid, size=size, degrees=degrees)
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    if rule == "dark":
        k = (columns - 1) / (w - 1)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ home
    return translation(*middle) @ scaling((columns - 1) / w, (rows - 1) / h) @ rotation(degrees) @ home


def mirrored_frame_warp(rule: CropRule, seen: Frame, *, size: Size, width: int, degrees: float = 0.0) -> Warp:
    """As `frame_warp`, of the mirrored image; `width` is the image's. CPN mirrors the view it has cut, the others the image."""
    if rule == "cpn":
        return horizontal_flip(size[1]) @ frame_warp(rule, seen, size=size, degrees=degrees)
    return frame_warp(rule, seen.mirrored(width), size=size, degrees=degrees) @ horizontal_flip(width)


def pixel_warp(rule: CropRule, warp: Warp) -> Warp:
    """The warp that pixels take where keypoints take `warp`.

    The same for all rules but CPN's: there a resize lays the middle x of a pixel on (x + 1/2) s - 1/2, and keypoints go to
    x s. Mirrors and rotations of the view come after that and move both alike.
    """
    if rule != "cpn":
        return warp
    linear = warp[:2, :2]
    turn = linear / linear.norm(dim=0)  # what is left when the two scales are taken out: mirror and rotation
    half = torch.full((2,), 0.5, dtype=warp.dtype)
    return translation(*(linear @ half - turn @ half).tolist()) @ warp


def crop_warp(preprocess: Preprocess, box: Float[Tensor, "4"], *, size: Size) -> Warp:
    """The warp that cuts `box` (x0 y0 x1 y1), grown as `preprocess` says, into a view of `size`.

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    return frame_warp(preprocess.crop, box_frame(preprocess, box, size=size), size=size)


def is_centred(seen: Frame, xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"]) -> bool:
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


def integer_box(seen: Frame) -> tuple[int, int, int, int]:
    """A frame's x0 y0 x1 y1 cut down to whole pixels, at least one wide and high (CPN; golden t07).

    The release also keeps it within the image padded by its longer side on each side, which holds any box of that image.
    """
    (cx, cy), (w, h) = seen.centre, seen.extent
    x0, y0 = math.floor(cx - w / 2), math.floor(cy - h / 2)
    return x0, y0, max(math.floor(cx + w / 2), x0 + 1), max(math.floor(cy + h / 2), y0 + 1)


def _integer_box_warp(seen: Frame, size: Size) -> Warp:
    x0, y0, x1, y1 = integer_box(seen)
    return scaling(size[1] / (x1 - x0), size[0] / (y1 - y0)) @ translation(-float(x0), -float(y0))


def _rotated_in_view(warp: Warp, *, size: Size, degrees: float) -> Warp:
    """Then turned about the middle of the view, against the clock."""
    x, y = size[1] / 2, size[0] / 2
    return translation(x, y) @ rotation(-degrees) @ translation(-x, -y) @ warp if degrees else warp
