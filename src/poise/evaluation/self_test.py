"""Measuring a codec: labels through what a model does to images and to keypoints, and back, as if they were predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.roi import within
from poise.dims import Size
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, judged
from poise.evaluation.protocols import Rating, ScoredPoses, only_category
from poise.evaluation.round_trip import labelled_views, there_and_back
from poise.geometry import Warp, apply
from poise.inference.bottom_up import poses_of_people
from poise.inference.top_down import poses_of
from poise.inference.two_stage import poses_of_boxed
from poise.models.bottom_up import BottomUp
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Model, posed
from poise.models.top_down import TopDown
from poise.scenes import People, Scenes
from poise.skeletons import convert
from poise.structures import Points
from poise.transforms.canvas import Layout, boxes_to_view, canvas_layout
from poise.transforms.person_crop import warp_boxes
from poise.transforms.scene_crop import select_learnt


@final
@dataclass(frozen=True, eq=False)
class SelfTest:
    """What crop and codec cost.

    Attributes:
        evaluation: Of the labels that went through both, without removing doubles.
        codec_ap: The AP if keypoints outside their person's view had come back unharmed: what is missing costs the codec.
        errors: How far each labelled keypoint inside its view comes back from where it was, pixels of the view.
        outside: How many labelled keypoints lie outside their person's view, where no network can find them.
    """

    evaluation: Evaluation
    codec_ap: float
    errors: Float[Tensor, " e"]
    outside: int


def self_test(model: Model, eval_set: EvalSet) -> SelfTest:
    """The labels through crop or canvas, encoding, decoding and back, as if they were predictions. No network is asked.

    No image is read either, but by a model that looks at whole images where the annotations do not say how large they are.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
    """
    eval_set.known_to(model.skeleton)
    return TESTS[type(posed(model))](model, eval_set)


def _of_people(model: TopDown, eval_set: EvalSet) -> SelfTest:
    rule = model.preprocess
    views = labelled_views(eval_set, rule, size=model.codec.size, skeleton=model.skeleton)
    [back] = there_and_back([model.codec], views.xy)
    outside = views.labelled & ~views.inside
    mended = Points(torch.where(outside[..., None], views.xy, back.xy), back.score)
    looked: dict[int, ScoredPoses] = {}
    healed: dict[int, ScoredPoses] = {}
    for index, rows in views.images.items():
        boxes, key, warps = views.boxes[rows], eval_set.dataset.key(index), views.warps[rows]
        for target, found in ((looked, back), (healed, mended)):
            points = Points(found.xy[rows], found.score[rows])
            poses = poses_of(boxes, torch.ones(len(rows)), points, warps, key, least=rule.min_keypoint_score)
            target[index] = ScoredPoses(poses, views.rows[rows].tolist(), eval_set.categories(index))
    errors = (back.xy - views.xy).norm(dim=-1)[views.inside]
    rating = Rating(rule.min_keypoint_score, None)
    evaluation, ideal = (judged(model, eval_set, part, rating, skipped=[], lost=0) for part in (looked, healed))
    return SelfTest(evaluation, ideal.coco.numbers["AP"], errors, int(outside.sum()))


def _of_scenes(model: BottomUp, eval_set: EvalSet) -> SelfTest:
    """Whose a person is that comes back is told by OKS; keypoints that do not come back have no error."""
    category = only_category(model.card.name, eval_set)
    looked: dict[int, ScoredPoses] = {}
    warps: list[Warp] = []
    outside = 0
    for index in range(len(eval_set.dataset)):
        layout = canvas_layout(model.preprocess, _size(eval_set, index), max(model.preprocess.scales))
        scenes, left_out = _scenes(model, eval_set, index, layout)
        [people] = model.codec.decode(model.codec.encode(scenes))
        poses = poses_of_people(people, layout.warp, eval_set.dataset.key(index))
        looked[index] = ScoredPoses(poses, None, [category] * len(poses), partly=True)
        warps.append(layout.warp)
        outside += left_out
    evaluation = judged(model, eval_set, looked, Rating(None, None), skipped=[], lost=0)
    errors = [torch.zeros(0)]
    for index, (back, warp) in enumerate(zip(evaluation.positions, warps, strict=True)):
        labels = eval_set.dataset.labels(index)
        away = (apply(warp, back.double()) - apply(warp, labels.xy.double())).norm(dim=-1)
        errors.append(away[(labels.visible > 0) & away.isfinite()].float())
    return SelfTest(evaluation, evaluation.coco.numbers["AP"], torch.cat(errors), outside)


def _size(eval_set: EvalSet, index: int) -> Size:
    """Of an image (h, w): as the annotations say, or as it is."""
    record = eval_set.truth["images"][index]
    if record.get("height") and record.get("width"):
        return int(record["height"]), int(record["width"])
    image = eval_set.dataset.image(index)
    return image.shape[1], image.shape[2]


def _scenes(model: BottomUp, eval_set: EvalSet, index: int, layout: Layout) -> tuple[Scenes, int]:
    """The labels of one image as those of its view, and how many of their keypoints lie outside of it."""
    labels = select_learnt(eval_set.dataset.labels(index))
    xy, visible = convert(labels.xy, labels.visible, source=eval_set.skeleton, target=model.skeleton)
    seen = apply(layout.warp, xy)
    inside = ((seen > -0.5) & (seen < seen.new_tensor([layout.size[1], layout.size[0]]) - 0.5)).all(dim=-1)
    side = (labels.boxes[:, 2:] - labels.boxes[:, :2]).clamp(min=0).prod(dim=1).sqrt()
    scenes = Scenes(
        xy=seen,
        visible=visible * inside,
        boxes=warp_boxes(layout.warp, labels.boxes),
        extent=side * float(torch.linalg.det(layout.warp[:2, :2]).abs().sqrt()),
        scene=torch.zeros(len(labels), dtype=torch.int64),
        ignore=torch.zeros(1, *layout.size, dtype=torch.bool),
    )
    return scenes, int(((visible > 0) & ~inside).sum())


def _of_boxes(model: KeypointRCNN, eval_set: EvalSet) -> SelfTest:
    """In the labelled boxes; keypoints outside of them are what no head can find."""
    looked: dict[int, ScoredPoses] = {}
    healed: dict[int, ScoredPoses] = {}
    errors = [torch.zeros(0)]
    outside = 0
    for index in range(len(eval_set.dataset)):
        warp = canvas_layout(model.preprocess, _size(eval_set, index), max(model.preprocess.scales)).warp
        rows = eval_set.people(index)
        labels = eval_set.dataset.labels(index).select(torch.tensor(rows, dtype=torch.int64))
        xy, visible = convert(labels.xy, labels.visible, source=eval_set.skeleton, target=model.skeleton)
        seen, boxes = apply(warp, xy), boxes_to_view(model.preprocess, warp, labels.boxes)
        back = model.codec.decode(model.codec.encode(seen, boxes), boxes)
        there = within(seen, boxes)
        outside += int(((visible > 0) & ~there).sum())
        errors.append((back.xy - seen).norm(dim=-1)[(visible > 0) & there])
        sure = torch.ones(len(rows))
        for target, found in ((looked, back.xy), (healed, torch.where(there[..., None], back.xy, seen))):
            people = People(found, back.score, sure, boxes, sure)
            poses = poses_of_boxed(people, warp, eval_set.dataset.key(index), canvas=model.preprocess)
            target[index] = ScoredPoses(poses, rows, eval_set.categories(index))
    rating = Rating(None, None)
    evaluation, ideal = (judged(model, eval_set, part, rating, skipped=[], lost=0) for part in (looked, healed))
    return SelfTest(evaluation, ideal.coco.numbers["AP"], torch.cat(errors), outside)


TESTS: dict[type, Callable[[Any, EvalSet], SelfTest]] = {
    TopDown: _of_people,
    BottomUp: _of_scenes,
    KeypointRCNN: _of_boxes,
}
"""Of each kind of model."""
