"""Evaluation of a model: the COCO protocol, PCK, scores of each keypoint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.decoders import Codec, decoder
from poise.data.boxes import PersonBoxes
from poise.errors import BoxError, ImageError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.further import FurtherScores
from poise.evaluation.masks import score_masks
from poise.evaluation.requests import ScoredPoses, eval_requests, lost_boxes, no_boxes_message
from poise.inference.ray_engine import RayCluster, stream_on_ray
from poise.inference.request import Skipped, Watch, none_usable
from poise.inference.settings import InferenceSettings
from poise.inference.stream import stream_poses
from poise.metrics import coco, coco_format
from poise.metrics.boxes import BoxScores, checked_box_annotations, evaluate_boxes
from poise.metrics.coco_format import to_coco_box_results
from poise.metrics.measures import MeasuredPCK
from poise.metrics.oks import rescore
from poise.metrics.parts import evaluate_parts, has_parts
from poise.metrics.pck import THRESHOLDS, match_to_labels, pck_at
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.models.base import PoseModel
from poise.models.rcnn_masks import mask_rows, pose_masks
from poise.models.values import Rescoring
from poise.skeletons import Skeleton, keypoint_indices
from poise.structures import Labels, Poses


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model on an evaluation set, and the results behind them.

    Attributes:
        coco: The ten numbers of COCO's keypoint protocol.
        pck: "pck@0.05", "pck@0.1", "pck@0.2": shares of the labelled keypoints.
        keypoints: For each keypoint name its pck, and AP and AR as if it alone were labelled.
        results: All poses in COCO's result format.
        skeleton: Skeleton of the data set.
        skipped: Images that could not be read; their people count as missed.
        lost_boxes: Number of boxes without size or outside their image, which gave no pose.
        positions: For each image one pose per row of its labels, pixels of the image; nan where there is none.
        decoder: Name of the decoder (`codecs.decoders.decoder`).
        seconds: Median time to decode the outputs of an image.
        boxes: The twelve numbers of COCO's box protocol, of a model that finds boxes.
        box_results: Its boxes in COCO's result format.
        masks: The twelve numbers of COCO's mask protocol, of a model that predicts masks, where masks are labelled.
        mask_results: Its masks in COCO's result format.
        measured: PCK by further thresholds and units (`evaluation.measures`).
        further: AUC, EPE, NME, PASCAL VOC's AP, F1 (`evaluation.further`), where they are asked for.
        parts: COCO's ten numbers of body, foot, face, hands and the whole (`metrics.parts`), of whole-body skeletons.
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
    masks: BoxScores | None = None
    mask_results: list[dict[str, Any]] = field(default_factory=list)
    measured: Sequence[MeasuredPCK] = ()
    further: Sequence[FurtherScores] = ()
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """COCO's ten numbers and PCK; the twelve of boxes and masks as "box AP", "mask AP", those of parts as "face AP"."""
        of = {"box": self.boxes, "mask": self.masks}
        twelve = {f"{what} {n}": v for what, one in of.items() if one is not None for n, v in one.numbers.items()}
        numbers = [one.numbers for one in self.measured] + [one.numbers for one in self.further]
        further = {name: value for one in numbers for name, value in one.items()}
        further |= {f"{part} {name}": value for part, one in self.parts.items() for name, value in one.items()}
        return self.coco.numbers | self.pck | further | twelve


