"""A detector's boxes for a data set with categories."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from poise.data.boxes import PersonBoxes, read_boxes
from poise.errors import BoxError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import only_category
from poise.inference.detect import Detected
from poise.inference.request import ImageRequest
from poise.metrics.coco_format import to_coco_box_results
from poise.structures import Key


def detections(path: Path | str, eval_set: EvalSet, *, min_score: float) -> dict[int, PersonBoxes]:
    """A file of detections by category; one without category ids is of the only category.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no list of detections.
        BoxError: None of its boxes has a size.
        InputError: None of its boxes is for an image and a category of the data set.
    """
    found = {category: read_boxes(path, min_score=min_score, categories={category}) for category in eval_set.skeletons}
    known = set(eval_set.ids)
    useless = sum(part.skipped for part in found.values())
    if useless and not any(map(len, found.values())):
        raise BoxError(
            f"none of the {useless} boxes in {str(path)!r} can be looked into: they have no size or are not finite; expected "
            f"`bbox` as x, y, width, height in pixels, width and height above 0"
        )
    if not any(image in known for part in found.values() for image in part.boxes):
        raise InputError(
            f"none of the boxes in {str(path)!r} with a score of at least {min_score:g} is for an image and a category "
            f"({', '.join(map(str, eval_set.skeletons))}) of the annotations; do both files belong together?"
        )
    return found


def images_of(eval_set: EvalSet) -> list[ImageRequest]:
    """All images of a data set, under the ids of its annotations."""
    names_of = [eval_set.dataset.key(index).file_name for index in range(len(eval_set.ids))]
    return [
        ImageRequest(Key(name, image), partial(eval_set.dataset.image, index))
        for index, (name, image) in enumerate(zip(names_of, eval_set.ids, strict=True))
    ]


def person_boxes(found: Iterable[Detected], eval_set: EvalSet, *, detector: str) -> dict[int, PersonBoxes]:
    """What was found as the boxes of the only category of a data set.

    Args:
        found: In its images.
        eval_set: The data set.
        detector: Its name.

    Raises:
        InputError: Nobody was found, or the annotations have several categories.
    """
    category = only_category(detector, eval_set)
    some = [one for one in found if len(one.boxes)]
    if not some:
        raise InputError(f"{detector} found nobody in these images; a lower --min-box-score, or another detector, may")
    boxes = {one.key.image_id: one.boxes for one in some}
    return {category: PersonBoxes(boxes, {one.key.image_id: one.scores for one in some})}


def measured_rows(boxes: Mapping[int, PersonBoxes]) -> list[dict[str, Any]]:
    """Boxes by category as rows that `metrics.boxes` scores."""
    return [
        row
        for category, part in boxes.items()
        for image, found in part.boxes.items()
        for row in to_coco_box_results(found, part.scores[image], image=image, categories=[category] * len(found))
    ]
