"""Scores of the parts of a whole body: body, feet, face, hands by COCO's protocol, each for itself (arXiv 2007.11858).

What COCO-WholeBody's tool (xtcocotools) does: people without a labelled keypoint of a part are ignored there; a result without
a keypoint of a score above 0 in a part is left out of it; all parts are rated by the score of the pose; the area of a result,
which decides where results that match nobody count as medium or large, is that of the box around its body, in every part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from poise.metrics.coco import NUMBERS, CocoScores, score_checked
from poise.metrics.coco_format import GroundTruth, Record, checked_annotations, checked_results, skeletons_by_category
from poise.skeletons import Skeleton, select
from poise.skeletons.wholebody import FIELDS

PARTS: Mapping[str, tuple[str, ...]] = {
    "body": ("keypoints",),
    "foot": ("foot_kpts",),
    "face": ("face_kpts",),
    "left hand": ("lefthand_kpts",),
    "right hand": ("righthand_kpts",),
    "whole": tuple(FIELDS),
}
"""Parts, and the fields of COCO-WholeBody's annotations that hold their keypoints."""

HANDS = ("left hand", "right hand")


def has_parts(skeleton: Skeleton) -> bool:
    """Whether a skeleton has a body, feet, a face and hands by COCO-WholeBody's names."""
    return {name for names in FIELDS.values() for name in names} <= set(skeleton.keypoints)


def evaluate_parts(truth: GroundTruth, results: Sequence[Record], skeleton: Skeleton) -> dict[str, dict[str, float]]:
    """The ten numbers of COCO's protocol for each part of a whole body.

    Args:
        truth: COCO annotations, the keypoints of all parts in one list.
        results: Poses in COCO's format, likewise.
        skeleton: The keypoints, of which `has_parts` holds.

    Returns:
        The numbers by the name of the part; "hand" is the mean of both hands, as papers print it. -1 where nothing is labelled.

    Raises:
        AnnotationError, SkeletonMismatch, InputError: As `metrics.coco.evaluate`.
    """
    of = skeletons_by_category(truth, skeleton)
    people, poses = checked_annotations(truth, of), checked_results(truth, results, of)
    body = [skeleton.index(name) for name in FIELDS["keypoints"]]
    areas = [_box(row, body) for row in poses]
    scores = {}
    for part, fields in PARTS.items():
        own = [skeleton.index(name) for field in fields for name in FIELDS[field]]
        scores[part] = _scores(truth, people, list(zip(poses, areas, strict=True)), skeleton=skeleton, own=own).numbers
    pairs = {name: [scores[hand][name] for hand in HANDS] for name in NUMBERS}
    hands = {name: float(np.mean(pair)) if min(pair) >= 0 else max(pair) for name, pair in pairs.items()}
    order = ("body", "foot", "face", *HANDS)
    return {part: scores[part] for part in order} | {"hand": hands, "whole": scores["whole"]}


def _scores(
    truth: GroundTruth,
    people: Sequence[Record],
    poses: Sequence[tuple[Record, list[float]]],
    *,
    skeleton: Skeleton,
    own: Sequence[int],
) -> CocoScores:
    """The scores of some keypoints of all people."""
    labels = [{**row, "keypoints": _taken(row, own)} for row in people]
    labels = [{**row, "num_keypoints": sum(v > 0 for v in row["keypoints"][2::3])} for row in labels]
    found = [{**row, "keypoints": _taken(row, own), "bbox": box} for row, box in poses]
    found = [row for row in found if any(v > 0 for v in row["keypoints"][2::3])]
    part = select(skeleton, [skeleton.keypoints[i] for i in own])
    of = skeletons_by_category(truth, part)
    return score_checked(truth, labels, found, of)


def _taken(row: Mapping[str, Any], own: Sequence[int]) -> list[Any]:
    values = row["keypoints"]
    return [value for i in own for value in values[3 * i : 3 * i + 3]]


def _box(row: Mapping[str, Any], own: Sequence[int]) -> list[float]:
    """The box x, y, width, height around some keypoints of a result."""
    values = np.array(_taken(row, own), np.float64).reshape(-1, 3)[:, :2]
    low, high = values.min(axis=0), values.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]