def evaluate(
    model: PoseModel,
    eval_set: EvalSet,
    settings: InferenceSettings,
    *,
    rescoring: Rescoring | None = None,
    boxes: Mapping[int, PersonBoxes] | None = None,
    watch: Watch | None = None,
    cluster: RayCluster | None = None,
) -> Evaluation:
    """Predict the poses of an evaluation set and score them.

    Args:
        model: A model whose skeleton has all keypoints of the data set.
        eval_set: The data set and its ground truth.
        settings: Device, precision, flip test, batches, threads.
        rescoring: Pose scores and OKS-NMS; as in the model's release by default.
        boxes: Boxes of a detector, by category id; the labelled boxes by default. None for a model that finds people by
            itself, which sees all images.
        watch: Wraps the stream of images, for a progress bar.
        cluster: Runs the model on many machines, which must find the images at the same paths; None for this process.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
        AnnotationError: The annotations cannot be scored against.
        BoxError: No box can be used.
        ImageError: No image can be read.
        InputError: A model that finds people by itself is given boxes.
    """
    codecs = [model.codec]
    [found] = evaluate_each(
        model, eval_set, settings, codecs=codecs, rescoring=rescoring, boxes=boxes, watch=watch, cluster=cluster
    )
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
    cluster: RayCluster | None = None,
) -> list[Evaluation]:
    """An `Evaluation` for each of several codecs that decode the same outputs; the network runs once per image.

    Args:
        model: A model whose skeleton has all keypoints of the data set.
        eval_set: The data set and its ground truth.
        settings: Device, precision, flip test, batches, threads.
        codecs: Codecs that differ from the model's in decoding only.
        rescoring: Pose scores and OKS-NMS; as in the model's release by default.
        boxes: Boxes of a detector, by category id; the labelled boxes by default.
        watch: Wraps the stream of images, for a progress bar.
        cluster: As of `evaluate`.
    """
    eval_set = eval_set if model.takes_boxes else eval_set.one_class(model.card.name)
    eval_set.known_to(model.skeleton)
    eval_set.check_somebody()
    coco_format.check_annotations(eval_set.truth, eval_set.skeletons)  # before anything slow
    if model.finds_boxes:
        checked_box_annotations(eval_set.truth)
    requests = eval_requests(model, eval_set, boxes)
    lost = lost_boxes(eval_set, boxes)
    skipped: list[Skipped] = []
    scored: list[dict[int, ScoredPoses]] = [{} for _ in codecs]
    seconds: list[list[float]] = [[] for _ in codecs]
    order = {one.request.key: index for index, one in requests.items()}
    images = [one.request for one in requests.values()]
    stream: Iterable[Any] = (
        stream_poses(model, images, settings, codecs=codecs, skipped=skipped)
        if cluster is None
        else stream_on_ray(cluster, model, images, settings, codecs=codecs, skipped=skipped)
    )
    for decoded in watch(stream, len(images)) if watch else stream:
        index = order[decoded[0].poses.key]
        lost += requests[index].lost(decoded[0])
        for codec_index, found in enumerate(decoded):
            scored[codec_index][index] = requests[index].scored(found)
            seconds[codec_index].append(found.seconds)
    if len(skipped) == len(images):
        raise ImageError(none_usable(skipped))
    if lost and not any(one.categories for one in scored[0].values()):
        raise BoxError(no_boxes_message(lost))
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
    """Score poses against the labels.

    Args:
        model: The model that found the poses.
        eval_set: The data set and its ground truth.
        scored: The poses of each image, by the index of the image.
        rescoring: Pose scores and OKS-NMS.
        skipped: Images that could not be read.
        lost: Number of boxes that could not be used.
    """
    results: list[dict[str, Any]] = []
    found_boxes: list[dict[str, Any]] = []
    found_masks: list[dict[str, Any]] = []
    everywhere: list[Tensor] = []
    columns = list(keypoint_indices(model.skeleton, eval_set.skeleton))
    for index, image in enumerate(eval_set.ids):
        labels = eval_set.dataset.labels(index)
        positions = torch.full_like(labels.xy, torch.nan)
        if index in scored:
            one = scored[index]
            poses = _rescored(one.poses, columns, rescoring)
            results += _results(model, eval_set, poses, one.categories, image=image, rescoring=rescoring)
            found_boxes += to_coco_box_results(poses.boxes, poses.box_score, image=image, categories=one.categories)
            if (masks := pose_masks(poses)) is not None:
                found_masks += mask_rows(masks, poses.box_score, image=image, categories=one.categories)
            positions = _positions(replace(one, poses=poses), labels, eval_set.skeleton)
        everywhere.append(positions)
    labelled = (eval_set.dataset.all_labels.visible > 0).any(dim=1)  # a file may have a million boxes besides
    counts = pck_at(torch.cat(everywhere)[labelled], eval_set.dataset.all_labels.select(labelled), THRESHOLDS)
    total = {f"pck@{t:g}": count for t, count in zip(THRESHOLDS, counts, strict=True)}
    alone = evaluate_keypoints(eval_set.truth, results, eval_set.skeletons)
    keypoints = {
        name: {label: count.keypoints[i] for label, count in total.items()} | alone[name]
        for i, name in enumerate(eval_set.skeleton.keypoints)
    }
    scores = coco.evaluate(eval_set.truth, results, eval_set.skeletons)
    shares = {label: count.mean for label, count in total.items()}
    whole = len(eval_set.skeletons) == 1 and has_parts(eval_set.skeleton)
    parts = evaluate_parts(eval_set.truth, results, eval_set.skeleton) if whole else {}
    measured = Evaluation(scores, shares, keypoints, results, eval_set.skeleton, skipped, lost, everywhere, parts=parts)
    if not model.finds_boxes:
        return measured
    measured = replace(measured, boxes=evaluate_boxes(eval_set.truth, found_boxes), box_results=found_boxes)
    return replace(measured, masks=score_masks(eval_set, found_masks), mask_results=found_masks) if found_masks else measured


