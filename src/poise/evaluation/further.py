"""Measures beside COCO's and PCK: AUC, EPE, NME; AP by PASCAL VOC's rules; F1 and confusion matrix at a score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.measures import sizes_of
from poise.metrics.coco_format import Record
from poise.metrics.matches import find_box_matches, find_matches
from poise.metrics.measure_names import DISTANCE_KINDS, FurtherMeasure
from poise.metrics.pck import auc, nme
from poise.metrics.voc import Curve, match_boxes

RECALLS = {"11 points": 11, "101 points": 101}
"""Numbers of recalls at which precision is read: VOC 2007's and COCO's."""


@final
@dataclass(frozen=True, eq=False)
class FurtherScores:
    """A further measure that was taken.

    Attributes:
        measure: What was measured.
        numbers: The values by name; nan where nothing is labelled or found.
        note: Whatever else must be known to compare it, a sentence; "" for nothing.
    """

    measure: FurtherMeasure
    numbers: dict[str, float]
    note: str = ""


@final
@dataclass(frozen=True, eq=False)
class Found:
    """What was found, to be measured.

    Attributes:
        positions: For each image one pose per row of its labels, pixels; nan where there is none; None without poses.
        poses: Poses in COCO's result format.
        boxes: Boxes in COCO's result format; None where none were found.
    """

    positions: Sequence[Float[Tensor, "_ k 2"]] | None = None
    poses: Sequence[Record] = field(default_factory=list)
    boxes: Sequence[Record] | None = None


def measure_further(measures: Sequence[FurtherMeasure], eval_set: EvalSet, found: Found) -> list[FurtherScores]:
    """Take further measures of an evaluation.

    Args:
        measures: What to measure.
        eval_set: The data set.
        found: What was found.

    Raises:
        InputError: The data set does not tell a unit, or there are no keypoints to measure.
    """
    scores: list[FurtherScores] = []
    for one in measures:
        if one.kind in DISTANCE_KINDS:
            scores.append(_of_distances(one, eval_set, found))
            continue
        if found.positions is not None:
            scores.append(_of_curve(one, pose_curve(eval_set, found.poses, one.overlap), "OKS"))
        if found.boxes is not None:
            scores.append(_of_curve(one, box_curve(eval_set.truth, found.boxes, one), "IoU", prefix="box "))
    return scores


def check_further(measures: Sequence[FurtherMeasure], eval_set: EvalSet, *, keypoints: bool = True) -> None:
    """Refuse what cannot be measured, before anything slow.

    Args:
        measures: What to measure.
        eval_set: The data set.
        keypoints: Whether keypoints are found.

    Raises:
        InputError: The data set does not tell a unit, or there are no keypoints to measure.
    """
    for one in measures:
        if one.kind in DISTANCE_KINDS and not keypoints:
            raise InputError(f"{one.name} measures keypoints, and none are found here; leave it out of --measure")
        if one.kind in ("auc", "nme"):
            sizes_of(one.unit, eval_set, some=0)


def _of_distances(measure: FurtherMeasure, eval_set: EvalSet, found: Found) -> FurtherScores:
    if found.positions is None:
        raise InputError(f"{measure.name} measures keypoints, and none were found")
    labels, xy = eval_set.dataset.all_labels, torch.cat(list(found.positions))
    size = 1.0 if measure.kind == "epe" else sizes_of(measure.unit, eval_set)
    if measure.kind == "auc":  # what was not found is wrong
        return FurtherScores(measure, {measure.name: auc(xy, labels, size=size)})
    there = torch.isfinite(xy).all(dim=-1)
    every, missed = int((labels.visible > 0).sum()), int(((labels.visible > 0) & ~there).sum())
    known = replace(labels, visible=labels.visible * there)
    note = f"{missed} of {every} labelled keypoints were not found and do not count" if missed else ""
    return FurtherScores(measure, {measure.name: nme(xy.nan_to_num(), known, size=size)}, note)


def pose_curve(eval_set: EvalSet, results: Sequence[Record], overlap: float) -> Curve:
    """Precision and recall of poses of all categories together, matched as in COCO's protocol.

    Args:
        eval_set: The data set.
        results: Poses in COCO's result format.
        overlap: OKS of a true positive, one of 0.5, 0.55 .. 0.95.
    """
    return Curve.of_matches(find_matches(eval_set.truth, results, eval_set.skeletons), overlap)


def box_curve(truth: Mapping[str, Any], results: Sequence[Record], measure: FurtherMeasure) -> Curve:
    """Precision and recall of boxes: for `voc` matched as in the devkit, with crowds as difficult, else as in COCO's protocol.

    Args:
        truth: COCO annotations.
        results: Boxes in COCO's result format.
        measure: Protocol and IoU.
    """
    if measure.kind != "voc":
        return Curve.of_matches(find_box_matches(truth, results), measure.overlap)
    people, boxes = _grouped(truth["annotations"]), _grouped(results)
    matches = []
    for key in [(image["id"], one["id"]) for image in truth["images"] for one in truth["categories"]]:
        mine, found = people.get(key, []), boxes.get(key, [])
        score = torch.tensor([float(row["score"]) for row in found], dtype=torch.float64)
        hard = torch.tensor([bool(row.get("iscrowd")) for row in mine], dtype=torch.bool)
        matches.append(match_boxes(_corners(found), score, _corners(mine), difficult=hard, threshold=measure.overlap))
    return Curve.of(matches)


def _grouped(rows: Sequence[Record]) -> dict[tuple[int, int], list[Record]]:
    """Rows by image and category."""
    groups: dict[tuple[int, int], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["image_id"], row["category_id"]), []).append(row)
    return groups


def _corners(rows: Sequence[Record]) -> Float[Tensor, "n 4"]:
    """Boxes x y width height of COCO as the devkit's x0 y0 x1 y1, of which the last are the last pixels of the box."""
    boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float64).reshape(-1, 4)
    return torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1), dim=1)


def _of_curve(measure: FurtherMeasure, curve: Curve, what: str, *, prefix: str = "") -> FurtherScores:
    name = prefix + measure.name
    if measure.kind == "voc":
        points = {f"{name} {label}": curve.points(count) for label, count in RECALLS.items()}
        return FurtherScores(measure, points | {f"{name} all points": curve.area()})
    best = curve.best_score() if measure.score is None else measure.score
    counts = curve.at_score(best)
    parts = {"precision": counts.precision, "recall": counts.recall, "F1": counts.f1, "score": best}
    matrix = {"true positives": counts.hits, "false positives": counts.false, "false negatives": counts.missed}
    numbers = {f"{name} {label}": float(value) for label, value in (parts | matrix).items()}
    why = "the score of the highest F1 on these very labels" if measure.score is None else "the score asked for"
    return FurtherScores(
        measure, numbers, f"results of score {best:.3g} and more, {why}; matched at {what} {measure.overlap:g}"
    )
