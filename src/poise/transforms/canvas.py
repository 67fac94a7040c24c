"""Whole images brought to the size a network wants them in, for models that find people by themselves.

Ours scales pixels and keypoints by one warp: corner pixels lie on corner pixels, with one factor for both axes. OffsetGuided's
release cuts the other side down to whole pixels and resizes: keypoints go from corner pixel to corner pixel with a factor for
each axis, and the resize, which lays the corners of images on each other, moves pixels by up to half a pixel beside that.
Detectors' releases lay the corners of images on each other for pixels, keypoints and boxes, which they count from the edge of
the first pixel; where they shrink, "torchvision" takes single pixels, "pillow" (maskrcnn-benchmark) and "detectron2" average.
Only Detectron2 counts keypoints from there truly, and adds half a pixel to labels, whose whole numbers are middles of pixels.
maskrcnn-benchmark keeps boxes as their first and last pixel and scales these: a box from 0 to 10 is pixels 0 to 9, which are 0
to 18 in a view twice as large, and the box there is from 0 to 19.
Sides are rounded down, Detectron2's to the nearest; maskrcnn-benchmark first rounds the short one where the long is limited.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import cv2
import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from poise.dims import Size
from poise.geometry import Boxes, Warp, exclude_last_pixel, invert, scaling, translation
from poise.scenes import Canvas
from poise.transforms.person_crop import warp_boxes
from poise.transforms.render import normalise, resample


@final
@dataclass(frozen=True)
class PixelConvention:
    """From where positions in a view are counted.

    Attributes:
        keypoints: 1 where a keypoint at 0 is in the middle of the first pixel, 0 where it is on its edge: what is between the
            number of pixels and the position of the last, so that x is at width - keypoints - x in a mirrored view.
        boxes: The same of the sides of boxes.
        shift: What keypoints of images are moved by, pixels of the image; boxes are not.
        inclusive: Whether boxes go through warps as their first and last pixel, with keypoints.
    """

    keypoints: int
    boxes: int
    shift: float = 0.0
    inclusive: bool = False

    def to_inclusive(self, boxes: Boxes) -> Boxes:
        """What of boxes x0 y0 x1 y1 is moved by a warp."""
        return exclude_last_pixel(boxes) if self.inclusive else boxes

    def from_inclusive(self, boxes: Boxes) -> Boxes:
        """The boxes of which `to_inclusive` has been moved."""
        return boxes + boxes.new_tensor((0.0, 0.0, 1.0, 1.0)) if self.inclusive else boxes


CONVENTIONS: Mapping[str, PixelConvention] = {
    "unbiased": PixelConvention(1, 1),
    "offsetguided": PixelConvention(1, 1),
    "torchvision": PixelConvention(0, 0),
    "pillow": PixelConvention(1, 0, inclusive=True),
    "detectron2": PixelConvention(0, 0, shift=0.5),
}
"""By the rule of a canvas."""

ANTIALIASED_RULES = ("pillow", "detectron2")
"""Rules by which pixels are averaged where an image shrinks."""


@final
@dataclass(frozen=True, eq=False)
class Layout:
    """How a whole image lies in its view.

    Attributes:
        warp: Image pixels to view pixels, of the keypoints.
        inner: The part of the view that the image takes (h, w).
        corner: Where that part begins (x, y).
        size: Of the view (h, w).
    """

    warp: Warp
    inner: Size
    corner: tuple[int, int]
    size: Size

    @property
    def filled_size(self) -> Size:
        """How much of the view, from its left upper corner, has the image in it (h, w); what is beyond only fills it up."""
        return self.corner[1] + self.inner[0], self.corner[0] + self.inner[1]

    def resized_pixels(self, image: UInt8[Tensor, "3 H W"], canvas: Canvas) -> UInt8[np.ndarray, "h w 3"]:
        """The view: the image in its place, and the canvas' colour around it."""
        if canvas.rule == "unbiased":
            return resample(image, self.warp, self.size, fill=canvas.fill)
        (x, y), (h, w) = self.corner, self.inner
        view = np.empty((*self.size, 3), np.uint8)
        view[:] = canvas.fill
        pixels = image.permute(1, 2, 0).numpy()
        if canvas.rule in ANTIALIASED_RULES:
            view[y : y + h, x : x + w] = np.asarray(Image.fromarray(pixels).resize((w, h), Image.Resampling.BILINEAR))
        else:
            view[y : y + h, x : x + w] = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_CUBIC)
        return view

    def render(self, image: UInt8[Tensor, "3 H W"], canvas: Canvas) -> Float[Tensor, "3 h w"]:
        """The normalised view. Detectors' releases fill it up with zeros, torchvision resizes before it rounds."""
        if canvas.rule in ("unbiased", "offsetguided"):
            return normalise(self.resized_pixels(image, canvas), canvas)
        alone = replace(self, corner=(0, 0), size=self.inner)
        (x, y), (h, w) = self.corner, self.inner
        around = (x, self.size[1] - w - x, y, self.size[0] - h - y)
        if canvas.rule in ANTIALIASED_RULES:
            return F.pad(normalise(alone.resized_pixels(image, canvas), canvas), around)
        whole = normalise(image.permute(1, 2, 0).numpy(), canvas)[None]
        return F.pad(F.interpolate(whole, size=self.inner, mode="bilinear", align_corners=False)[0], around)