def pose_results(
    model: PoseModel, eval_set: EvalSet, scored: Mapping[int, ScoredPoses], rescoring: Rescoring
) -> list[dict[str, Any]]:
    """Poses as COCO results, where nothing but AP is wanted of them (`score_poses`).

    Args:
        model: The model that found the poses.
        eval_set: The data set and its ground truth.
        scored: The poses of each image, by the index of the image.
        rescoring: Pose scores and OKS-NMS.
    """
    columns = list(keypoint_indices(model.skeleton, eval_set.skeleton))
    rows: list[dict[str, Any]] = []
    for index in sorted(scored):
        poses, image = _rescored(scored[index].poses, columns, rescoring), eval_set.ids[index]
        rows += _results(model, eval_set, poses, scored[index].categories, image=image, rescoring=rescoring)
    return rows


def _rescored(poses: Poses, columns: list[int], rescoring: Rescoring) -> Poses:
    """Poses in the keypoints of the data set, with pose scores."""
    xy, score = poses.xy[:, columns], poses.score[:, columns]
    min_score = rescoring.min_keypoint_score
    pose_score = poses.pose_score if min_score is None else rescore(poses.box_score, score, min_score)
    return replace(poses, xy=xy, score=score, pose_score=pose_score)


def _positions(one: ScoredPoses, labels: Labels, skeleton: Skeleton) -> Float[Tensor, "n k 2"]:
    """One pose per row of the labels; nan where there is none."""
    xy = one.poses.xy
    if one.rows is not None:
        positions = torch.full_like(labels.xy, torch.nan)
        positions[one.rows] = xy.to(positions)
        return positions
    if one.partial:  # keypoints that were not found: infinitely far from every label
        xy = xy.where((one.poses.score > 0)[..., None], torch.inf)
    found = match_to_labels(xy, one.poses.pose_score, labels, skeleton.sigmas)
    return found.where(found.isfinite(), torch.nan)


def _results(
    model: PoseModel, eval_set: EvalSet, poses: Poses, categories: list[int], *, image: int, rescoring: Rescoring
) -> list[dict[str, Any]]:
    """COCO result rows of an image, poses in the keypoints of their category; perhaps without duplicates."""
    rows: list[dict[str, Any]] = []
    for category in dict.fromkeys(categories):
        one = poses[torch.tensor([c == category for c in categories])]
        own = list(keypoint_indices(eval_set.skeleton, eval_set.skeletons[category]))
        one = replace(one, xy=one.xy[:, own], score=one.score[:, own])
        if rescoring.oks_nms is not None:
            index, scores = rescoring.kept(model.similarity(one, eval_set.skeletons[category].sigmas), one.pose_score)
            one = replace(one[index], pose_score=scores)
        ids = torch.full((len(one),), category, dtype=torch.int64)
        rows += coco_format.to_coco_results(one.xy, one.score, one.pose_score, image=image, categories=ids)
    return rows
