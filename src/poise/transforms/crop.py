"""Crops of one person: from a box to the warp (image to view) that crops it, by our rule and by those of the releases.

A crop rule does two things: it turns a box into a `Frame` (the region of the image that the view shows), and it maps that
frame onto the pixels of the view. The releases differ in both: by a pixel in the centre (DARK), by a pixel in the extent (UDP,
DARK), by which axes they scale (HRNet, MSPN and DARK use the width alone), by the sense of a rotation, by rounding the frame to
whole pixels (CPN). CPN alone maps pixels and keypoints by different warps (`pixel_warp`).
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import BoxError
from poise.geometry import Warp, horizontal_flip, rotation, scaling, translation
from poise.structures import CropRule, Preprocess


@dataclass(frozen=True)
class Frame:
    """The region of an image that a view shows: a rectangle, upright or rotated about its centre.

    A view shows its frame upright: the content of a frame turned clockwise appears turned counter-clockwise.

    Attributes:
        centre: Centre (x, y), pixels of the image.
        extent: Width and height before the turn, pixels of the image.
        angle: Degrees by which the rectangle is rotated about its centre, clockwise on the screen (from the x axis towards the
            y axis, as `geometry.rotation`); 0 is upright.
    """

    centre: tuple[float, float]
    extent: tuple[float, float]
    angle: float = 0.0

    def scaled(self, factor: float) -> "Frame":
        """A frame with the same centre and angle, its extent multiplied by `factor`."""
        return replace(self, extent=(self.extent[0] * factor, self.extent[1] * factor))

    def shifted(self, x: float, y: float) -> "Frame":
        """A frame moved along its own axes, by `x` times its width and `y` times its height."""
        dx, dy = x * self.extent[0], y * self.extent[1]
        if self.angle:
            (dx, dy) = (rotation(self.angle)[:2, :2] @ torch.tensor((dx, dy), dtype=torch.float64)).tolist()
        return replace(self, centre=(self.centre[0] + dx, self.centre[1] + dy))

    def mirrored(self, width: int) -> "Frame":
        """The frame of the same content in the mirrored image, `width` pixels wide."""
        return replace(self, centre=(width - 1 - self.centre[0], self.centre[1]), angle=-self.angle)

    @property
    def upright_warp(self) -> Warp:
        """The warp that rotates the frame upright about its centre: image pixels to pixels of the rotated image."""
        x, y = self.centre
        return translation(x, y) @ rotation(-self.angle) @ translation(-x, -y)

    @property
    def corners(self) -> Float[Tensor, "4 2"]:
        """Corners (x, y), pixels of the image: of the upright frame left top, right top, right bottom, left bottom."""
        (x, y), (w, h) = self.centre, self.extent
        offsets = torch.tensor([(-w, -h), (w, -h), (w, h), (-w, h)], dtype=torch.float64) / 2
        return offsets @ rotation(self.angle)[:2, :2].T + torch.tensor((x, y), dtype=torch.float64)


def aspect_ratio(rule: CropRule, size: Size) -> float:
    """Width over height of the frames of a rule, for views of `size` (h, w).

    That of the view's pixels; for "unbiased" that of the distances between corner pixels; for "hourglass" 1.
    """
    h, w = size
    if rule == "hourglass":
        return 1.0
    return (w - 1) / (h - 1) if rule == "unbiased" and min(size) > 1 else w / h


def grow_to_aspect(extent: tuple[float, float], ratio: float) -> tuple[float, float]:
    """Width and height with the smaller side grown until width / height is `ratio`."""
    w, h = extent
    return (w, w / ratio) if w > ratio * h else (ratio * h, h)


def box_frame(preprocess: Preprocess, box: Float[Tensor, "4"], *, size: Size, angle: float = 0.0) -> Frame:
    """The frame of a box, for views of `size`.

    HRNet's, DARK's and UDP's releases do not pad a box whose centre has x = -1, which is their mark for "unknown" (golden t01).

    Args:
        preprocess: Crop rule, factors on the two sides, padding.
        box: x0 y0 x1 y1, pixels of the image; for a rotated box, the box before its rotation about its centre.
        size: Size of the view (h, w).
        angle: Degrees by which the box is rotated, clockwise on the screen.

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    x0, y0, x1, y1 = box.tolist()
    w, h = x1 - x0, y1 - y0
    if not (w > 0 and h > 0 and w < float("inf") and h < float("inf")):
        raise BoxError(f"box x0 y0 x1 y1 = {[round(v, 2) for v in (x0, y0, x1, y1)]} has no extent; x1 and y1 must lie beyond")
    off = 1 if preprocess.crop == "dark" else 0
    centre = (x0 + (w - off) / 2, y0 + (h - off) / 2)
    extent = (w * preprocess.sides[0], h * preprocess.sides[1])
    frame = Frame(centre, grow_to_aspect(extent, aspect_ratio(preprocess.crop, size)), angle)
    unknown = preprocess.crop in ("hrnet", "dark", "udp") and centre[0] == -1
    return frame if unknown else frame.scaled(preprocess.padding)


