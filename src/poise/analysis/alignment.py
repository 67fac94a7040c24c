"""AP with and without the people who lack what an aligned crop needs: predictions filtered, ground truth filtered or masked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch

from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.metrics import coco
from poise.metrics.coco import CocoScores
from poise.metrics.coco_format import Record
from poise.skeletons.alignment import BodyAxis, alignment_points

Who = tuple[int, int]
"""A person: the id of the image, and that of the annotation."""


@final
@dataclass(frozen=True, eq=False)
class AlignmentScores:
    """The protocol's numbers under every choice of who is predicted and who is evaluated.

    Attributes:
        people: Number of people that are evaluated.
        kept: Number of them with all keypoints of the axis labelled.
        missing: For each keypoint of the axis, how many of the others lack it.
        everybody: All predictions, all of the ground truth.
        filtered_predictions: Predictions without those of people who lack the alignment, all of the ground truth: what a
            pipeline is measured at that drops these people and does not filter the ground truth.
        filtered: Both without these people.
        masked: All predictions; these people are ignored, as crowds are, so that a prediction of them is no false positive.
    """

    people: int
    kept: int
    missing: Mapping[str, int]
    everybody: CocoScores
    filtered_predictions: CocoScores
    filtered: CocoScores
    masked: CocoScores

    @property
    def ceiling(self) -> float:
        """Highest recall of filtered predictions on all of the ground truth: people kept over all; nan for nobody."""
        return self.kept / self.people if self.people else float("nan")

    @property
    def rows(self) -> dict[str, CocoScores]:
        """The numbers, by a name for tables."""
        return {
            "everybody": self.everybody,
            "predictions filtered": self.filtered_predictions,
            "predictions and ground truth filtered": self.filtered,
            "ground truth masked": self.masked,
        }

    @property
    def lines(self) -> list[str]:
        """The text for a terminal or a report."""
        lacking = ", ".join(f"{name} {count}" for name, count in self.missing.items() if count)
        head = f"{self.kept} of {self.people} people have all keypoints of the alignment"
        head += f"; not labelled: {lacking}" if lacking else ""
        numbers = [f"{name}: " + _numbers(scores) for name, scores in self.rows.items()]
        return [head, *numbers, f"ceiling of AR with filtered predictions and all of the ground truth: {self.ceiling:.3f}"]


def _numbers(scores: CocoScores) -> str:
    return ", ".join(f"{name} {scores.numbers[name]:.3f}" for name in ("AP", "AP50", "AP75", "AR"))


def alignment_scores(eval_set: EvalSet, evaluation: Evaluation, axis: BodyAxis) -> AlignmentScores:
    """Score the results of an evaluation with and without people who lack keypoints of the axis.

    A result belongs to the person whose pose it is; results of nobody stay.

    Args:
        eval_set: A COCO-style file with one category.
        evaluation: Evaluation of a top-down model.
        axis: The keypoints that an aligned crop needs.

    Raises:
        SkeletonMismatch: The data set lacks a keypoint of the axis.
        InputError: Nobody with all keypoints of the axis is evaluated, there are several categories, or labels have other ids
            than the annotations.
    """
    lacking, missing, people = _lacking(eval_set, axis)
    truth = eval_set.truth
    if len(eval_set.skeletons) > 1 or not lacking <= {_who(a) for a in truth["annotations"]}:
        raise InputError("people without alignment are told apart in COCO-style files of one category, with ids; this is none")
    if len(lacking) == people:
        raise InputError(f"none of the {people} people evaluated has all of {', '.join((*axis.centre, *axis.top))} labelled")
    left_out = _results_of(eval_set, evaluation, lacking)
    results = [row for row in evaluation.results if _key(row) not in left_out]

    def score(truth: Mapping[str, Any], rows: list[Record]) -> CocoScores:
        return coco.evaluate(truth, rows, eval_set.skeletons)

    filtered = {**truth, "annotations": [a for a in truth["annotations"] if _who(a) not in lacking]}
    masked = {**truth, "annotations": [_masked(a) if _who(a) in lacking else a for a in truth["annotations"]]}
    return AlignmentScores(
        people=people,
        kept=people - len(lacking),
        missing=missing,
        everybody=evaluation.coco,
        filtered_predictions=score(truth, results),
        filtered=score(filtered, results),
        masked=score(masked, evaluation.results),
    )


def _lacking(eval_set: EvalSet, axis: BodyAxis) -> tuple[set[Who], dict[str, int], int]:
    """The people without alignment, how many lack each keypoint, and the number of all people."""
    found: set[Who] = set()
    names = (*axis.centre, *axis.top)
    missing, people = dict.fromkeys(names, 0), 0
    for index, image in enumerate(eval_set.ids):
        labels = eval_set.dataset.labels(index).select(torch.tensor(eval_set.people(index), dtype=torch.int64))
        _, usable = alignment_points(labels.xy, labels.visible, eval_set.skeleton, axis)
        people += len(labels)
        found |= {(image, person) for person in labels.ids[~usable].tolist()}
        for name in names:
            missing[name] += int((labels.visible[:, eval_set.skeleton.index(name)] == 0).sum())
    return found, missing, people


def _results_of(eval_set: EvalSet, evaluation: Evaluation, lacking: set[Who]) -> set[tuple[Any, ...]]:
    """The results that are poses of these people."""
    found: set[tuple[Any, ...]] = set()
    for index, image in enumerate(eval_set.ids):
        ids = eval_set.dataset.labels(index).ids.tolist()
        for row, person in enumerate(ids):
            pose = evaluation.positions[index][row]
            if (image, person) in lacking and bool(pose.isfinite().any()):
                found.add((image, *pose.double().flatten().tolist()))
    return found


def _who(annotation: Mapping[str, Any]) -> tuple[Any, Any]:
    return annotation.get("image_id"), annotation.get("id")


def _key(row: Record) -> tuple[Any, ...]:
    return (row["image_id"], *(v for i, v in enumerate(row["keypoints"]) if i % 3 != 2))


def _masked(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """An annotation that the protocol ignores."""
    return {**annotation, "keypoints": [0.0] * len(annotation["keypoints"]), "num_keypoints": 0}
