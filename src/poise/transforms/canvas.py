"""Letterboxing: whole images resized and padded to what a network takes, for bottom-up models and detectors.

Eight rules (`Canvas.rule`), which differ in how a resize maps pixels, keypoints and boxes:

* "unbiased", ours: one warp for pixels and keypoints; centres of corner pixels map onto each other, one factor for both axes.
* "offsetguided": the other side is rounded down to whole pixels. Keypoints: centres of corner pixels map onto each other, one
  factor for each axis. Pixels: `cv2.resize`, which maps the corners of the images onto each other; the two differ by up to half
  a pixel.
* "torchvision", "pillow" (maskrcnn-benchmark), "detectron2" and "mmdetection" (RTMDet): the corners of the images map onto each
  other for pixels, keypoints and boxes; boxes are counted from the edge of the first pixel. "torchvision" and "mmdetection" do
  not antialias when they shrink, the other two do.
* "higherhrnet" (DEKR too) and "mmpose" (RTMO): one warp for pixels and keypoints, with one factor, which maps the middle of the
  image, for "higherhrnet" rounded to a whole pixel, to half of the view's width and height. Padding is on both sides.

Details of detectors: Detectron2 alone counts keypoints from the edge of the first pixel too, and therefore adds half a pixel to
labels, whose integers are pixel centres. maskrcnn-benchmark keeps a box as its first and last pixel and scales these: a box
from 0 to 10 is pixels 0 to 9, which become 0 to 18 in a view twice as large, where the box is 0 to 19. Sides are rounded down,
those of Detectron2 and MMDetection to the nearest; maskrcnn-benchmark rounds the short side first where the long side is
limited.
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
    """Where coordinates in a view are counted from.

    Attributes:
        keypoints: 1 if a keypoint at 0 is at the centre of the first pixel, 0 if it is at its edge. In a mirrored view of
            `width` pixels, x becomes width - keypoints - x.
        boxes: From where sides of boxes are counted, pixels: 1 from the centre of the first pixel, 0 from its edge.
        shift: Pixels of the image added to keypoints before they are scaled; boxes are not shifted.
        inclusive: Whether boxes are warped as their first and last pixel, in the convention of keypoints.
    """

    keypoints: int
    boxes: int
    shift: float = 0.0
    inclusive: bool = False

    def to_inclusive(self, boxes: Boxes) -> Boxes:
        """Boxes x0 y0 x1 y1 in the form that a warp moves: their first and last pixel if `inclusive`, else unchanged."""
        return exclude_last_pixel(boxes) if self.inclusive else boxes

    def from_inclusive(self, boxes: Boxes) -> Boxes:
        """Boxes x0 y0 x1 y1 after a warp, from the form that `to_inclusive` gives back to edges."""
        return boxes + boxes.new_tensor((0.0, 0.0, 1.0, 1.0)) if self.inclusive else boxes


CONVENTIONS: Mapping[str, PixelConvention] = {
    "unbiased": PixelConvention(1, 1),
    "offsetguided": PixelConvention(1, 1),
    "torchvision": PixelConvention(0, 0),
    "pillow": PixelConvention(1, 0, inclusive=True),
    "detectron2": PixelConvention(0, 0, shift=0.5),
    "mmdetection": PixelConvention(0, 0),
    "higherhrnet": PixelConvention(1, 1),
    "mmpose": PixelConvention(1, 1),
}
"""Pixel convention of each `Canvas.rule`."""

CENTRED_RULES = ("higherhrnet", "mmpose")
"""Rules that map the middle of the image to the middle of the view."""

WARPED_RULES = ("unbiased", *CENTRED_RULES)
"""Rules with one warp for pixels and keypoints."""

ANTIALIASED_RULES = ("pillow", "detectron2")
"""Rules whose resize antialiases where an image shrinks."""

COLOURED_RULES = (*WARPED_RULES, "offsetguided", "mmdetection")
"""Rules that resize whole numbers and pad with the fill colour before anything is normalised."""


@final
@dataclass(frozen=True, eq=False)
class Layout:
    """Where a whole image lies in its view.

    Attributes:
        warp: 3x3, image pixels to view pixels, for keypoints.
        inner: Size (h, w) of the resized image inside the view.
        corner: First pixel (x, y) of the resized image in the view.
        size: Size (h, w) of the view.
    """

    warp: Warp
    inner: Size
    corner: tuple[int, int]
    size: Size

    @property
    def filled_size(self) -> Size:
        """Size (h, w) of the part of the view, from its left upper corner, that the image reaches into; the rest is padding."""
        return self.corner[1] + self.inner[0], self.corner[0] + self.inner[1]

    def resized_pixels(self, image: UInt8[Tensor, "3 H W"], canvas: Canvas) -> UInt8[np.ndarray, "h w 3"]:
        """The view as RGB pixels: the resized image, padded with the canvas' fill colour.

        Args:
            image: RGB.
            canvas: Rule and fill colour.
        """
        if canvas.rule in WARPED_RULES:
            return resample(image, self.warp, self.size, fill=canvas.fill)
        (x, y), (h, w) = self.corner, self.inner
        view = np.empty((*self.size, 3), np.uint8)
        view[:] = canvas.fill
        pixels = image.permute(1, 2, 0).numpy()
        if canvas.rule in ANTIALIASED_RULES:
            view[y : y + h, x : x + w] = np.asarray(Image.fromarray(pixels).resize((w, h), Image.Resampling.BILINEAR))
        else:
            how = cv2.INTER_LINEAR if canvas.rule == "mmdetection" else cv2.INTER_CUBIC
            view[y : y + h, x : x + w] = cv2.resize(pixels, (w, h), interpolation=how)
        return view

    def render(self, image: UInt8[Tensor, "3 H W"], canvas: Canvas) -> Float[Tensor, "3 h w"]:
        """The normalised view.

        Detectors' releases pad with zeros after normalisation; torchvision resizes in floating point, before anything is
        rounded.

        Args:
            image: RGB.
            canvas: Rule, fill colour, mean and deviation.
        """
        if canvas.rule in COLOURED_RULES:
            return normalise(self.resized_pixels(image, canvas), canvas)
        without_padding = replace(self, corner=(0, 0), size=self.inner)
        (x, y), (h, w) = self.corner, self.inner
        around = (x, self.size[1] - w - x, y, self.size[0] - h - y)
        if canvas.rule in ANTIALIASED_RULES:
            return F.pad(normalise(without_padding.resized_pixels(image, canvas), canvas), around)
        pixels = normalise(image.permute(1, 2, 0).numpy(), canvas)[None]
        return F.pad(F.interpolate(pixels, size=self.inner, mode="bilinear", align_corners=False)[0], around)


def canvas_layout(canvas: Canvas, size: Size, factor: float = 1.0) -> Layout:
    """The layout of an image in a view as large as the canvas asks for.

    Args:
        canvas: Rule, and the side to fit.
        size: Size of the image (h, w).
        factor: Multiplies `canvas.side` (multi-scale test).
    """
    if canvas.rule in CENTRED_RULES:
        return _centred_layout(canvas, size, _centred_view(canvas, size, max(1, round(canvas.side * factor))))
    reference = {"long": max(size), "short": min(size), "height": size[0]}[canvas.fit]
    side = max(1, round(canvas.side * factor))
    max_side, limited = None if canvas.most is None else max(1, round(canvas.most * factor)), 1.0
    if max_side is not None and side * max(size) > max_side * reference:
        if canvas.rule == "pillow":
            side = max(1, round(max_side * reference / max(size)))
        elif canvas.rule == "detectron2":
            limited = max_side / (side / reference * max(size))
        else:
            side, reference = max_side, max(size)
    inner, scales = _resized_size(canvas, size, side=side, reference=reference, limited=limited)
    view = tuple(-(-n // canvas.multiple) * canvas.multiple for n in inner)
    return _place_in_view(canvas, inner, scales, view=(view[0], view[1]))


def fitted_layout(canvas: Canvas, size: Size, view: Size) -> Layout:
    """The layout of an image in a view of a given size into which it just fits.

    Args:
        canvas: Rule and placing.
        size: Size of the image (h, w).
        view: Size of the view (h, w).
    """
    if canvas.rule in CENTRED_RULES:
        return _centred_layout(canvas, size, view)
    side = max(1, min(new * max(size) // old for old, new in zip(size, view, strict=True)))  # whole numbers lose no pixel
    (high, wide), scales = _resized_size(canvas, size, side=side, reference=max(size))
    return _place_in_view(canvas, (min(high, view[0]), min(wide, view[1])), scales, view=view)  # sides are rounded, up too


def letterbox(image: UInt8[Tensor, "3 H W"], canvas: Canvas, factor: float = 1.0) -> tuple[Float[Tensor, "3 h w"], Warp]:
    """The normalised view of a whole image, and its warp (3x3, image pixels to view pixels, for keypoints).

    Args:
        image: RGB.
        canvas: Preprocessing of the model.
        factor: Multiplies `canvas.side`: one of `canvas.scales` (multi-scale test).
    """
    layout = canvas_layout(canvas, (image.shape[1], image.shape[2]), factor)
    return layout.render(image, canvas), layout.warp


def box_warp(canvas: Canvas, warp: Warp) -> Warp:
    """The warp of box corners, from image to view, where keypoints go through `warp`.

    Args:
        canvas: Its rule says by how much keypoints are shifted.
        warp: 3x3, image pixels to view pixels, for keypoints.
    """
    shift = CONVENTIONS[canvas.rule].shift
    return warp @ translation(-shift, -shift) if shift else warp


def boxes_to_view(canvas: Canvas, warp: Warp, boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 in pixels of the view, from those in pixels of the image.

    Args:
        canvas: Its rule says how boxes are warped.
        warp: 3x3, image pixels to view pixels, for keypoints.
        boxes: Boxes in pixels of the image.
    """
    return _warp_boxes(canvas, box_warp(canvas, warp), boxes)


