"""What a model is asked about each image of an evaluation set, and what it gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.inference.request import ImagePoses, ImageRequest
from poise.inference.stream import no_boxes
from poise.models.base import PoseModel
from poise.structures import Poses

Boxes = Mapping[int, PersonBoxes]
"""Boxes of a detector, by category id."""


@final
@dataclass(frozen=True, eq=False)
class ScoredPoses:
    """The poses of an image in the keypoints of the model, with what scoring needs to know of them.

    Attributes:
        poses: Who was found.
        rows: For each pose the index of its label; None where nobody knows.
        categories: Category id of each pose.
        partial: Whether keypoints of score 0 were not found.
    """

    poses: Poses
    rows: list[int] | None
    categories: list[int]
    partial: bool = False


@final
@dataclass(frozen=True, eq=False)
class EvalRequest:
    """What to look for in an image.

    Attributes:
        request: For the model.
        rows: For each box the index of its label; None where the boxes are a detector's, or there are none.
        categories: Category id of each box; one number where the model finds people by itself.
        partial: Whether keypoints of score 0 were not found.
    """

    request: ImageRequest
    rows: list[int] | None
    categories: list[int] | int
    partial: bool = False

    def scored(self, found: ImagePoses) -> ScoredPoses:
        """Who was found, and of which category."""
        if isinstance(self.categories, int):
            return ScoredPoses(found.poses, None, [self.categories] * len(found.poses), self.partial)
        rows = None if self.rows is None else [self.rows[i] for i in found.boxes]
        return ScoredPoses(found.poses, rows, [self.categories[i] for i in found.boxes])

    def lost(self, found: ImagePoses) -> int:
        """How many boxes nobody could be looked for in."""
        return 0 if isinstance(self.categories, int) else len(self.categories) - len(found.boxes)


def eval_requests(model: PoseModel, eval_set: EvalSet, boxes: Boxes | None) -> dict[int, EvalRequest]:
    """What to ask a model about an evaluation set, by the index of the image.

    Args:
        model: Looked with.
        eval_set: Its labelled boxes are looked into by a model that takes boxes, and all its images by others: people found
            where nobody is labelled are false positives.
        boxes: Of a detector, in place of the labelled ones.

    Raises:
        BoxError: No box can be looked into.
        InputError: Boxes for a model that takes none, or annotations of several categories for one that does not tell them.
    """
    if not model.takes_boxes:
        if boxes is not None:
            raise InputError(no_boxes(model))
        return _whole_images(model, eval_set)
    asked = _labelled(model, eval_set) if boxes is None else _detected(eval_set, boxes)
    if not asked:
        raise BoxError(nobody(lost_boxes(eval_set, boxes)))
    return asked


def lost_boxes(eval_set: EvalSet, boxes: Boxes | None) -> int:
    """How many boxes have no size, whatever the image."""
    return eval_set.sizeless if boxes is None else sum(part.skipped for part in boxes.values())


def nobody(lost: int) -> str:
    """What to say where there is no box to look into.

    Args:
        lost: How many boxes are of no use.
    """
    if not lost:
        return "there is nobody to look for: no labelled people, or no boxes for these images"
    return (
        f"none of the {lost} boxes can be looked into: they have no size or lie outside their image; expected `bbox` as x, y, "
        f"width, height in pixels, width and height above 0"
    )


def only_category(finder: str, eval_set: EvalSet) -> int:
    """The category id of whoever is found by a model that does not tell categories.

    Args:
        finder: Name of the model.
        eval_set: Where it looks.

    Raises:
        InputError: The annotations have several.
    """
    if len(eval_set.skeletons) > 1:
        several = ", ".join(map(str, eval_set.skeletons))
        raise InputError(
            f"{finder} does not say of which category the people are that it finds, and the annotations have "
            f"keypoints of {len(eval_set.skeletons)} categories ({several}); evaluate on a file with one of them"
        )
    return next(iter(eval_set.skeletons))


def _labelled(model: PoseModel, eval_set: EvalSet) -> dict[int, EvalRequest]:
    asked: dict[int, EvalRequest] = {}
    for index in range(len(eval_set.dataset)):
        if rows := eval_set.people(index):
            boxes = eval_set.boxes(index, model.crop_rule)
            request = ImageRequest(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), boxes)
            asked[index] = EvalRequest(request, rows, eval_set.categories(index))
    return asked


def _detected(eval_set: EvalSet, boxes: Boxes) -> dict[int, EvalRequest]:
    asked: dict[int, EvalRequest] = {}
    for index, image in enumerate(eval_set.ids):
        found = {category: part.of(image) for category, part in boxes.items()}
        where = torch.cat([b for b, _ in found.values()])
        if len(where):
            score = torch.cat([s for _, s in found.values()])
            request = ImageRequest(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), where, score)
            asked[index] = EvalRequest(request, None, [category for category, (b, _) in found.items() for _ in b])
    return asked


def _whole_images(model: PoseModel, eval_set: EvalSet) -> dict[int, EvalRequest]:
    category = only_category(model.card.name, eval_set)
    dataset = eval_set.dataset
    requests = [ImageRequest(dataset.key(index), partial(dataset.image, index)) for index in range(len(dataset))]
    return {i: EvalRequest(request, None, category, model.partial_poses) for i, request in enumerate(requests)}
