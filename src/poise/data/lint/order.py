"""Annotations that are in order, as nearly all are: told fast, so that a million take seconds."""

import math
from collections.abc import Mapping
from typing import Any

from poise.data.recognise import NUMBERS, VISIBILITIES

EDGE = 1.0
"""Pixels that a box or keypoint may lie outside its image, for files that count pixel borders instead of pixel centres."""

MAX_OUTSIDE = 0.1
"""Share of the box's longer side that a keypoint may lie outside the box. Crops are 1.25 times the box, so they still contain
such keypoints; COCO's boxes, drawn around masks, leave out hidden ankles by more than a few pixels."""

Seen = dict[Any, dict[str, Any]]
"""The first annotation of each image, category and keypoints."""


def in_order(annotation: Mapping[str, Any], count: int, size: tuple[float, float]) -> bool:
    """Whether no rule of `people` would find anything in an annotation, but for its segmentation and for a second copy of it.

    False says nothing: the rules find out. Only what C loops of Python do is done here.

    Args:
        annotation: The annotation.
        count: Number of its keypoints.
        size: Size of its image (h, w), pixels; infinite where the file does not state it.
    """
    values, box, area = annotation.get("keypoints"), annotation.get("bbox"), annotation.get("area")
    if annotation.get("iscrowd") not in (0, 1) or type(values) is not list or len(values) != 3 * count:
        return False
    if type(box) is not list or len(box) != 4 or not isinstance(area, (int, float)) or not 0 < area < math.inf:
        return False
    if not (NUMBERS.issuperset(map(type, values)) and NUMBERS.issuperset(map(type, box)) and _in_image(box, size)):
        return False
    seen = values[2::3]
    if not any(seen):
        return annotation.get("num_keypoints") == 0
    if not VISIBILITIES.issuperset(seen):
        return False
    xs, ys = values[::3], values[1::3]
    if 0 in seen:
        xs, ys = [x for x, v in zip(xs, seen, strict=True) if v], [y for y, v in zip(ys, seen, strict=True) if v]
    return annotation.get("num_keypoints") == len(xs) and _in_place(xs, ys, annotation, size)


def _in_image(box: list[Any], size: tuple[float, float]) -> bool:
    x, y, w, h = map(float, box)
    if not (w > 0 and h > 0 and x >= -EDGE and y >= -EDGE and math.isfinite(x + y + w + h)):
        return False
    return x + w > 0 and y + h > 0 and x < size[1] and y < size[0] and x + w <= size[1] + EDGE and y + h <= size[0] + EDGE


def _in_place(xs: list[Any], ys: list[Any], annotation: Mapping[str, Any], size: tuple[float, float]) -> bool:
    """Whether labelled keypoints lie in their image and, of a person, near their box; none is at exactly (0, 0)."""
    if not math.isfinite(sum(xs) + sum(ys)) or (0 in xs and 0 in ys):
        return False
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    if left < -EDGE or top < -EDGE or right > size[1] + EDGE or bottom > size[0] + EDGE:
        return False
    x, y, w, h = annotation["bbox"]
    beyond = max(x - left, y - top, right - x - w, bottom - y - h)
    return bool(annotation["iscrowd"] == 1 or beyond <= MAX_OUTSIDE * max(w, h) + EDGE)


def first_of(annotation: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """The first annotation with the image, category and labelled keypoints of this one.

    Args:
        annotation: The annotation; its keypoints are numbers.
        seen: Annotations so far, to which it is added.
    """
    if not annotation.get("num_keypoints"):
        return annotation
    values = annotation["keypoints"]
    key = (annotation["image_id"], annotation.get("category_id"), hash(tuple(values)))  # tuples are half a kilobyte each
    first = seen.setdefault(key, annotation)
    return first if first["keypoints"] == values else annotation
