"""Rules for the keypoints, boxes and areas of annotations."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, final

import numpy as np

from poise.data.coco_labels import BODY_SHARE, box_around, labelled, unreadable
from poise.data.lint.categories import skeleton_of
from poise.data.lint.order import EDGE, MAX_OUTSIDE, Seen, first_of, in_order
from poise.data.lint.report import Finding
from poise.data.masks import check_segmentation, has_segmentation, mask, mask_area
from poise.data.records import Document, stated_size
from poise.errors import AnnotationError
from poise.fields import flag
from poise.skeletons import Skeleton

_NUMBERS = (int, float)
_PLAIN = frozenset(_NUMBERS)


@final
@dataclass(slots=True)
class _Person:
    """An annotation that is being checked and corrected in place.

    Attributes:
        annotation: The annotation.
        image: Record of its image.
        skeleton: Skeleton of its category.
        size: Size of the image (h, w), pixels; infinite where the file does not state it.
        findings: Its errors so far.
        dropped: Whether it is left out of the fixed copy.
    """

    annotation: dict[str, Any]
    image: dict[str, Any]
    skeleton: Skeleton
    size: tuple[float, float]
    findings: list[Finding] = field(default_factory=list)
    dropped: bool = False

    def report(self, rule: str, found: str, fix: str = "", *, lost: int = 0) -> None:
        name = self.image.get("file_name")
        self.findings.append(Finding(rule, f"annotation {self.annotation.get('id')} ({name})", found, fix, lost))

    def drop(self, rule: str, found: str, *, again: bool = False) -> None:
        """Leave the annotation out; `again` says that the same person stays in another one."""
        somebody = labelled(self.annotation) or unreadable(self.annotation)
        self.report(rule, found, "annotation dropped", lost=0 if again else int(somebody))
        self.dropped = True

    @property
    def crowd(self) -> bool:
        return self.annotation.get("iscrowd") == 1

    def labelled(self) -> list[tuple[Any, Any]]:
        """Positions of the labelled keypoints, pixels."""
        values = self.annotation["keypoints"]
        return [(x, y) for x, y, v in _triplets(values) if v > 0] if any(values[2::3]) else []


def check_people(document: Document) -> Iterator[Finding]:
    """Errors in keypoints, boxes and areas. Corrects `document` in place; its ids must be valid already (`identity`)."""
    skeletons = {c.get("id"): skeleton_of(c) for c in document["categories"] if c.get("keypoints")}
    images = {image.get("id"): image for image in document["images"]}
    sizes = {key: _size(image) for key, image in images.items()}
    kept: list[dict[str, Any]] = []
    seen: Seen = {}
    for annotation in document["annotations"]:
        skeleton = skeletons.get(annotation.get("category_id"))
        if not isinstance(skeleton, Skeleton) or annotation.get("image_id") not in images:
            kept.append(annotation)
            continue
        image = annotation["image_id"]
        if _is_sound(annotation, len(skeleton), sizes[image]) and first_of(annotation, seen) is annotation:
            kept.append(annotation)
            continue
        person = _Person(annotation, images[image], skeleton, sizes[image])
        _check(person)
        if not person.dropped:
            _check_duplicate(person, seen)
        if not person.dropped:
            kept.append(annotation)
        yield from person.findings
    document["annotations"] = kept
    if skeletons and not any(a.get("num_keypoints") and a.get("category_id") in skeletons for a in kept):
        yield Finding("no labelled keypoints", "the file", "no annotation has a labelled keypoint, so nothing can be trained")


def _is_sound(annotation: dict[str, Any], count: int, size: tuple[float, float]) -> bool:
    """Whether nothing is wrong with an annotation, as with nearly all: no rule is tried."""
    return in_order(annotation, count, size) and _segmentation_fault(annotation, size) is None


def _size(image: dict[str, Any]) -> tuple[float, float]:
    h, w = stated_size(image) or (math.inf, math.inf)
    return float(h), float(w)


def _triplets(values: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """x, y and visibility of each keypoint. Plain numbers: for the few keypoints of a person arrays take ten times longer."""
    return zip(values[::3], values[1::3], values[2::3], strict=True)


def _check(person: _Person) -> None:
    for rules in ((_crowd, _keypoint_list), (_keypoint_values, _count, _segmentation, _box, _area)):
        if _is_sound(person.annotation, len(person.skeleton), person.size):  # also where only `keypoints` were missing
            return
        for rule in rules:
            rule(person)
            if person.dropped:
                return


def _check_duplicate(person: _Person, seen: Seen) -> None:
    if first_of(person.annotation, seen) is not person.annotation:
        person.drop("the same person twice", "another annotation of this image has the same keypoints", again=True)


def _crowd(person: _Person) -> None:
    value = person.annotation.get("iscrowd")
    if value in (0, 1):
        return
    person.annotation["iscrowd"] = new = flag(value) or 0
    rule = "iscrowd missing" if value is None else "iscrowd is not 0 or 1"
    person.report(rule, f"`iscrowd` is {value!r}", f"{new}")


def _keypoint_list(person: _Person) -> None:
    values, wanted = person.annotation.get("keypoints"), 3 * len(person.skeleton)
    if values is None:
        person.annotation["keypoints"] = _nothing(wanted)
        person.annotation["num_keypoints"] = 0
        person.report("keypoints missing", "no `keypoints`", "none labelled")
    elif not isinstance(values, list) or len(values) != wanted:
        count = len(values) if isinstance(values, list) else repr(values)
        person.drop("wrong number of keypoints", f"{count} numbers, {wanted} expected for {len(person.skeleton)} keypoints")
    elif not _PLAIN.issuperset(map(type, values)) and (odd := [v for v in values if not isinstance(v, (int, float))]):
        person.drop("keypoints are no numbers", repr(odd[0])[:80])


@lru_cache(maxsize=16)
def _nothing(length: int) -> list[int]:
    """Keypoints of which none is labelled: one list for all who have none; rules write into copies (`_keypoint_values`)."""
    return [0] * length


def _keypoint_values(person: _Person) -> None:
    values: list[float] = person.annotation["keypoints"]
    h, w = person.size
    if not any(values[2::3]):
        return
    values = person.annotation["keypoints"] = values.copy()  # the document's own list stays
    before = len(person.labelled())
    left = before
    for k, name in enumerate(person.skeleton.keypoints):
        x, y, v = (float(value) for value in values[3 * k : 3 * k + 3])
        rule = _keypoint_fault(x, y, v, h, w)
        if rule is None:
            continue
        state = min(int(v), 2) if v > 2 and math.isfinite(v) and _keypoint_fault(x, y, 2.0, h, w) is None else 0
        values[3 * k : 3 * k + 3] = [x, y, 2] if state else [0, 0, 0]
        left -= int(v > 0 and not state)
        gone = int(v > 0 and not state and left == 0)
        person.report(rule, f"{name} is {x:g}, {y:g}, {v:g}", "visibility 2" if state else "not labelled", lost=gone)
    if person.annotation.get("num_keypoints") == before:
        person.annotation["num_keypoints"] = len(person.labelled())


def _keypoint_fault(x: float, y: float, v: float, h: float, w: float) -> str | None:
    if v not in (0, 1, 2):
        return "visibility is not 0, 1 or 2"
    if v == 0:
        return None
    if not (math.isfinite(x) and math.isfinite(y)):
        return "keypoint is not finite"
    if x == 0 and y == 0:
        return "keypoint labelled at exactly (0, 0)"
    if not (-EDGE <= x <= w + EDGE and -EDGE <= y <= h + EDGE):
        return "keypoint outside the image"
    return None


def _count(person: _Person) -> None:
    found, actual = person.annotation.get("num_keypoints"), len(person.labelled())
    if found == actual:
        return
    person.annotation["num_keypoints"] = actual
    rule = "num_keypoints missing" if found is None else "num_keypoints wrong"
    person.report(rule, f"{found!r}, {actual} are labelled", str(actual))


def _box(person: _Person) -> None:
    box = _given_box(person)
    fault = _box_fault(person, box)
    if fault:
        _replace_box(person, *fault)
        return
    _cut_box(person, box)
    _grow_box(person)


def _cut_box(person: _Person, box: list[float]) -> None:
    h, w = person.size
    x0, y0, x1, y1 = box[0], box[1], box[0] + box[2], box[1] + box[3]
    if min(x0, y0) < -EDGE or x1 > w + EDGE or y1 > h + EDGE:
        _set_box(person, (max(x0, 0.0), max(y0, 0.0), min(x1, w), min(y1, h)))
        person.report("box partly outside the image", _shown(box), f"{_shown(person.annotation['bbox'])}, cut at the edge")


def _grow_box(person: _Person) -> None:
    points = person.labelled()
    if person.crowd or not points:
        return
    x0, y0, width, height = _given_box(person)
    x1, y1 = x0 + width, y0 + height
    left, top, right, bottom = (float(end(p[axis] for p in points)) for end in (min, max) for axis in (0, 1))
    beyond = max(x0 - left, y0 - top, right - x1, bottom - y1)
    if beyond > MAX_OUTSIDE * max(x1 - x0, y1 - y0) + EDGE:
        _set_box(person, (min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)))
        person.report("box does not hold its keypoints", f"one lies {beyond:.1f} pixels outside", "box grown to hold them")


def _given_box(person: _Person) -> list[float]:
    box: Any = person.annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return []
    a, b, c, d = box
    good = isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS) and isinstance(c, _NUMBERS) and isinstance(d, _NUMBERS)
    return [float(a), float(b), float(c), float(d)] if good else []


def _box_fault(person: _Person, box: list[float]) -> tuple[str, str] | None:
    h, w = person.size
    if not box:
        return "box missing", f"`bbox` is {person.annotation.get('bbox')!r}"
    if not all(map(math.isfinite, box)):
        return "box is not finite", _shown(box)
    if box[2] <= 0 or box[3] <= 0:
        return "box of no size", _shown(box)
    if box[0] >= w or box[1] >= h or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
        return "box outside the image", _shown(box)
    return None


def _replace_box(person: _Person, rule: str, found: str) -> None:
    points, covered = person.labelled(), _covered_box(person)
    if len(points):
        corners, source = tuple(box_around(np.array(points, dtype=np.float64)).tolist()), "around the keypoints"
    elif covered is not None:
        corners, source = covered, "around the segmentation"
    else:
        person.drop(rule, f"{found}, and neither keypoints nor a segmentation")
        return
    x0, y0, x1, y1 = corners
    h, w = person.size
    _set_box(person, (max(x0, 0.0), max(y0, 0.0), min(x1, w), min(y1, h)))
    person.report(rule, found, f"{_shown(person.annotation['bbox'])}, {source}")


def _covered_box(person: _Person) -> tuple[float, ...] | None:
    if not has_segmentation(person.annotation) or math.inf in person.size:
        return None
    rows, columns = mask(person.annotation["segmentation"], (int(person.size[0]), int(person.size[1]))).nonzero()
    if not len(rows):
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def _set_box(person: _Person, corners: tuple[float, ...]) -> None:
    x0, y0, x1, y1 = corners
    person.annotation["bbox"] = [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)]


def _segmentation(person: _Person) -> None:
    if (fault := _segmentation_fault(person.annotation, person.size)) is not None:
        del person.annotation["segmentation"]
        person.report("segmentation cannot be read", fault, "removed")


def _segmentation_fault(annotation: dict[str, Any], size: tuple[float, float]) -> str | None:
    if not has_segmentation(annotation) or math.inf in size:
        return None
    try:
        check_segmentation(annotation["segmentation"], (int(size[0]), int(size[1])))
    except AnnotationError as error:
        return str(error)
    return None


def _area(person: _Person) -> None:
    area, box = person.annotation.get("area"), person.annotation["bbox"]
    good = isinstance(area, (int, float)) and math.isfinite(area) and area > 0
    if good:
        return
    rule = "area is zero" if area == 0 else "area missing" if area is None else "area is no positive number"
    new, source = round(BODY_SHARE * box[2] * box[3], 2), f"{BODY_SHARE} of the box"
    if has_segmentation(person.annotation) and math.inf not in person.size:
        covered = mask_area(person.annotation["segmentation"], (int(person.size[0]), int(person.size[1])))
        new, source = (covered, "of the segmentation") if covered else (new, source)
    person.annotation["area"] = new
    person.report(rule, f"`area` is {area!r}", f"{new:g}, {source}")


def _shown(box: list[float]) -> str:
    return "[" + ", ".join(f"{v:g}" for v in box) + "]"
