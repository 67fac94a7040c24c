"""Requests of an evaluation: boxes and categories of each image, and the poses found for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.geometry import large
from poise.inference.request import ImagePoses, ImageRequest
from poise.inference.stream import no_boxes
from poise.models.base import PoseModel
from poise.notes import note
from poise.structures import Poses

EMPTY_SHARE = 0.5
"""Share of images without annotations above which they may be those that nobody has labelled yet; COCO's val2017 has 0.47."""

Boxes = Mapping[int, PersonBoxes]
"""Boxes of a detector, by category id."""


@final
@dataclass(frozen=True, eq=False)
class ScoredPoses:
    """The poses of an image in the keypoints of the model, with the facts that scoring needs.

    Attributes:
        poses: The poses found.
        rows: For each pose the row of its label; None where poses are matched with labels afterwards.
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
    """An image with the labels and categories of its boxes.

    Attributes:
        request: The request to the model.
        rows: For each box the row of its label; None for boxes of a detector, or without boxes.
        categories: Category id of each box; one id where the model finds people by itself.
        partial: Whether keypoints of score 0 were not found.
        min_area: Area of the box, square pixels, below which whoever a model found by itself is left out.
    """

    request: ImageRequest
    rows: list[int] | None
    categories: list[int] | int
    partial: bool = False
    min_area: float = 0.0

    def scored(self, found: ImagePoses) -> ScoredPoses:
        """The poses found, with rows and categories."""
        if isinstance(self.categories, int):
            poses = found.poses[large(found.poses.boxes, self.min_area)]
            return ScoredPoses(poses, None, [self.categories] * len(poses), self.partial)
        rows = None if self.rows is None else [self.rows[i] for i in found.boxes]
        return ScoredPoses(found.poses, rows, [self.categories[i] for i in found.boxes])

    def lost(self, found: ImagePoses) -> int:
        """Number of boxes that could not be used."""
        return 0 if isinstance(self.categories, int) else len(self.categories) - len(found.boxes)


def eval_requests(model: PoseModel, eval_set: EvalSet, boxes: Boxes | None) -> dict[int, EvalRequest]:
    """Requests of an evaluation, by the index of the image.

    Args:
        model: A model that takes boxes gets the labelled boxes; another sees all images, also those without labels, where
            people found are false positives.
        eval_set: The evaluation set.
        boxes: Boxes of a detector, in place of the labelled ones.

    Raises:
        BoxError: No box can be used.
        InputError: Boxes for a model that takes none, or annotations of several categories for one that finds people itself.
    """
    if not model.takes_boxes:
        if boxes is not None:
            raise InputError(no_boxes(model))
        return _whole_images(model, eval_set)
    requests = _labelled(model, eval_set) if boxes is None else _detected(eval_set, boxes)
    if not requests:
        raise BoxError(no_boxes_message(lost_boxes(eval_set, boxes)))
    return requests


def lost_boxes(eval_set: EvalSet, boxes: Boxes | None) -> int:
    """Number of boxes without size, over all images."""
    return eval_set.sizeless if boxes is None else sum(part.skipped for part in boxes.values())


def no_boxes_message(lost: int) -> str:
    """Error message where no box can be used.

    Args:
        lost: Number of boxes that cannot be used.
    """
    if not lost:
        return "there are no boxes to predict in: no labelled people, or no boxes for these images"
    return (
        f"none of the {lost} boxes can be used: they have no size or lie outside their image; expected `bbox` as x, y, "
        f"width, height in pixels, width and height above 0"
    )


def only_category(finder: str, eval_set: EvalSet) -> int:
    """The only category id of the annotations, for a model that does not predict categories.

    Args:
        finder: Name of the model.
        eval_set: The evaluation set.

    Raises:
        InputError: The annotations have several categories.
    """
    if len(eval_set.skeletons) > 1:
        categories = ", ".join(map(str, eval_set.skeletons))
        raise InputError(
            f"{finder} does not predict the category of the people it finds, and the annotations have "
            f"keypoints of {len(eval_set.skeletons)} categories ({categories}); evaluate on a file with one of them"
        )
    return next(iter(eval_set.skeletons))


def _labelled(model: PoseModel, eval_set: EvalSet) -> dict[int, EvalRequest]:
    requests: dict[int, EvalRequest] = {}
    if model.card.whole_image:
        note(f"{model.card.name} learnt whole images (--whole-image) and gets them in place of labelled boxes")
    for index in range(len(eval_set.dataset)):
        if rows := eval_set.people(index):
            whole = model.card.whole_image and len(rows) == 1
            boxes = None if whole else eval_set.boxes(index, model.crop_rule)
            request = ImageRequest(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), boxes)
            requests[index] = EvalRequest(request, rows, eval_set.categories(index))
    return requests


def _detected(eval_set: EvalSet, boxes: Boxes) -> dict[int, EvalRequest]:
    requests: dict[int, EvalRequest] = {}
    for index, image in enumerate(eval_set.ids):
        found = {category: part.of(image) for category, part in boxes.items()}
        every = torch.cat([b for b, _ in found.values()])
        kept = large(every, eval_set.min_area)
        if bool(kept.any()):
            score = torch.cat([s for _, s in found.values()])[kept]
            request = ImageRequest(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), every[kept], score)
            categories = [category for category, (b, _) in found.items() for _ in b]
            requests[index] = EvalRequest(request, None, [categories[i] for i in kept.nonzero().flatten().tolist()])
    return requests


def _whole_images(model: PoseModel, eval_set: EvalSet) -> dict[int, EvalRequest]:
    category = only_category(model.card.name, eval_set)
    dataset = eval_set.dataset
    requests = [ImageRequest(dataset.key(index), partial(dataset.image, index)) for index in range(len(dataset))]
    empty = int((dataset.label_counts == 0).sum())
    if empty > EMPTY_SHARE * len(dataset):
        note(
            f"{empty} of {len(dataset)} images have no annotation and are searched too: whoever is found there is a false "
            "positive, as in COCO's protocol. Leave images out of the file that nobody has labelled yet"
        )
    area = eval_set.min_area
    return {i: EvalRequest(request, None, category, model.partial_poses, area) for i, request in enumerate(requests)}
