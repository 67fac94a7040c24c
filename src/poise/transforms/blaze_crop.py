"""BlazePose's views: a square turned so that the person stands upright, resampled exactly as MediaPipe does (0.10.21).

MediaPipe's warp shifts nothing by half a pixel, in the view or in the image; it rounds positions in the image to 1/32 pixel and
values to whole numbers. The networks are that sensitive: exact bilinear sampling moves landmarks by 0.5 to 7 pixels.
"""

import math
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Float, Float64, Int16, UInt8, UInt16
from torch import Tensor

from poise.dims import Size
from poise.geometry import Warp
from poise.machine import compiled, compiles
from poise.transforms.crop import Frame, frame_warp

Border = Literal["zero", "replicate"]
"""What lies outside the image: black, as in the detector's view, or its outermost pixels, as in that of the landmarks."""

GROWTH = 1.25
"""Side of the region by the diameter of the circle around the body."""

STEPS = 32
"""Positions in a pixel that the warp tells apart, along each axis."""

LIMIT = 32000.0
"""Pixels from the image's corner beyond which positions are not told apart; OpenCV's images are smaller than 32,767 pixels."""


def aligned_region(centre: Float[Tensor, " 2"], rim: Float[Tensor, " 2"], size: Size, *, growth: float = GROWTH) -> Frame:
    """The square around a person, turned so that the line from the centre to the other point shows upwards.

    Computed in float32, in MediaPipe's order of operations: its last digits decide how some pixels are rounded.

    Args:
        centre: Middle of the hips (x, y), shares of the image's width and height.
        rim: A point (x, y) whose distance from it is the radius of the circle around the body, in the direction of the head.
        size: Size of the image (h, w), pixels.
        growth: Side of the square by the diameter of the circle.
    """
    sides = np.array((size[1], size[0]), np.float32)
    start, end = (point.cpu().numpy().astype(np.float32) * sides for point in (centre, rim))
    away = end - start
    diameter = np.float32(2.0 * float(np.sqrt(away[0] * away[0] + away[1] * away[1])))
    angle = float(np.float32(math.pi / 2) - np.float32(math.atan2(-away[1], away[0])))
    turned = np.float32(angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi)))
    longest = (diameter / sides * sides).max()
    side = float((longest / sides * np.float32(growth) * sides).max())
    x, y = ((start / sides) * sides).tolist()
    return Frame((x, y), (side, side), math.degrees(float(turned)))


def letterbox_region(size: Size) -> Frame:
    """The square of the longer side in whose middle the whole image lies."""
    longer = float(max(size))
    return Frame((size[1] / 2, size[0] / 2), (longer, longer))


def region_warp(region: Frame, side: int) -> Warp:
    """The warp (3x3, image pixels to view pixels) of a region onto a square view, whose (0, 0) is its corner."""
    return frame_warp("mspn", region, size=(side, side))


def region_view(image: UInt8[Tensor, "3 H W"], region: Frame, side: int, *, border: Border) -> UInt8[np.ndarray, "h w 3"]:
    """The view of a region.

    Args:
        image: RGB.
        region: A square.
        side: Of the view, pixels.
        border: What lies outside the image.
    """
    whole, part = np.empty((side, side, 2), np.int16), np.empty((side, side), np.uint16)
    matrix = cv2.getPerspectiveTransform(np.array([(0, side), (0, 0), (side, 0), (side, side)], np.float32), _corners(region))
    if compiles():
        compiled(_place)(matrix, whole, part)
    else:
        column, row = np.arange(side)[None, :], np.arange(side)[:, None]
        x, y, scale = (a * column + b * row + c for a, b, c in matrix)
        whole, part = _places(x / scale, y / scale)
    view: UInt8[np.ndarray, "h w 3"] = _remapped(image.permute(1, 2, 0).numpy(), whole, part, border)
    return view


def mask_in_image(mask: Float[np.ndarray, "h w"], region: Frame, size: Size) -> Float[np.ndarray, "H W"]:
    """A mask of a region's view in the image, 0 outside the region.

    Args:
        mask: Of a square view.
        region: What the view shows.
        size: Size of the image (h, w), pixels.
    """
    side = len(mask)
    warp = region_warp(region, side)[:2].numpy()
    column, row = np.arange(size[1])[None, :], np.arange(size[0])[:, None]
    x, y = (a * column + b * row + c for a, b, c in warp)
    moved: Float[np.ndarray, "H W"] = _remapped(np.ascontiguousarray(mask, np.float32), *_places(x, y), "zero")
    return moved


def _places(
    x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
) -> tuple[Int16[np.ndarray, "h w 2"], UInt16[np.ndarray, "h w"]]:
    """Positions as OpenCV's `remap` takes them: whole pixels, and the number of the 1/32 by 1/32 pixel in them."""
    i, j = (np.rint(np.clip(at, -LIMIT, LIMIT) * STEPS).astype(np.int32) for at in (x, y))
    return np.stack((i >> 5, j >> 5), axis=-1).astype(np.int16), ((j & 31) * STEPS + (i & 31)).astype(np.uint16)


def _place(
    matrix: Float64[np.ndarray, "3 3"], whole: Int16[np.ndarray, "h w 2"], part: UInt16[np.ndarray, "h w"]
) -> None:  # pragma: no cover - compiled
    """`_places` of the pixels of a view, whose positions a matrix says; float64, in the order of operations of NumPy's."""
    for row in range(whole.shape[0]):
        for column in range(whole.shape[1]):
            scale = matrix[2, 0] * column + matrix[2, 1] * row + matrix[2, 2]
            x = (matrix[0, 0] * column + matrix[0, 1] * row + matrix[0, 2]) / scale
            y = (matrix[1, 0] * column + matrix[1, 1] * row + matrix[1, 2]) / scale
            i = np.int32(np.rint(min(max(x, -LIMIT), LIMIT) * STEPS))
            j = np.int32(np.rint(min(max(y, -LIMIT), LIMIT) * STEPS))
            whole[row, column, 0], whole[row, column, 1] = i >> 5, j >> 5
            part[row, column] = (j & 31) * STEPS + (i & 31)


def _remapped(pixels: Any, whole: Int16[np.ndarray, "h w 2"], part: UInt16[np.ndarray, "h w"], border: Border) -> Any:
    """The pixels at positions of 1/32 pixel."""
    mode = cv2.BORDER_CONSTANT if border == "zero" else cv2.BORDER_REPLICATE
    return cv2.remap(pixels, whole, part, cv2.INTER_LINEAR, borderMode=mode, borderValue=0)


def _corners(region: Frame) -> Float[np.ndarray, "4 2"]:
    """Corners left below, left above, right above, right below, float32, in OpenCV 4's order of operations."""
    degrees = np.float32(float(np.float32(math.radians(region.angle)) * np.float32(180)) / math.pi)
    turn, half = math.radians(float(degrees)), np.float32(0.5)
    b, a = np.float32(math.cos(turn)) * half, np.float32(math.sin(turn)) * half
    (x, y), (w, h) = (np.array(pair, np.float32) for pair in (region.centre, region.extent))
    below = np.array((x - a * h - b * w, y + b * h - a * w), np.float32)
    above = np.array((x + a * h - b * w, y - b * h - a * w), np.float32)
    twice = np.float32(2) * np.array((x, y), np.float32)
    return np.stack((below, above, twice - below, twice - above))
