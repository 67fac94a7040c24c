"""Drawing of poses, boxes and masks on images, and grids of images. Left keypoints are warm, right cool, others green."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from math import ceil
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.skeletons.wholebody import FINE

Pixels: TypeAlias = UInt8[np.ndarray, "H W 3"]
AnyPixels: TypeAlias = UInt8[np.ndarray, "_ _ 3"]
Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

LEFT: Colour = (255, 140, 0)
RIGHT: Colour = (0, 160, 255)
MIDDLE: Colour = (90, 210, 90)
BOX: Colour = (240, 240, 80)
TINTS: tuple[Colour, ...] = ((230, 80, 80), (80, 140, 240), (90, 200, 110), (220, 170, 60), (190, 100, 220), (70, 200, 210))
HIDDEN, SURE, FAINT = 1, 2, 3
"""How a keypoint is drawn: as a ring, as a dot, as a small thin ring; 0 is not at all."""

FINE_SHARE = 0.3
"""Width of the lines and dots of face and hands of a whole body, as a share of the others'."""

_DARK: Colour = (20, 20, 20)
_SHIFT = 4
"""Number of fractional bits of the coordinates that OpenCV draws with."""


def draw_people(
    image: Pixels,
    xy: Float[Tensor, "n k 2"] | Float[np.ndarray, "n k 2"],
    visible: Int64[Tensor, "n k"] | Int64[np.ndarray, "n k"] | Float[Tensor, "n k"] | Float[np.ndarray, "n k"],
    skeleton: Skeleton,
    *,
    boxes: Float[Tensor, "n 4"] | Float[np.ndarray, "n 4"] | None = None,
    min_score: float = 0.2,
    faint: bool = False,
) -> Pixels:
    """A copy of the image with poses drawn on it.

    Hidden keypoints are drawn as rings, uncertain ones as small thin rings with thin bones. Line widths grow with the size of
    the person.

    Args:
        image: RGB, 0 to 255.
        xy: Keypoint positions, pixels.
        visible: Visibility 0, 1 (hidden) or 2 of labels, as integers; or confidence of predictions, as floats.
        skeleton: The keypoints, their bones and left-right pairs.
        boxes: Boxes x0 y0 x1 y1 to draw, pixels; None for no boxes.
        min_score: Keypoints with a lower confidence are not drawn, or thin.
        faint: Whether these are drawn thin; those that were not found at all (score 0 at 0, 0) never are.

    Raises:
        InputError: The skeleton has another number of keypoints.
    """
    points, state = np.asarray(xy, dtype=np.float64), np.asarray(visible)
    if points.shape[1] != len(skeleton):
        raise InputError(f"{points.shape[1]} keypoints cannot be drawn as {skeleton.name!r}, which has {len(skeleton)}")
    if state.dtype.kind == "f":
        lost = (state == 0) & (points == 0).all(axis=-1)
        state = np.where(state >= min_score, SURE, np.where(faint & ~lost, FAINT, 0))
    state = np.where(np.isfinite(points).all(axis=-1), state, 0)
    frames = None if boxes is None else np.asarray(boxes, dtype=np.float64)
    out: Pixels = np.ascontiguousarray(image).copy()
    for person in range(len(points)):
        box = None if frames is None else frames[person]
        sure = (state[person] == HIDDEN) | (state[person] == SURE)
        width = _width(points[person][sure if sure.any() else state[person] > 0], box)
        if box is not None and np.isfinite(box).all():
            cv2.rectangle(out, _fixed(box[:2]), _fixed(box[2:]), BOX, max(1, round(width / 2)), cv2.LINE_AA, _SHIFT)
        _draw_person(out, points[person], state[person], skeleton, width)
    return out


def labelled(image: Pixels, labels: Sequence[tuple[tuple[float, float], int]]) -> Pixels:
    """A copy of the image with numbers on it, each number in a colour of its own.

    Args:
        image: RGB, 0 to 255.
        labels: Where (x, y) each number stands, its foot in the middle, and the number.
    """
    out: Pixels = np.ascontiguousarray(image).copy()
    scale = max(0.4, min(out.shape[:2]) / 720)
    for (x, y), number in labels:
        text, thick = str(number), max(1, round(2 * scale))
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        foot = (round(x - width / 2), round(max(y - 4 * scale, height + 2)))
        cv2.putText(out, text, foot, cv2.FONT_HERSHEY_SIMPLEX, scale, _DARK, 3 * thick, cv2.LINE_AA)
        cv2.putText(out, text, foot, cv2.FONT_HERSHEY_SIMPLEX, scale, number_colour(number), thick, cv2.LINE_AA)
    return out