def canvas_layout(canvas: Canvas, size: Size, factor: float = 1.0) -> Layout:
    """How an image of `size` (h, w) lies in its view when the side that is fitted gets `canvas.side * factor` pixels."""
    reference = {"long": max(size), "short": min(size), "height": size[0]}[canvas.fit]
    side = max(1, round(canvas.side * factor))
    most, limited = None if canvas.most is None else max(1, round(canvas.most * factor)), 1.0
    if most is not None and side * max(size) > most * reference:
        if canvas.rule == "pillow":
            side = max(1, round(most * reference / max(size)))
        elif canvas.rule == "detectron2":
            limited = most / (side / reference * max(size))
        else:
            side, reference = most, max(size)
    inner, scales = _scaled(canvas, size, side=side, reference=reference, limited=limited)
    view = tuple(-(-n // canvas.multiple) * canvas.multiple for n in inner)
    return _laid(canvas, inner, scales, view=(view[0], view[1]))


def fitted_layout(canvas: Canvas, size: Size, view: Size) -> Layout:
    """How an image of `size` (h, w) lies in a view of the size `view` that just holds it."""
    side = max(1, min(new * max(size) // old for old, new in zip(size, view, strict=True)))  # whole numbers lose no pixel
    (high, wide), scales = _scaled(canvas, size, side=side, reference=max(size))
    return _laid(canvas, (min(high, view[0]), min(wide, view[1])), scales, view=view)  # sides are rounded, up too


def letterbox(image: UInt8[Tensor, "3 H W"], canvas: Canvas, factor: float = 1.0) -> tuple[Float[Tensor, "3 h w"], Warp]:
    """The normalised view of a whole image, and the warp that predictions go home through (image pixels to view pixels).

    Args:
        image: RGB.
        canvas: Of the model.
        factor: On `canvas.side`, one of `canvas.scales` (multi-scale test).
    """
    layout = canvas_layout(canvas, (image.shape[1], image.shape[2]), factor)
    return layout.render(image, canvas), layout.warp


def box_warp(canvas: Canvas, warp: Warp) -> Warp:
    """The way of boxes' corners from image to view, where keypoints go through `warp`."""
    shift = CONVENTIONS[canvas.rule].shift
    return warp @ translation(-shift, -shift) if shift else warp


def boxes_to_view(canvas: Canvas, warp: Warp, boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 of an image in its view, where keypoints go through `warp`."""
    return _through(canvas, box_warp(canvas, warp), boxes)


def boxes_to_image(canvas: Canvas, warp: Warp, boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 of a view in its image, whose keypoints went through `warp`."""
    return _through(canvas, invert(box_warp(canvas, warp.double())), boxes)


def _through(canvas: Canvas, way: Warp, boxes: Boxes) -> Boxes:
    convention = CONVENTIONS[canvas.rule]
    return convention.from_inclusive(warp_boxes(way, convention.to_inclusive(boxes.double()))).to(boxes.dtype)


def corner_scale(old: int, new: int) -> float:
    """The factor that brings a side's corner pixels onto those of another; that of the lengths where one is a single pixel."""
    return (new - 1) / (old - 1) if min(old, new) > 1 else new / old


def _scaled(canvas: Canvas, size: Size, *, side: int, reference: int, limited: float = 1.0) -> tuple[Size, tuple[float, float]]:
    """How large an image gets whose side of `reference` pixels gets `side`, and the factors on x and y of its keypoints.

    Detectron2 scales twice where the long side is limited, the second time by `limited`; other rules know that before.
    """
    if canvas.rule == "offsetguided":
        inner = max(1, int(side * size[0] / reference)), max(1, int(side * size[1] / reference))
        return inner, (corner_scale(size[1], inner[1]), corner_scale(size[0], inner[0]))
    if canvas.rule != "unbiased":
        high, wide = (limited * _exactly(canvas, length, side=side, reference=reference) for length in size)
        half = 0.5 if canvas.rule == "detectron2" else 0.0
        inner = max(1, int(high + half)), max(1, int(wide + half))
        return inner, (inner[1] / size[1], inner[0] / size[0])
    factor = corner_scale(reference, side)
    return (round((size[0] - 1) * factor) + 1, round((size[1] - 1) * factor) + 1), (factor, factor)


def _exactly(canvas: Canvas, length: int, *, side: int, reference: int) -> float:
    """What a side becomes before it is rounded, in the order of operations of the releases: halves are rounded their way."""
    if canvas.rule == "pillow" or (canvas.rule == "detectron2" and length == reference):
        return side * length / reference
    return length * (side / reference)


def _laid(canvas: Canvas, inner: Size, scales: tuple[float, float], *, view: Size) -> Layout:
    """The image in the left upper corner of its view, or in the middle as far as whole pixels go."""
    middle = canvas.place == "middle"
    x, y = (max(0, view[1] - inner[1]) // 2, max(0, view[0] - inner[0]) // 2) if middle else (0, 0)
    shift = CONVENTIONS[canvas.rule].shift
    warp = translation(float(x), float(y)) @ scaling(*scales) @ translation(shift, shift)
    return Layout(warp, inner, (x, y), view)
