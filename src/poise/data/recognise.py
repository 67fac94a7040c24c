"""Files whose numbers mean something else than COCO's: shares of the image, corners or centres of boxes, confidences.

All values of such a file can be read, so nothing but their ranges tells. The rules are strict: what they recognise is not
plausible as pixels, as x, y, width, height, or as visibility.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from poise.data.records import Document, stated_size
from poise.dims import Size
from poise.errors import AnnotationError
from poise.fields import LARGEST

SAMPLE = 5000
"""Annotations looked at, evenly spread over the file."""

SHARE_LIMIT = 1.5
"""Largest coordinate of files with shares of the image; people may reach over its edge."""

SURE = 0.5
"""Confidence from which a keypoint counts as visible, for files with confidences; below it counts as hidden."""

LEAST = 4
"""People whose boxes must fit around their centre: fewer may be mistakes of single boxes."""

NUMBERS = frozenset((int, float))
"""Types of numbers in a file; `bool` is none of them."""

VISIBILITIES = frozenset((0, 1, 2))
"""COCO's: not labelled, hidden, visible."""


@final
@dataclass(frozen=True)
class Mistaken:
    """What a whole file seems to mean otherwise.

    Attributes:
        rule: Name of the rule.
        found: What was found, with numbers.
        fix: What a corrected copy has instead.
        correct: Corrects one annotation in place, given the size (h, w) of its image.
        sized: Whether that size is used.
    """

    rule: str
    found: str
    fix: str
    correct: Callable[[dict[str, Any], Size], None]
    sized: bool = False


