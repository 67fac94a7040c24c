"""Calibration of keypoint scores of a detector: scores as probabilities, and which score ranks people best.

A keypoint head's score may be a logit, a softmax probability or the height of a Gaussian. Logistic regression on whether
keypoints are right (Platt, Probabilistic Outputs for Support Vector Machines, 1999) turns each into the probability that the
keypoint is right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.ops import box_iou

from poise.analysis.pairs import MISS_SIMILARITY, keypoint_similarity
from poise.errors import ImageError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import pose_results
from poise.evaluation.requests import ScoredPoses, eval_requests
from poise.inference.request import Skipped, Watch, none_usable
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.metrics import coco
from poise.models.base import PoseModel
from poise.models.rcnn_config import Calibration, Rating, RCNNConfig
from poise.skeletons import keypoint_indices
from poise.structures import Labels

OVERLAP = 0.5
"""IoU with a labelled box from which a detected box counts as that person's."""

MIN_KEYPOINTS = 50
"""Smallest number of keypoints to fit a calibration to."""

STEPS = 50
"""Largest number of steps of Newton's method; it needs far fewer."""


@final
@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """A calibration and what it changes.

    Attributes:
        calibration: The fitted calibration.
        keypoints: Number of keypoints it was fitted to.
        right: Share of these that are right: keypoint similarity (OKS of one keypoint) at least 0.5.
        errors: Brier score (mean squared error of the probabilities), of the model as it was and calibrated.
        ap: Keypoint AP by what people are ranked by, of the model as it was and calibrated.
        skipped: Images that could not be used.
    """

    calibration: Calibration
    keypoints: int
    right: float
    errors: tuple[float, float]
    ap: Mapping[Rating, tuple[float, float]]
    skipped: list[Skipped]

    @property
    def best(self) -> Rating:
        """The rating with the highest AP after calibration."""
        return max(self.ap, key=lambda rating: self.ap[rating][1])


def calibrate(
    model: PoseModel, eval_set: EvalSet, settings: InferenceSettings, *, watch: Watch | None = None
) -> CalibrationReport:
    """Fit a calibration to labelled images; the model is not changed.

    Args:
        model: A two-stage detector with keypoints.
        eval_set: Labelled images; not those of training, on which the model is overconfident.
        settings: How the model is run.
        watch: Called with the stream of images, for progress.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
        ImageError: No image can be used.
        InputError: Too few keypoints were found, or their scores do not depend on whether they are right.
    """
    eval_set.known_to(model.skeleton)
    usual: RCNNConfig = model.config
    asked = eval_requests(model, eval_set, None)
    skipped: list[Skipped] = []
    scored: dict[int, ScoredPoses] = {}
    model.config = replace(usual, keypoint_score="raw", rating="box")
    try:
        stream: Iterable[Any] = find_poses(model, [one.request for one in asked.values()], settings, skipped=skipped)
        order = {one.request.key: index for index, one in asked.items()}
        for found in watch(stream, len(asked)) if watch else stream:
            index = order[found.poses.key]
            scored[index] = asked[index].scored(found)
    finally:
        model.config = usual
    if not scored:
        raise ImageError(none_usable(skipped))
    columns = list(keypoint_indices(model.skeleton, eval_set.skeleton))
    score, right = _examples(eval_set, scored, columns)
    calibration = fit_platt(score, right)
    fitted = replace(usual, calibration=calibration)
    how = replace(model.rescoring, min_keypoint_score=None)  # no threshold: the scores are what is evaluated

    def error(config: RCNNConfig) -> float:
        return float((config.probability(score) - right.float()).square().mean())

    def ap(config: RCNNConfig) -> float:
        ranked = {index: _rescored(one, config) for index, one in scored.items()}
        rows = pose_results(model, eval_set, ranked, how)
        return coco.evaluate(eval_set.truth, rows, eval_set.skeletons).numbers["AP"]

    ratings: tuple[Rating, ...] = get_args(Rating)
    return CalibrationReport(
        calibration,
        len(score),
        float(right.float().mean()),
        (error(usual), error(fitted)),
        {rating: (ap(replace(usual, rating=rating)), ap(replace(fitted, rating=rating))) for rating in ratings},
        skipped,
    )


