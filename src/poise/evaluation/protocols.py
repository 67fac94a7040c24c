"""How models of each kind are measured: what they look for in a data set, how what they find is rated, what a double is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.geometry import box_area
from poise.inference.bottom_up import no_boxes
from poise.inference.top_down import Found, Request
from poise.metrics.oks import pose_oks
from poise.models.bottom_up import BottomUp
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model, posed
from poise.models.top_down import TopDown
from poise.structures import Poses
from poise.transforms.crop import box_frame

Boxes = Mapping[int, PersonBoxes]
"""A detector's, for each category."""


@final
@dataclass(frozen=True)
class Rating:
    """How poses are rated and doubles removed.

    Attributes:
        min_keypoint_score: Keypoints above it make the score of a pose; None keeps the score that the model gave.
        oks_nms: Of two poses nearer than this OKS the better one stays; None keeps all.
    """

    min_keypoint_score: float | None
    oks_nms: float | None

    @classmethod
    def of(cls, model: Model) -> "Rating":
        """As the model's release does it."""
        return protocol_of(model).rating(model)


@final
@dataclass(frozen=True, eq=False)
class ScoredPoses:
    """An image's poses in the keypoints of the model.

    Attributes:
        poses: Who was found.
        rows: Whose they are, rows of the labels; None where nobody knows.
        categories: Of each.
        partly: Whether keypoints of score 0 were not found.
    """

    poses: Poses
    rows: list[int] | None
    categories: list[int]
    partly: bool = False


@final
@dataclass(frozen=True, eq=False)
class EvalRequest:
    """What to look for in an image.

    Attributes:
        request: For the model.
        rows: The row of the label of each box; None where the boxes are a detector's, or there are none.
        categories: Of each box; of whoever is found, where it is one number.
        partly: Whether keypoints of score 0 were not found.
    """

    request: Request
    rows: list[int] | None
    categories: list[int] | int
    partly: bool = False

    def looked(self, found: Found) -> ScoredPoses:
        """Who was found, and of which category."""
        if isinstance(self.categories, int):
            return ScoredPoses(found.poses, None, [self.categories] * len(found.poses), self.partly)
        rows = None if self.rows is None else [self.rows[i] for i in found.rows]
        return ScoredPoses(found.poses, rows, [self.categories[i] for i in found.rows])

    def lost(self, found: Found) -> int:
        """How many boxes nobody could be looked for in."""
        return 0 if isinstance(self.categories, int) else len(self.categories) - len(found.rows)


@final
@dataclass(frozen=True)
class EvalProtocol:
    """How models of one kind are measured.

    Attributes:
        wanted: What to look for in a data set, by the place of the image; with a detector's boxes or without.
        rating: How poses are rated by default.
        similar: OKS of every pose of an image with every other, by which doubles are told; sigmas of the keypoints last.
        boxes: Whether the model finds boxes, which are measured too.
    """

    wanted: Callable[[Any, EvalSet, Boxes | None], dict[int, EvalRequest]]
    rating: Callable[[Any], Rating]
    similar: Callable[[Any, Poses, Sequence[float]], Float[Tensor, "n n"]]
    boxes: bool = False


def _in_boxes(model: TopDown, eval_set: EvalSet, boxes: Boxes | None) -> dict[int, EvalRequest]:
    wanted = _labelled(model, eval_set) if boxes is None else _detected(eval_set, boxes)
    if not wanted:
        raise BoxError(nobody(lost_boxes(eval_set, boxes)))
    return wanted


def lost_boxes(eval_set: EvalSet, boxes: Boxes | None) -> int:
    """Boxes that nobody can be looked for in, whatever the image."""
    return eval_set.sizeless if boxes is None else sum(part.skipped for part in boxes.values())


def nobody(lost: int) -> str:
    """What to say where there is no box to look into.

    Args:
        lost: How many are of no use.
    """
    if not lost:
        return "there is nobody to look for: no labelled people, or no boxes for these images"
    return (
        f"none of the {lost} boxes can be looked into: they have no size or lie outside their image; expected `bbox` as x, y, "
        f"width, height in pixels, width and height above 0"
    )


def _labelled(model: TopDown, eval_set: EvalSet) -> dict[int, EvalRequest]:
    wanted: dict[int, EvalRequest] = {}
    for index in range(len(eval_set.dataset)):
        if rows := eval_set.people(index):
            boxes = eval_set.boxes(index, model.preprocess.crop)
            request = Request(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), boxes)
            wanted[index] = EvalRequest(request, rows, eval_set.categories(index))
    return wanted


def _detected(eval_set: EvalSet, boxes: Boxes) -> dict[int, EvalRequest]:
    wanted: dict[int, EvalRequest] = {}
    for index, image in enumerate(eval_set.ids):
        found = {category: part.of(image) for category, part in boxes.items()}
        where = torch.cat([b for b, _ in found.values()])
        if len(where):
            score = torch.cat([s for _, s in found.values()])
            request = Request(eval_set.dataset.key(index), partial(eval_set.dataset.image, index), where, score)
            wanted[index] = EvalRequest(request, None, [category for category, (b, _) in found.items() for _ in b])
    return wanted


def _everywhere(model: BottomUp | KeypointRCNN, eval_set: EvalSet, boxes: Boxes | None) -> dict[int, EvalRequest]:
    """Every image: people found where nobody is labelled are false."""
    if boxes is not None:
        raise InputError(no_boxes(model))
    category = only_category(model.card.name, eval_set)
    partly = not protocol_of(model).boxes  # whoever has a box has all keypoints
    keys = [eval_set.dataset.key(index) for index in range(len(eval_set.dataset))]
    return {
        i: EvalRequest(Request(key, partial(eval_set.dataset.image, i)), None, category, partly) for i, key in enumerate(keys)
    }


def only_category(finder: str, eval_set: EvalSet) -> int:
    """Of whoever a model finds that does not say.

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


def _by_view(model: TopDown, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
    """With the area that the model sees of each box: what the releases take for it."""
    seen = [box_frame(model.preprocess, box, size=model.codec.size).extent for box in poses.boxes]
    return pose_oks(poses.xy, torch.tensor(seen, dtype=torch.float64).prod(dim=1), sigmas)


def _by_keypoints(model: BottomUp, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
    """Over the keypoints that both have, with the area of the boxes around those that were found."""
    return pose_oks(poses.xy, box_area(poses.boxes), sigmas, known=poses.score > 0, of="both")


def _by_boxes(model: KeypointRCNN, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
    """With the area of the boxes that the model found."""
    return pose_oks(poses.xy, box_area(poses.boxes), sigmas)


def _as_boxed(model: TopDown) -> Rating:
    return Rating(model.preprocess.min_keypoint_score, model.preprocess.oks_nms)


def _as_found(model: BottomUp | KeypointRCNN) -> Rating:
    return Rating(None, None)


PROTOCOLS: dict[type, EvalProtocol] = {
    TopDown: EvalProtocol(_in_boxes, _as_boxed, _by_view),
    BottomUp: EvalProtocol(_everywhere, _as_found, _by_keypoints),
    KeypointRCNN: EvalProtocol(_everywhere, _as_found, _by_boxes, boxes=True),
}
"""Of each kind of model."""


def protocol_of(model: Model) -> EvalProtocol:
    """How a model is measured."""
    return PROTOCOLS[type(posed(model))]
