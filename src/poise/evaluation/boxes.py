"""Boxes of a detector for an evaluation set, by category."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from poise.data.boxes import PersonBoxes, read_boxes_by_category
from poise.errors import BoxError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import only_category
from poise.inference.detect import Detected
from poise.inference.request import ImageRequest
from poise.metrics.coco_format import to_coco_box_results
from poise.structures import Key


def detections(path: Path | str, eval_set: EvalSet, *, min_score: float) -> dict[int, PersonBoxes]:
    """Boxes of a detection file by category id; rows without category belong to the only category.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no list of detections.
        BoxError: None of its boxes has a size.
        InputError: None of its boxes is for an image and a category of the data set.
    """
    found = read_boxes_by_category(path, min_score=min_score, categories=eval_set.skeletons)
    known = set(eval_set.ids)
    unusable = sum(part.skipped for part in found.values())
    if unusable and not any(map(len, found.values())):
        raise BoxError(
            f"none of the {unusable} boxes in {str(path)!r} can be used: they have no size or are not finite; expected "
            f"`bbox` as x, y, width, height in pixels, width and height above 0"
        )
    if not any(image in known for part in found.values() for image in part.boxes):
        raise InputError(
            f"none of the boxes in {str(path)!r} with a score of at least {min_score:g} is for an image and a category "
            f"({', '.join(map(str, eval_set.skeletons))}) of the annotations; do both files belong together?"
        )
    return found


def images_of(eval_set: EvalSet) -> list[ImageRequest]:
    """Requests without boxes for all images of an evaluation set, with the image ids of its annotations."""
    names = [eval_set.dataset.key(index).file_name for index in range(len(eval_set.ids))]
    return [
        ImageRequest(Key(name, image), partial(eval_set.dataset.image, index))
        for index, (name, image) in enumerate(zip(names, eval_set.ids, strict=True))
    ]


def person_boxes(found: Iterable[Detected], eval_set: EvalSet, *, detector: str) -> dict[int, PersonBoxes]:
    """A detector's boxes as those of the only category of an evaluation set.

    Args:
        found: Boxes found in the images of the set.
        eval_set: The evaluation set.
        detector: Name of the detector.

    Raises:
        InputError: No boxes were found, or the annotations have several categories.
    """
    category = only_category(detector, eval_set)
    large = (one.large(eval_set.min_area) for one in found)
    nonempty = [one for one in large if len(one.boxes)]
    if not nonempty:
        raise InputError(f"{detector} found nobody in these images; a lower --min-box-score, or another detector, may")
    boxes = {one.key.image_id: one.boxes for one in nonempty}
    return {category: PersonBoxes(boxes, {one.key.image_id: one.scores for one in nonempty})}


def measured_rows(boxes: Mapping[int, PersonBoxes]) -> list[dict[str, Any]]:
    """Boxes by category as COCO result rows for `metrics.boxes`."""
    return [
        row
        for category, part in boxes.items()
        for image, found in part.boxes.items()
        for row in to_coco_box_results(found, part.scores[image], image=image, categories=[category] * len(found))
    ]