def boxes_to_image(canvas: Canvas, warp: Warp, boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 in pixels of the image, from those in pixels of the view.

    Args:
        canvas: Its rule says how boxes are warped.
        warp: 3x3, image pixels to view pixels, for keypoints.
        boxes: Boxes in pixels of the view.
    """
    return _warp_boxes(canvas, invert(box_warp(canvas, warp.double())), boxes)


def _warp_boxes(canvas: Canvas, warp_of_boxes: Warp, boxes: Boxes) -> Boxes:
    convention = CONVENTIONS[canvas.rule]
    return convention.from_inclusive(warp_boxes(warp_of_boxes, convention.to_inclusive(boxes.double()))).to(boxes.dtype)


def corner_scale(old: int, new: int) -> float:
    """The factor that maps the centres of a side's corner pixels onto those of the resized side.

    Where one of the two is a single pixel, it is the ratio of the lengths.

    Args:
        old: Length of the side, pixels.
        new: Length of the resized side, pixels.
    """
    return (new - 1) / (old - 1) if min(old, new) > 1 else new / old


def _centred_view(canvas: Canvas, size: Size, side: int) -> Size:
    """The view (h, w) of an image: a square, or as long as the image at a short side of `side` pixels."""
    short = -(-side // canvas.multiple) * canvas.multiple
    if canvas.rule == "mmpose":
        return short, short
    long = int(short / min(size) * max(size))  # the release rounds down, then up to whole multiples
    long = max(short, -(-long // canvas.multiple) * canvas.multiple)
    return (long, short) if size[0] > size[1] else (short, long)


def _centred_layout(canvas: Canvas, size: Size, view: Size) -> Layout:
    """The image as large as it fits into its view, its middle in the middle."""
    middle = [side / 2 if canvas.rule == "mmpose" else int(side / 2 + 0.5) for side in size]
    factor = min(new / old for old, new in zip(size, view, strict=True))
    warp = translation(view[1] / 2, view[0] / 2) @ scaling(factor, factor) @ translation(-float(middle[1]), -float(middle[0]))
    return Layout(warp, view, (0, 0), view)


def _resized_size(
    canvas: Canvas, size: Size, *, side: int, reference: int, limited: float = 1.0
) -> tuple[Size, tuple[float, float]]:
    """Size (h, w) of a resized image, and the factors on x and y of its keypoints.

    Detectron2 scales twice where the long side is limited, the second time by `limited`; the other rules include that in
    `side`.

    Args:
        canvas: Its rule.
        size: Size of the image (h, w).
        side: Pixels that the side of `reference` pixels is resized to.
        reference: Pixels of the side that is fitted.
        limited: Second factor of Detectron2.
    """
    if canvas.rule == "offsetguided":
        inner = max(1, int(side * size[0] / reference)), max(1, int(side * size[1] / reference))
        return inner, (corner_scale(size[1], inner[1]), corner_scale(size[0], inner[0]))
    if canvas.rule != "unbiased":
        high, wide = (limited * _unrounded_length(canvas, length, side=side, reference=reference) for length in size)
        half = 0.5 if canvas.rule in ("detectron2", "mmdetection") else 0.0
        inner = max(1, int(high + half)), max(1, int(wide + half))
        return inner, (inner[1] / size[1], inner[0] / size[0])
    factor = corner_scale(reference, side)
    return (round((size[0] - 1) * factor) + 1, round((size[1] - 1) * factor) + 1), (factor, factor)


def _unrounded_length(canvas: Canvas, length: int, *, side: int, reference: int) -> float:
    """A resized length before rounding, in each release's order of operations, so that halves round as they do there."""
    if canvas.rule == "pillow" or (canvas.rule == "detectron2" and length == reference):
        return side * length / reference
    return length * (side / reference)


def _place_in_view(canvas: Canvas, inner: Size, scales: tuple[float, float], *, view: Size) -> Layout:
    """A resized image in the left upper corner of its view, or in the middle, to whole pixels."""
    middle = canvas.place == "middle"
    x, y = (max(0, view[1] - inner[1]) // 2, max(0, view[0] - inner[0]) // 2) if middle else (0, 0)
    shift = CONVENTIONS[canvas.rule].shift
    warp = translation(float(x), float(y)) @ scaling(*scales) @ translation(shift, shift)
    return Layout(warp, inner, (x, y), view)