def number_colour(number: int) -> Colour:
    """A light colour for a number; neighbours have hues far apart (golden angle)."""
    hue = np.array([[[round(number * 0.381966 * 180) % 180, 150, 255]]], dtype=np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def draw_arrows(image: Pixels, lines: Float[np.ndarray, "n 4"], colour: Colour = BOX) -> Pixels:
    """A copy of the image with arrows.

    Args:
        image: RGB, 0 to 255.
        lines: Start and end x0 y0 x1 y1 of each arrow, pixels; arrows that are not finite are left out.
        colour: Colour of the arrows.
    """
    out: Pixels = np.ascontiguousarray(image).copy()
    for line in lines[np.isfinite(lines).all(axis=1)]:
        cv2.arrowedLine(out, _fixed(line[:2]), _fixed(line[2:]), colour, 1, cv2.LINE_AA, _SHIFT, tipLength=0.15)
    return out


def draw_mask(image: Pixels, mask: Bool[np.ndarray, "H W"], colour: Colour = BOX) -> Pixels:
    """A copy of the image in which the pixels of a mask are tinted."""
    out: Pixels = image.copy()
    out[mask] = (0.5 * image[mask] + 0.5 * np.array(colour)).astype(np.uint8)
    return out


def draw_masks(image: Pixels, masks: Iterable[Bool[np.ndarray, "H W"]]) -> Pixels:
    """A copy of the image in which each mask is tinted and outlined, each in another colour than the one before.

    Args:
        image: RGB, 0 to 255.
        masks: The pixels of each mask.
    """
    out: Pixels = image.copy()
    for mask, colour in zip(masks, cycle(TINTS), strict=False):
        out = draw_outline(draw_mask(out, mask, colour), mask, colour)
    return out


def draw_outline(image: Pixels, mask: Bool[np.ndarray, "H W"], colour: Colour = BOX) -> Pixels:
    """A copy of the image with the outline of a mask."""
    out: Pixels = np.ascontiguousarray(image).copy()
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(out, lines, -1, colour, 1, cv2.LINE_AA)
    return out


def draw_view_outline(image: Pixels, corners: Float[Tensor, "4 2"], *, colour: Colour = BOX) -> Pixels:
    """A copy of the image with the outline of a view, the upper edge twice as thick.

    Args:
        image: RGB, 0 to 255.
        corners: Corners of the view (top left, top right, bottom right, bottom left), pixels of the image; they may be rotated
            and outside the image.
        colour: Colour of the outline.
    """
    out: Pixels = np.ascontiguousarray(image).copy()
    width = max(1, round(max(image.shape[:2]) / 300))
    points = np.rint(corners.double().numpy() * 2**_SHIFT).clip(-(2**24), 2**24).astype(np.int32)
    cv2.polylines(out, [points.reshape(-1, 1, 2)], True, colour, width, cv2.LINE_AA, _SHIFT)
    first, second = points[:2].tolist()
    cv2.line(out, (first[0], first[1]), (second[0], second[1]), colour, 2 * width, cv2.LINE_AA, _SHIFT)
    return out


def colours(skeleton: Skeleton) -> tuple[Colour, ...]:
    """Colour of each keypoint: `LEFT`, `RIGHT`, or `MIDDLE` for keypoints without a left-right partner."""
    side = {
        name: colour
        for pair in skeleton.mirror
        if len(set(pair)) == 2
        for name, colour in zip(pair, (LEFT, RIGHT), strict=True)
    }
    return tuple(side.get(name, MIDDLE) for name in skeleton.keypoints)


def _draw_person(out: Pixels, xy: Float[np.ndarray, "k 2"], visible: np.ndarray, skeleton: Skeleton, width: float) -> None:
    colour, fine = colours(skeleton), fine_keypoints(skeleton)
    before = out.copy()
    for a, b in skeleton.edges:
        if visible[a] and visible[b]:
            shade = colour[a] if colour[a] == colour[b] else MIDDLE
            _draw_bone(out, (xy[a], xy[b]), shade, width * _share(fine[a] and fine[b]), thin=FAINT in (visible[a], visible[b]))
    for share in (1.0, FINE_SHARE):
        ringed = (visible == HIDDEN) & (np.array([_share(f) for f in fine]) == share)
        _uncover(out, before, xy[ringed], _radius(width * share))
    for point, state, shade, small in zip(xy, visible, colour, fine, strict=True):
        _draw_keypoint(out, point, int(state), shade, width * _share(small))


def _draw_bone(out: Pixels, ends: tuple[np.ndarray, np.ndarray], shade: Colour, width: float, *, thin: bool) -> None:
    line, points = max(1, round(width)), (_fixed(ends[0]), _fixed(ends[1]))
    if not thin and width >= 1:
        cv2.line(out, *points, _DARK, line + 2, cv2.LINE_AA, _SHIFT)
    cv2.line(out, *points, shade, _hair(width) if thin else line, cv2.LINE_AA, _SHIFT)


def _draw_keypoint(out: Pixels, point: np.ndarray, state: int, shade: Colour, width: float) -> None:
    radius = _radius(width)
    if state == HIDDEN:
        cv2.circle(out, _fixed(point), radius, shade, max(1, round(width / 2)), cv2.LINE_AA, _SHIFT)
    elif state == FAINT:
        cv2.circle(out, _fixed(point), round(0.7 * radius), shade, _hair(width), cv2.LINE_AA, _SHIFT)
    elif state:
        if width >= 1:
            cv2.circle(out, _fixed(point), radius + 2**_SHIFT, _DARK, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(out, _fixed(point), radius, shade, -1, cv2.LINE_AA, _SHIFT)


def _radius(width: float) -> int:
    """Radius of a keypoint in OpenCV's fixed point; that of a keypoint finer than a pixel is a pixel."""
    pixels = max(1.3 * width, 2.0) if width >= 1 else 1.0
    sixteenths: int = round(pixels * 2**_SHIFT)
    return sixteenths


def _share(fine: bool) -> float:
    return FINE_SHARE if fine else 1.0


def fine_keypoints(skeleton: Skeleton) -> tuple[bool, ...]:
    """Whether each keypoint is drawn thin: those of face and hands where there is a body, too."""
    fine = tuple(name in FINE for name in skeleton.keypoints)
    return fine if not all(fine) else (False,) * len(fine)


def _hair(width: float) -> int:
    """Width of the lines of uncertain keypoints: a quarter of the others."""
    return max(1, round(width / 4))


def _uncover(out: Pixels, before: Pixels, xy: Float[np.ndarray, "h 2"], radius: int) -> None:
    """Remove the ends of bones inside the rings of hidden keypoints."""
    inside = np.zeros(out.shape[:2], np.uint8)
    for point in xy:
        cv2.circle(inside, _fixed(point), radius, 1, -1, cv2.LINE_8, _SHIFT)
    out[inside > 0] = before[inside > 0]


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates, clipped to what fits into 32 bits."""
    x, y = np.clip(np.rint(point * 2**_SHIFT), -(2**24), 2**24).astype(int).tolist()
    return x, y


def _width(points: np.ndarray, box: np.ndarray | None) -> float:
    """Line width: a hundredth of the longer side of the person, between 1 and 8 pixels."""
    corners = points if len(points) > 1 else np.zeros((1, 2)) if box is None else box.reshape(2, 2)
    extent = float((corners.max(axis=0) - corners.min(axis=0)).max())
    return min(max(extent / 100, 1.0), 8.0) if np.isfinite(extent) else 1.0


def enlarged(image: AnyPixels, side: int) -> tuple[AnyPixels, float]:
    """The image enlarged so that its longer side has at least a given length.

    Args:
        image: RGB, 0 to 255.
        side: Smallest length of the longer side, pixels.

    Returns:
        The image and the factor, by which positions become (p + 0.5) * factor - 0.5.
    """
    factor = max(1.0, side / max(image.shape[:2]))
    if factor == 1.0:
        return image, 1.0
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), factor


def titled(image: AnyPixels, title: str) -> AnyPixels:
    """The image below a strip with a line of text."""
    height, scale = 22, 0.45
    strip = np.full((height, image.shape[1], 3), 32, np.uint8)
    text = title.encode("ascii", "replace").decode()
    cv2.putText(strip, text, (5, height - 7), cv2.FONT_HERSHEY_SIMPLEX, scale, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate((strip, image))


def beside(images: Sequence[AnyPixels]) -> AnyPixels:
    """Images side by side."""
    return contact_sheet(images, len(images))


def contact_sheet(images: Sequence[AnyPixels], columns: int = 4, *, gap: int = 4) -> AnyPixels:
    """Images in a grid, each centred in a cell of the size of the largest image.

    Args:
        images: RGB images, 0 to 255.
        columns: Number of images in a row.
        gap: Distance between cells, pixels.

    Raises:
        InputError: There are no images, or no columns.
    """
    if not images or columns < 1:
        raise InputError(f"a contact sheet needs images and columns, found {len(images)} and {columns}")
    columns = min(columns, len(images))
    h, w = (max(i.shape[axis] for i in images) for axis in (0, 1))
    rows = ceil(len(images) / columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 32, np.uint8)
    for i, image in enumerate(images):
        y = (i // columns) * (h + gap) + (h - image.shape[0]) // 2
        x = (i % columns) * (w + gap) + (w - image.shape[1]) // 2
        sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
    return sheet
