"""Measuring a model: the COCO protocol, PCK, every keypoint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from statistics import median
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.decoders import Codec, decoder
from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, ImageError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import ScoredPoses, eval_requests, lost_boxes, nobody
from poise.inference.request import Skipped, Watch, none_usable
from poise.inference.settings import InferenceSettings
from poise.inference.stream import stream_poses
from poise.metrics import coco, coco_format
from poise.metrics.boxes import BoxScores, checked_box_annotations, evaluate_boxes
from poise.metrics.coco_format import to_coco_box_results
from poise.metrics.oks import oks_nms, rescore
from poise.metrics.pck import PCK, THRESHOLDS, match_to_labels, pck
from poise.models.base import PoseModel, Rescoring
from poise.skeletons import Skeleton, keypoint_indices
from poise.structures import Labels, Poses


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes:
        coco: The protocol's numbers.
        pck: "pck@0.05", "pck@0.1", "pck@0.2": shares of the labelled keypoints.
        keypoints: For each keypoint its pck, and the protocol's AP and AR as if it alone were labelled.
        results: All poses in COCO's form.
        skeleton: Of the data set.
        skipped: Images that could not be used; their people count as missed.
        lost_boxes: Boxes that have no size or lie outside their image; nobody was looked for in them.
        positions: For every image, a pose for each row of its labels, pixels of the image; nan where there is none.
        decoder: How the network's answers were read, `codecs.decoders.decoder`.
        seconds: What it took to read the answers to an image; half of the images took less.
        boxes: The twelve numbers of COCO's box protocol, of a model that finds boxes.
        box_results: Its boxes in COCO's form.
    """

    coco: coco.CocoScores
    pck: dict[str, float]
    keypoints: dict[str, dict[str, float]]
    results: list[dict[str, Any]]
    skeleton: Skeleton
    skipped: list[Skipped]
    lost_boxes: int
    positions: list[Float[Tensor, "_ k 2"]]
    decoder: str = ""
    seconds: float = 0.0
    boxes: BoxScores | None = None
    box_results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def numbers(self) -> dict[str, float]:
        """The ten numbers and the pck; of a model that finds boxes the twelve of its boxes, as "box AP" and so on."""
        boxes = {} if self.boxes is None else self.boxes.numbers
        return self.coco.numbers | self.pck | {f"box {name}": value for name, value in boxes.items()}