def fit_platt(score: Float[Tensor, " n"], right: Bool[Tensor, " n"]) -> Calibration:
    """The maximum-likelihood calibration, by Newton's method.

    As in Platt's paper, targets are kept off 0 and 1, as if there were one more right and one more wrong keypoint, so that
    scores that separate right from wrong perfectly give a finite width.

    Args:
        score: Scores of keypoints, as their codec gives them.
        right: Whether each keypoint is right.

    Raises:
        InputError: Fewer than 50 scores; scores that are not finite, all equal, or lower where keypoints are right.
    """
    score, positives = score.double(), int(right.sum())
    if len(score) < MIN_KEYPOINTS or not bool(score.isfinite().all()) or float(score.std()) == 0:
        raise InputError(
            f"a calibration needs the scores of at least {MIN_KEYPOINTS} keypoints that are finite and differ, "
            f"found {len(score)}; take more labelled images, or a model that finds people in them"
        )
    target = torch.where(right, (positives + 1) / (positives + 2), 1 / (len(right) - positives + 2)).double()
    middle, spread = score.mean(), score.std()
    features = torch.stack(((score - middle) / spread, torch.ones_like(score)), dim=1)
    weight = score.new_zeros(2)
    for _ in range(STEPS):
        probability = torch.sigmoid(features @ weight)
        hessian = (features * (probability * (1 - probability))[:, None]).T @ features + 1e-9 * torch.eye(
            2, dtype=features.dtype
        )
        step = torch.linalg.solve(hessian, features.T @ (probability - target))
        weight = weight - step / max(1.0, float(step.norm()))
        if float(step.norm()) < 1e-9:
            break
    slope, level = float(weight[0]), float(weight[1])
    if not slope > 0:
        raise InputError(
            f"the scores of this model's keypoints do not rise where keypoints are right (slope {slope:.3g} over {len(score)} "
            "keypoints, 0 or less), so they cannot be made probabilities; train it longer, or give its codec another score"
        )
    width = float(spread) / slope
    return Calibration(middle=float(middle) - level * width, width=width)


def _examples(eval_set: EvalSet, scored: Mapping[int, ScoredPoses], columns: list[int]) -> tuple[Tensor, Tensor]:
    """Scores of labelled keypoints in the detected boxes of their people, and whether each is right."""
    scores, all_right = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
    for index, one in scored.items():
        labels = eval_set.dataset.labels(index)
        rows, people = _match_boxes(one, labels)
        xy, score = one.poses.xy[rows][:, columns], one.poses.score[rows][:, columns]
        similarity = keypoint_similarity(xy, labels, eval_set.skeleton)[torch.arange(len(rows)), people, 0]
        known = labels.visible[people] > 0
        scores.append(score[known].float())
        all_right.append(similarity[known] >= MISS_SIMILARITY)
    return torch.cat(scores), torch.cat(all_right)


def _match_boxes(one: ScoredPoses, labels: Labels) -> tuple[Tensor, Tensor]:
    """Indices of boxes and of their people: each box is assigned to the person of highest IoU, if that is high enough."""
    real = torch.where(~labels.crowd)[0]
    none = torch.zeros(0, dtype=torch.int64)
    if not len(real) or not len(one.poses):
        return none, none
    overlap, best = box_iou(one.poses.boxes.float(), labels.boxes[real].float()).max(dim=1)
    rows = torch.where(overlap >= OVERLAP)[0]
    return rows, real[best[rows]]


def _rescored(one: ScoredPoses, config: RCNNConfig) -> ScoredPoses:
    probability = config.probability(one.poses.score)
    return replace(one, poses=replace(one.poses, pose_score=config.pose_score(one.poses.box_score, probability)))
