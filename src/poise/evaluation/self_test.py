"""Self-test of a codec: labels are cropped or resized, encoded, decoded, mapped back, and scored as if predicted."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, pose_results, score_poses
from poise.evaluation.requests import ScoredPoses, only_category
from poise.geometry import apply
from poise.metrics import coco
from poise.models.base import PoseModel
from poise.models.values import Rescoring, RoundTrip
from poise.structures import Poses


@final
@dataclass(frozen=True, eq=False)
class SelfTest:
    """Scores that crop and codec leave at best.

    Attributes:
        evaluation: Scores of the labels after the round trip, without OKS-NMS.
        codec_ap: The AP if keypoints outside their person's view were kept; 1 minus it is the loss of the codec alone.
        errors: Round-trip error of each labelled keypoint inside its view, pixels of the view.
        outside: Number of labelled keypoints outside their person's view, where no network can find them.
    """

    evaluation: Evaluation
    codec_ap: float
    errors: Float[Tensor, " e"]
    outside: int


def self_test(model: PoseModel, eval_set: EvalSet) -> SelfTest:
    """Scores of the labels after crop or resize, encoding, decoding and mapping back. No network runs.

    Images are read only by a model for whole images where the annotations have no image sizes.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
    """
    eval_set = eval_set if model.takes_boxes else eval_set.one_class(model.card.name)
    eval_set.known_to(model.skeleton)
    eval_set.check_somebody()
    category = None if model.takes_boxes or model.finds_boxes else only_category(model.card.name, eval_set)
    indices = [i for i in range(len(eval_set.dataset)) if eval_set.people(i) or not model.takes_boxes]
    trips = dict(zip(indices, model.round_trip([eval_set.labelled(i, model.crop_rule) for i in indices]), strict=True))
    rescoring = Rescoring(model.rescoring.min_keypoint_score, None)
    found = {index: _scored(eval_set, index, trip, trip.poses, category) for index, trip in trips.items()}
    evaluation = score_poses(model, eval_set, found, rescoring, skipped=[], lost=0)
    codec_ap = evaluation.coco.numbers["AP"]
    if category is None:
        ideal = {index: _scored(eval_set, index, trip, trip.lossless, None) for index, trip in trips.items()}
        rows = pose_results(model, eval_set, ideal, rescoring)
        codec_ap = coco.evaluate(eval_set.truth, rows, eval_set.skeletons).numbers["AP"]
    errors = [_errors(eval_set, index, trip, evaluation) for index, trip in trips.items()]
    outside = sum(trip.outside for trip in trips.values())
    return SelfTest(evaluation, codec_ap, torch.cat([torch.zeros(0), *errors]), outside)


def _scored(eval_set: EvalSet, index: int, trip: RoundTrip, poses: Poses, category: int | None) -> ScoredPoses:
    if trip.people is None and category is not None:
        return ScoredPoses(poses, None, [category] * len(poses), partial=True)
    return ScoredPoses(poses, trip.people, eval_set.categories(index))


def _errors(eval_set: EvalSet, index: int, trip: RoundTrip, evaluation: Evaluation) -> Float[Tensor, " e"]:
    """Distances from labels, pixels of the view; keypoints that did not come back have none."""
    if trip.errors is not None:
        return trip.errors
    labels = eval_set.dataset.labels(index)
    warp = trip.warps[0]
    away = (apply(warp, evaluation.positions[index].double()) - apply(warp, labels.xy.double())).norm(dim=-1)
    errors: Tensor = away[(labels.visible > 0) & away.isfinite()].float()
    return errors