def evaluate(
    model: PoseModel,
    eval_set: EvalSet,
    settings: InferenceSettings,
    *,
    rescoring: Rescoring | None = None,
    boxes: Mapping[int, PersonBoxes] | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Look for the people of a data set and compare.

    Args:
        model: Knows every keypoint of the data set, by name.
        eval_set: The data set and its annotations.
        settings: How the model is run.
        rescoring: How poses are scored and duplicates removed; as the model's release does by default.
        boxes: A detector's, for each category; the labelled boxes by default. None for a model that looks at whole images: it
            looks at all of them.
        watch: Sees every image as it is done.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
        AnnotationError: The annotations cannot be scored against.
        BoxError: No box is of any use.
        ImageError: No image can be used.
        InputError: A model that looks at whole images is given boxes, or annotations of several categories.
    """
    [found] = evaluate_each(model, eval_set, settings, codecs=[model.codec], rescoring=rescoring, boxes=boxes, watch=watch)
    return found


def evaluate_each(
    model: PoseModel,
    eval_set: EvalSet,
    settings: InferenceSettings,
    *,
    codecs: Sequence[Codec],
    rescoring: Rescoring | None = None,
    boxes: Mapping[int, PersonBoxes] | None = None,
    watch: Watch | None = None,
) -> list[Evaluation]:
    """The same for answers read in several ways, with every image answered once.

    Args:
        model: As for `evaluate`.
        eval_set: The data set and its annotations.
        settings: How the model is run.
        codecs: The model's codec, and others alike but for how they read.
        rescoring: As for `evaluate`.
        boxes: As for `evaluate`.
        watch: Sees every image as it is done.
    """
    eval_set.known_to(model.skeleton)
    coco_format.check_annotations(eval_set.truth, eval_set.skeletons)  # before anything slow
    if model.finds_boxes:
        checked_box_annotations(eval_set.truth)
    asked = eval_requests(model, eval_set, boxes)
    lost = lost_boxes(eval_set, boxes)
    skipped: list[Skipped] = []
    scored: list[dict[int, ScoredPoses]] = [{} for _ in codecs]
    seconds: list[list[float]] = [[] for _ in codecs]
    order = {one.request.key: index for index, one in asked.items()}
    requests = [one.request for one in asked.values()]
    stream: Iterable[Any] = stream_poses(model, requests, settings, codecs=codecs, skipped=skipped)
    for founds in watch(stream, len(asked)) if watch else stream:
        index = order[founds[0].poses.key]
        lost += asked[index].lost(founds[0])
        for which, found in enumerate(founds):
            scored[which][index] = asked[index].scored(found)
            seconds[which].append(found.seconds)
    if len(skipped) == len(asked):
        raise ImageError(none_usable(skipped))
    if lost and not any(one.categories for one in scored[0].values()):
        raise BoxError(nobody(lost))
    rescoring = rescoring or model.rescoring
    return [
        replace(
            score_poses(model, eval_set, one, rescoring, skipped=skipped, lost=lost),
            decoder=decoder(codec),
            seconds=median(each),
        )
        for one, codec, each in zip(scored, codecs, seconds, strict=True)
    ]


def score_poses(
    model: PoseModel,
    eval_set: EvalSet,
    scored: Mapping[int, ScoredPoses],
    rescoring: Rescoring,
    *,
    skipped: list[Skipped],
    lost: int,
) -> Evaluation:
    """Poses compared with the labels.

    Args:
        model: Whose they are.
        eval_set: The labels.
        scored: The poses, by the index of their image.
        rescoring: How poses are scored and duplicates removed.
        skipped: Images that could not be used.
        lost: Boxes that could not.
    """
    results: list[dict[str, Any]] = []
    found_boxes: list[dict[str, Any]] = []
    counts: dict[float, list[PCK]] = {t: [] for t in THRESHOLDS}
    everywhere: list[Tensor] = []
    columns = list(keypoint_indices(model.skeleton, eval_set.skeleton))
    for index, image in enumerate(eval_set.ids):
        labels = eval_set.dataset.labels(index)
        positions = torch.full_like(labels.xy, torch.nan)
        if index in scored:
            one = scored[index]
            poses = _rated(one.poses, columns, rescoring)
            results += _results(model, eval_set, poses, one.categories, image=image, oks=rescoring.oks_nms)
            found_boxes += to_coco_box_results(poses.boxes, poses.box_score, image=image, categories=one.categories)
            positions = _positions(replace(one, poses=poses), labels, eval_set.skeleton)
        everywhere.append(positions)
        for threshold in THRESHOLDS:
            counts[threshold].append(pck(positions, labels, threshold))
    total = {f"pck@{t:g}": reduce(add, parts) for t, parts in counts.items()}
    alone = coco.evaluate_keypoints(eval_set.truth, results, eval_set.skeletons)
    keypoints = {
        name: {label: count.keypoints[i] for label, count in total.items()} | {n: alone[name][n] for n in ("AP", "AR")}
        for i, name in enumerate(eval_set.skeleton.keypoints)
    }
    scores = coco.evaluate(eval_set.truth, results, eval_set.skeletons)
    shares = {label: count.mean for label, count in total.items()}
    measured = Evaluation(scores, shares, keypoints, results, eval_set.skeleton, skipped, lost, everywhere)
    if not model.finds_boxes:
        return measured
    return replace(measured, boxes=evaluate_boxes(eval_set.truth, found_boxes), box_results=found_boxes)


def _rated(poses: Poses, columns: list[int], rescoring: Rescoring) -> Poses:
    """In the keypoints of the data set, with their scores."""
    xy, score = poses.xy[:, columns], poses.score[:, columns]
    least = rescoring.min_keypoint_score
    rated = poses.pose_score if least is None else rescore(poses.box_score, score, least)
    return replace(poses, xy=xy, score=score, pose_score=rated)


def _positions(one: ScoredPoses, labels: Labels, skeleton: Skeleton) -> Float[Tensor, "n k 2"]:
    """A pose for each label; nan where there is none."""
    xy = one.poses.xy
    if one.rows is not None:
        positions = torch.full_like(labels.xy, torch.nan)
        positions[one.rows] = xy.to(positions)
        return positions
    if one.partial:  # infinitely far from everything
        xy = xy.where((one.poses.score > 0)[..., None], torch.inf)
    found = match_to_labels(xy, one.poses.pose_score, labels, skeleton.sigmas)
    return found.where(found.isfinite(), torch.nan)


def _results(
    model: PoseModel, eval_set: EvalSet, poses: Poses, categories: list[int], *, image: int, oks: float | None
) -> list[dict[str, Any]]:
    """The poses of an image in COCO's form, each in the keypoints of its category; without duplicates unless `oks` is None."""
    rows: list[dict[str, Any]] = []
    for category in dict.fromkeys(categories):
        one = poses.select(torch.tensor([c == category for c in categories]))
        own = list(keypoint_indices(eval_set.skeleton, eval_set.skeletons[category]))
        one = replace(one, xy=one.xy[:, own], score=one.score[:, own])
        if oks is not None:
            similar = model.similarity(one, eval_set.skeletons[category].sigmas)
            one = one.select(oks_nms(similar, one.pose_score, oks))
        of = torch.full((len(one),), category, dtype=torch.int64)
        rows += coco_format.to_coco_results(one.xy, one.score, one.pose_score, image=image, categories=of)
    return rows