def recognise(document: Document) -> list[Mistaken]:
    """What the numbers of a document mean otherwise than in COCO's files; [] for nearly all.

    Args:
        document: A converted document (`convert`).
    """
    people = [a for a in document["annotations"] if isinstance(a, dict) and _points(a) is not None]
    some = people[:: max(1, len(people) // SAMPLE)]
    sizes = {image.get("id"): stated_size(image) for image in document["images"]} if some else {}
    shares = [_shares_of_keypoints(some, sizes), _shares_of_boxes(document["annotations"], sizes)]
    found = [*shares, _corners(some, sizes) or _centres(some, sizes)]
    return [one for one in (*found, _confidences(people)) if one is not None]


def _points(annotation: Mapping[str, Any]) -> list[Any] | None:
    """The keypoints of an annotation with some labelled, as the flat list of the file."""
    values = annotation.get("keypoints")
    if not isinstance(values, list) or len(values) % 3 or not any(seen := values[2::3]):
        return None
    return values if NUMBERS.issuperset(map(type, values)) and any(v > 0 for v in seen) else None


def _labelled(annotation: Mapping[str, Any]) -> Float[np.ndarray, "n 2"]:
    rows = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    rows = rows[(rows[:, 2] > 0) & np.isfinite(rows[:, :2]).all(axis=1)]
    return rows[:, :2]


def _box(annotation: Mapping[str, Any]) -> list[Any] | None:
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not NUMBERS.issuperset(map(type, box)):
        return None
    return [float(v) for v in box] if all(abs(v) <= LARGEST for v in box) else None


def _small(sizes: Mapping[Any, Size | None]) -> bool:
    """Whether images are so small that coordinates below `SHARE_LIMIT` could be pixels."""
    return any(size is not None and max(size) <= 8 for size in sizes.values())


def _shares_of_keypoints(people: Sequence[Mapping[str, Any]], sizes: Mapping[Any, Size | None]) -> Mistaken | None:
    points = np.concatenate([np.zeros((0, 2)), *map(_labelled, people)])
    if len(points) < 2 or _small(sizes) or not (np.abs(points) <= SHARE_LIMIT).all() or not (points % 1 != 0).any():
        return None
    found = f"all labelled keypoints lie between {points.min():.3g} and {points.max():.3g}: they look like shares of the image"
    return Mistaken(
        "coordinates are normalised", found, "multiplied by width and height of the images", _enlarge_keypoints, sized=True
    )


def _shares_of_boxes(annotations: Sequence[Mapping[str, Any]], sizes: Mapping[Any, Size | None]) -> Mistaken | None:
    some = annotations[:: max(1, len(annotations) // SAMPLE)]
    boxes = np.array([box for a in some if (box := _box(a)) is not None and any(box)]).reshape(-1, 4)
    if not len(boxes) or _small(sizes) or not (np.abs(boxes) <= SHARE_LIMIT).all() or not (boxes % 1 != 0).any():
        return None
    found = f"all boxes lie between {boxes.min():.3g} and {boxes.max():.3g}: they look like shares of the image"
    return Mistaken("boxes are normalised", found, "multiplied by width and height of the images", _enlarge_box, sized=True)


def _enlarge_keypoints(annotation: dict[str, Any], size: Size) -> None:
    values = _points(annotation)
    if values is not None:
        h, w = size
        annotation["keypoints"] = [v * (w, h, 1)[i % 3] if i % 3 < 2 else v for i, v in enumerate(values)]


def _enlarge_box(annotation: dict[str, Any], size: Size) -> None:
    box = _box(annotation)
    if box is not None:
        h, w = size
        annotation["bbox"] = [v * s for v, s in zip(box, (w, h, w, h), strict=True)]
        area = annotation.get("area")
        if isinstance(area, int | float) and 0 < area <= SHARE_LIMIT:
            annotation["area"] = area * h * w


def _corners(people: Sequence[Mapping[str, Any]], sizes: Mapping[Any, Size | None]) -> Mistaken | None:
    """Boxes that leave their images as x, y, width, height, and fit images and keypoints as two corners."""
    against, favour, seen, example = 0, 0, 0, ""
    for annotation in people:
        points, box = _labelled(annotation), _box(annotation)
        if box is None or len(points) < 2:
            continue
        seen += 1
        h, w = map(float, sizes.get(annotation.get("image_id")) or (np.inf, np.inf))
        if not _holds(box, points, w=w, h=h):
            against += 1
        elif _leaves(box, points, w=w, h=h):
            favour += 1
            example = example or f"such as {_shown(box)} of annotation {annotation.get('id')}"
    if not favour or against > 0.05 * seen or favour < 0.2 * seen:
        return None
    found = f"{favour} of {seen} boxes {example} leave their image or person as x, y, width, height, and fit as two corners"
    return Mistaken("boxes are corners", found, "x, y, width, height", _turn)


def _holds(corners: Sequence[Any], points: Float[np.ndarray, "n 2"], *, w: float, h: float) -> bool:
    """Whether a box x0 y0 x1 y1 lies in its image and holds the keypoints, but for a tenth of its longer side."""
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0 or x1 > w + 1 or y1 > h + 1:
        return False
    slack = 0.1 * max(x1 - x0, y1 - y0) + 1
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(low[0] >= x0 - slack and low[1] >= y0 - slack and high[0] <= x1 + slack and high[1] <= y1 + slack)


def _leaves(box: Sequence[Any], points: Float[np.ndarray, "n 2"], *, w: float, h: float) -> bool:
    """Whether x, y, width, height lies far outside the image; where its size is unknown, far beyond the keypoints."""
    x, y, width, height = box
    if np.isfinite(w):
        return bool(x + width > 1.1 * w + 1 or y + height > 1.1 * h + 1)
    beyond = np.array([x + width, y + height]) - points.max(axis=0)
    corners = np.array([width, height]) - points.max(axis=0)
    return bool((beyond > corners + 0.5 * (np.array([width - x, height - y]))).any())


def _turn(annotation: dict[str, Any], size: Size) -> None:
    box = _box(annotation)
    if box is not None and box[2] > box[0] and box[3] > box[1]:
        annotation["bbox"] = [box[0], box[1], round(box[2] - box[0], 4), round(box[3] - box[1], 4)]


def _centres(people: Sequence[Mapping[str, Any]], sizes: Mapping[Any, Size | None]) -> Mistaken | None:
    """Boxes that miss keypoints as x, y, width, height, and hold them around the point x, y."""
    favour, seen, example = 0, 0, ""
    for annotation in people:
        points, box = _labelled(annotation), _box(annotation)
        if box is None or len(points) < 2:
            continue
        seen += 1
        x, y, width, height = box
        h, w = map(float, sizes.get(annotation.get("image_id")) or (np.inf, np.inf))
        if not _holds(_around(box), points, w=w, h=h):
            continue
        if not _holds((x, y, x + width, y + height), points, w=np.inf, h=np.inf):
            favour += 1
            example = example or f"such as {_shown(box)} of annotation {annotation.get('id')}"
    if favour < LEAST or favour < 0.8 * seen:
        return None
    found = f"{favour} of {seen} boxes {example} miss keypoints as x, y, width, height, and hold them around x, y"
    return Mistaken("boxes have their centre as x, y", found, "x and y of their corner", _move)


def _around(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _move(annotation: dict[str, Any], size: Size) -> None:
    box = _box(annotation)
    if box is not None:
        x0, y0, _, _ = _around(box)
        annotation["bbox"] = [round(x0, 4), round(y0, 4), *box[2:]]


def _confidences(people: Sequence[Mapping[str, Any]]) -> Mistaken | None:
    count, example, whole = 0, "", True
    for annotation in people:
        seen = annotation["keypoints"][2::3]
        whole = whole and 2 not in seen
        if VISIBILITIES.issuperset(seen):
            continue
        part = [v for v in seen if v not in VISIBILITIES]
        if any(not 0 < v < SHARE_LIMIT for v in part):
            return None
        count += len(part)
        example = example or f"such as {part[0]:.4g} of annotation {annotation.get('id')}"
    if not count:
        return None
    found = f"{count} keypoints have a number between 0 and 1 as visibility, {example}: they look like confidences"
    fix = f"2 (visible) from {SURE:g}, 1 (hidden) below, 0 (not labelled) at 0"
    return Mistaken("visibility is a confidence", found, fix, _certain if whole else _certain_if_odd)


def _certain(annotation: dict[str, Any], size: Size) -> None:
    """All visibilities are confidences."""
    _seen(annotation, {0, 2})


def _certain_if_odd(annotation: dict[str, Any], size: Size) -> None:
    """Visibilities that are not 0, 1 or 2 are confidences."""
    _seen(annotation, {0, 1, 2})


def _seen(annotation: dict[str, Any], kept: set[int]) -> None:
    values = _points(annotation)
    if values is not None:
        annotation["keypoints"] = [
            v if i % 3 < 2 or v in kept else 2 if v >= SURE else 1 if v > 0 else 0 for i, v in enumerate(values)
        ]


def _shown(box: Sequence[Any]) -> str:
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"


def refuse_mistaken(document: Document, path: Path | str, *, fix: str) -> None:
    """Refuse a document whose numbers mean something else than COCO's.

    Args:
        document: A converted document.
        path: Its file.
        fix: How the file is corrected.

    Raises:
        AnnotationError: The numbers are shares of the image, corners or centres of boxes, or confidences.
    """
    for one in recognise(document):
        raise AnnotationError(f"{str(path)!r}: {one.found}; {fix}")
