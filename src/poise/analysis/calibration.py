"""What the scores of a detector's keypoints are worth: made probabilities from labelled images, and what ranks people best.

A keypoint head may say how sure it is in logits, in shares of a softmax or in heights of Gaussians. Fitted by logistic
regression to whether keypoints were right (Platt, Probabilistic Outputs for Support Vector Machines, 1999), all of them say the
same: how probable it is that the keypoint is where it was put.
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
from poise.evaluation.evaluate import score_poses
from poise.evaluation.requests import ScoredPoses, eval_requests
from poise.inference.request import Skipped, Watch, none_usable
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.models.base import PoseModel
from poise.models.rcnn_config import Calibration, Rating, RCNNConfig
from poise.skeletons import keypoint_indices
from poise.structures import Labels

OVERLAP = 0.5
"""IoU with a labelled box from which a found box is that person's."""

MIN_KEYPOINTS = 50
"""Fewer keypoints than this, right or wrong, say nothing."""

STEPS = 50
"""Of Newton's method, far more than it takes."""


@final
@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """What was measured.

    Attributes:
        calibration: Fitted.
        keypoints: How many it was fitted to.
        right: The share of them that was right: the similarity of OKS at least one half.
        errors: Mean squared error of the probabilities (Brier score), as the model had them and fitted.
        ap: AP of keypoints by what people are ranked by, as the model had it and fitted.
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
        """What gives the highest AP once calibrated."""
        return max(self.ap, key=lambda rating: self.ap[rating][1])


def calibrate(
    model: PoseModel, eval_set: EvalSet, settings: InferenceSettings, *, watch: Watch | None = None
) -> CalibrationReport:
    """Fit a calibration to labelled images; the model stays as it is.

    Args:
        model: Finds boxes and keypoints.
        eval_set: Images whose labels say what is right; not those that it was trained on, of which it is too sure.
        settings: How the model is run.
        watch: Sees every image as it is done.

    Raises:
        SkeletonMismatch: The model lacks keypoints of the data set.
        ImageError: No image can be used.
        InputError: Too few keypoints were found, or their scores do not say whether they are right.
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
    made = fit_platt(score, right)
    fitted = replace(usual, calibration=made)
    how = replace(model.rescoring, min_keypoint_score=None)  # the scores are what is tried

    def error(config: RCNNConfig) -> float:
        return float((config.probability(score) - right.float()).square().mean())

    def ap(config: RCNNConfig) -> float:
        ranked = {index: _rescored(one, config) for index, one in scored.items()}
        return score_poses(model, eval_set, ranked, how, skipped=skipped, lost=0).coco.numbers["AP"]

    ratings: tuple[Rating, ...] = get_args(Rating)
    return CalibrationReport(
        made,
        len(score),
        float(right.float().mean()),
        (error(usual), error(fitted)),
        {rating: (ap(replace(usual, rating=rating)), ap(replace(fitted, rating=rating))) for rating in ratings},
        skipped,
    )


def fit_platt(score: Float[Tensor, " n"], right: Bool[Tensor, " n"]) -> Calibration:
    """The calibration under which what was seen is likeliest, by Newton's method.

    As in Platt's paper the targets are kept off 0 and 1, as if there had been one more keypoint of each kind, so that scores
    that part right from wrong completely give a finite width.

    Args:
        score: Of keypoints, by their codec.
        right: Whether each is where it should be.

    Raises:
        InputError: Fewer than 50 scores, scores that are not finite or all alike, or that fall where keypoints are right.
    """
    score, many = score.double(), int(right.sum())
    if len(score) < MIN_KEYPOINTS or not bool(score.isfinite().all()) or float(score.std()) == 0:
        raise InputError(
            f"a calibration needs the scores of at least {MIN_KEYPOINTS} keypoints that are finite and differ, "
            f"found {len(score)}; take more labelled images, or a model that finds people in them"
        )
    target = torch.where(right, (many + 1) / (many + 2), 1 / (len(right) - many + 2)).double()
    middle, spread = score.mean(), score.std()
    shown = torch.stack(((score - middle) / spread, torch.ones_like(score)), dim=1)
    weight = score.new_zeros(2)
    for _ in range(STEPS):
        probability = torch.sigmoid(shown @ weight)
        bend = (shown * (probability * (1 - probability))[:, None]).T @ shown + 1e-9 * torch.eye(2, dtype=shown.dtype)
        step = torch.linalg.solve(bend, shown.T @ (probability - target))
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
    """Scores of labelled keypoints in the boxes that were found for their people, and whether each is right."""
    scores, rights = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
    for index, one in scored.items():
        labels = eval_set.dataset.labels(index)
        rows, people = _match_boxes(one, labels)
        xy, score = one.poses.xy[rows][:, columns], one.poses.score[rows][:, columns]
        alike = keypoint_similarity(xy, labels, eval_set.skeleton)[torch.arange(len(rows)), people, 0]
        known = labels.visible[people] > 0
        scores.append(score[known].float())
        rights.append(alike[known] >= MISS_SIMILARITY)
    return torch.cat(scores), torch.cat(rights)


def _match_boxes(one: ScoredPoses, labels: Labels) -> tuple[Tensor, Tensor]:
    """Rows of boxes, and of the people whose they are: each box the person it overlaps most, if enough."""
    real = torch.where(~labels.crowd)[0]
    none = torch.zeros(0, dtype=torch.int64)
    if not len(real) or not len(one.poses):
        return none, none
    overlap, best = box_iou(one.poses.boxes.float(), labels.boxes[real].float()).max(dim=1)
    rows = torch.where(overlap >= OVERLAP)[0]
    return rows, real[best[rows]]


def _rescored(one: ScoredPoses, config: RCNNConfig) -> ScoredPoses:
    probability = config.probability(one.poses.score)
    return replace(one, poses=replace(one.poses, pose_score=config.rated(one.poses.box_score, probability)))