def frame_warp(rule: CropRule, frame: Frame, *, size: Size, degrees: float = 0.0) -> Warp:
    """The warp (3x3, image pixels to view pixels, for keypoints) that maps a frame onto a view.

    Args:
        rule: Crop rule.
        frame: The region to show.
        size: Size of the view (h, w).
        degrees: Augmentation: turns the content, in the sense of each release (clockwise for "udp" and "unbiased",
            counter-clockwise for the others), on top of the angle of the frame.
    """
    w, h = frame.extent
    rows, columns = size
    to_origin = _frame_to_origin(frame)
    if rule in ("hrnet", "mspn"):
        k, middle = columns / w, (columns / 2, rows / 2)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ to_origin
    if rule == "cpn":
        return _rotated_in_view(_integer_box_warp(frame, size), size=size, degrees=degrees)
    if rule == "hourglass":
        upright = translation(columns / 2, rows / 2) @ scaling(columns / w, rows / h) @ to_origin
        return _rotated_in_view(upright, size=size, degrees=degrees)
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    if rule == "dark":
        k = (columns - 1) / (w - 1)
        return translation(*middle) @ scaling(k, k) @ rotation(-degrees) @ to_origin
    return translation(*middle) @ scaling((columns - 1) / w, (rows - 1) / h) @ rotation(degrees) @ to_origin


def mirrored_frame_warp(rule: CropRule, frame: Frame, *, size: Size, width: int, degrees: float = 0.0) -> Warp:
    """The warp from an image to the mirrored view of a frame; CPN mirrors the crop, all others mirror the image before it.

    Args:
        rule: Crop rule.
        frame: The region to show, in the image that is not mirrored.
        size: Size of the view (h, w).
        width: Width of the image, pixels.
        degrees: Rotation of the content, as in `frame_warp`.
    """
    if rule == "cpn":
        return horizontal_flip(size[1]) @ frame_warp(rule, frame, size=size, degrees=degrees)
    return frame_warp(rule, frame.mirrored(width), size=size, degrees=degrees) @ horizontal_flip(width)


def pixel_warp(rule: CropRule, warp: Warp, *, angle: float = 0.0) -> Warp:
    """The warp of the pixels of a view whose keypoints go through `warp`.

    It is `warp` for all rules but "cpn", which resizes its crop by a factor s: the centre of pixel x goes to (x + 1/2) s - 1/2,
    and a keypoint at x to x s. Mirrors and rotations of the view come after the resize and move both alike.

    Args:
        rule: Crop rule.
        warp: 3x3, image pixels to view pixels, for keypoints.
        angle: Angle of the frame, degrees.
    """
    if rule != "cpn":
        return warp
    linear = warp[:2, :2] @ rotation(angle).to(warp)[:2, :2] if angle else warp[:2, :2]
    turn = linear / linear.norm(dim=0)  # mirror and rotation: what is left when the two scales are divided out
    half = torch.full((2,), 0.5, dtype=warp.dtype)
    return translation(*(linear @ half - turn @ half).tolist()) @ warp


def crop_warp(preprocess: Preprocess, box: Float[Tensor, "4"], *, size: Size, angle: float = 0.0) -> Warp:
    """The warp (3x3, image pixels to view pixels, for keypoints) that crops a box, padded as `preprocess` says.

    Args:
        preprocess: Crop rule, factors on the two sides, padding.
        box: x0 y0 x1 y1, pixels of the image; for a rotated box, the box before its rotation about its centre.
        size: Size of the view (h, w).
        angle: Degrees by which the box is rotated, clockwise on the screen; the view shows it upright.

    Raises:
        BoxError: The box is not finite or has no extent.
    """
    return frame_warp(preprocess.crop, box_frame(preprocess, box, size=size, angle=angle), size=size)


def is_centred(frame: Frame, xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"]) -> bool:
    """Whether the labelled keypoints of a person lie around the centre of the frame (golden t06; HRNet's `SELECT_DATA`).

    The more keypoints are labelled, the nearer their mean must be to the centre, relative to a fifth of the frame's size.

    Args:
        frame: Frame of the person's box.
        xy: Keypoints (x, y), pixels of the image.
        visible: 0 where a keypoint is not labelled.
    """
    labelled = visible > 0
    count = int(labelled.sum())
    if count == 0:
        return False
    x, y = xy[labelled].double().mean(dim=0).tolist()
    squared = (x - frame.centre[0]) ** 2 + (y - frame.centre[1]) ** 2
    return math.exp(-squared / (2 * 0.2**2 * frame.extent[0] * frame.extent[1])) > 0.0125 * count + 0.4375


def integer_box(frame: Frame) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1 of a frame before its turn, rounded down to whole pixels, at least one wide and high (CPN; golden t07).

    The release also clips it to the image padded by its longer side on each side, which contains any box of that image.
    """
    (cx, cy), (w, h) = frame.centre, frame.extent
    x0, y0 = math.floor(cx - w / 2), math.floor(cy - h / 2)
    return x0, y0, max(math.floor(cx + w / 2), x0 + 1), max(math.floor(cy + h / 2), y0 + 1)


def _frame_to_origin(frame: Frame) -> Warp:
    """Moves the centre of a frame to (0, 0) and turns the frame upright."""
    shifted = translation(-frame.centre[0], -frame.centre[1])
    return rotation(-frame.angle) @ shifted if frame.angle else shifted


def _integer_box_warp(frame: Frame, size: Size) -> Warp:
    x0, y0, x1, y1 = integer_box(frame)
    upright = scaling(size[1] / (x1 - x0), size[0] / (y1 - y0)) @ translation(-float(x0), -float(y0))
    return upright @ frame.upright_warp if frame.angle else upright


def _rotated_in_view(warp: Warp, *, size: Size, degrees: float) -> Warp:
    """`warp` followed by a counter-clockwise rotation about the middle of the view."""
    x, y = size[1] / 2, size[0] / 2
    return translation(x, y) @ rotation(-degrees) @ translation(-x, -y) @ warp if degrees else warp
