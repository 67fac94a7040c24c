"""True and false positives of COCO's protocol for each image, so that AP of resampled images takes microseconds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float64, Int8, Int64

from poise.machine import compiled, compiles
from poise.metrics.boxes import box_evaluation
from poise.metrics.coco import coco_evaluations
from poise.metrics.coco_format import GroundTruth, Record, compact_ids
from poise.skeletons import Skeleton

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which the protocol samples precision."""

EVERY_SIZE = [[0.0, 1e10]]
"""The protocol's area range `all`, square pixels."""

IGNORED, TRUE_POSITIVE, FALSE_POSITIVE = 0, 1, 2


@final
@dataclass(frozen=True, eq=False)
class Matches:
    """The results of one category, highest score first, with their outcome by the protocol, for people of every size.

    Attributes:
        outcome: Outcome of each result at each of the ten thresholds of OKS or IoU: 0 ignored (matched a crowd), 1 true
            positive, 2 false positive.
        image: Index of the image of each result.
        people: Number of labelled people in each image that are not ignored.
        score: Score of each result; None where it is not kept.
    """

    outcome: Int8[np.ndarray, "10 n"]
    image: Int64[np.ndarray, " n"]
    people: Int64[np.ndarray, " i"]
    score: Float64[np.ndarray, " n"] | None = None

    def resampled(
        self, counts: Int64[np.ndarray, "b i"]
    ) -> tuple[Float64[np.ndarray, "b 10 101"], Float64[np.ndarray, "b 10"]]:
        """Precision and recall of resampled images, as in `CocoScores`. An image drawn twice counts as two images.

        Args:
            counts: Number of times each image is drawn, for each resample.

        Returns:
            Precision by resample, threshold and recall, and recall by resample and threshold; -1 where there are no labels.
        """
        precision = np.full((len(counts), len(self.outcome), len(RECALLS)), -1.0)
        recall = np.full((len(counts), len(self.outcome)), -1.0)
        memory = np.empty((2, self.outcome.shape[1] + 1))
        given = (self.outcome, self.image, self.people, counts.astype(np.int64), RECALLS)
        if compiles():
            compiled(_curves)(*given, memory, precision, recall)
        else:
            _curves_by_arrays(*given, precision, recall)
        return precision, recall

    def curves(self) -> tuple[Float64[np.ndarray, "10 101"], Float64[np.ndarray, " 10"]]:
        """Precision by threshold and recall, and recall by threshold, of every image once; -1 where there are no labels."""
        precision, recall = np.full((1, len(self.outcome), len(RECALLS)), -1.0), np.full((1, len(self.outcome)), -1.0)
        once = np.ones((1, len(self.people)), np.int64)
        _curves_by_arrays(self.outcome, self.image, self.people, once, RECALLS, precision, recall)
        return precision[0], recall[0]


def find_matches(truth: GroundTruth, results: Sequence[Record], skeletons: Skeleton | Mapping[int, Skeleton]) -> list[Matches]:
    """The matches of every category, in the order of category ids.

    Args:
        truth: COCO annotations; their list gives the index of each image.
        results: Poses in COCO's format.
        skeletons: The skeleton of all categories, or that of each category by its id.

    Raises:
        AnnotationError: The annotations are not valid (`metrics.coco.evaluate`).
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton of their category.
        InputError: A result lacks a field or is not finite.
    """
    return _of_runs(truth, coco_evaluations(truth, results, skeletons))


def find_box_matches(truth: GroundTruth, results: Sequence[Record]) -> list[Matches]:
    """The matches of boxes of every category, at the ten IoU thresholds, in the order of category ids.

    Args:
        truth: COCO annotations; their list gives the index of each image.
        results: Detections in COCO's format.

    Raises:
        AnnotationError: The annotations are not valid (`metrics.boxes.evaluate_boxes`).
        InputError: A result is not valid.
    """
    return _of_runs(truth, [([int(category["id"]) for category in truth["categories"]], box_evaluation(truth, results))])


def _of_runs(truth: GroundTruth, each: Iterable[tuple[list[int], Any]]) -> list[Matches]:
    """The matches of every category, from evaluations that have not run yet."""
    images = compact_ids(image["id"] for image in truth["images"])
    categories = compact_ids(int(category["id"]) for category in truth["categories"])
    index = {images[image["id"]]: i for i, image in enumerate(truth["images"])}
    found: dict[int, Matches] = {}
    for group, run in each:
        run.params.area_rng = EVERY_SIZE
        run.params.area_rng_lbl = ["all"]
        run.evaluate()
        for category in group:
            parts = [part for part in run.eval_imgs if part is not None and part["category_id"] == categories[category]]
            found[category] = _joined(parts, index)
    return [found[category] for category in sorted(found)]


def _joined(parts: Sequence[Mapping[str, Any]], index: Mapping[int, int]) -> Matches:
    people, empty = np.zeros(len(index), np.int64), np.zeros((10, 0), np.bool_)
    images, scores, hits, ignored = [np.zeros(0, np.int64)], [np.zeros(0)], [empty], [empty]
    for part in parts:
        where, count = index[part["image_id"]], len(part["dtScores"])
        people[where] = len(part["gtIgnore"]) - sum(part["gtIgnore"])
        if count:
            images.append(np.full(count, where, np.int64))
            scores.append(np.array(part["dtScores"], np.float64))
            hits.append(np.array(part["dtMatched"], np.bool_))
            ignored.append(np.array(part["dtIgnore"], np.bool_))
    every = np.concatenate(scores)
    order = np.argsort(-every, kind="stable")
    outcome = np.where(
        np.concatenate(ignored, axis=1), IGNORED, np.where(np.concatenate(hits, axis=1), TRUE_POSITIVE, FALSE_POSITIVE)
    )
    return Matches(outcome[:, order].astype(np.int8), np.concatenate(images)[order], people, every[order])


def _curves(
    outcome: Int8[np.ndarray, "t n"],
    image: Int64[np.ndarray, " n"],
    people: Int64[np.ndarray, " i"],
    counts: Int64[np.ndarray, "b i"],
    recalls: Float64[np.ndarray, " r"],
    memory: Float64[np.ndarray, "2 m"],
    precision: Float64[np.ndarray, "b t r"],
    recall: Float64[np.ndarray, "b t"],
) -> None:
    """Stores precision at true positives only: recall changes at these only, and the best following precision is sampled."""
    for draw in range(len(counts)):
        total = 0
        for i in range(len(people)):
            total += counts[draw, i] * people[i]
        if total == 0:
            continue
        for t in range(len(outcome)):
            hits, false, steps = 0, 0, 0
            for n in range(len(image)):
                often = counts[draw, image[n]]
                if outcome[t, n] == 1 and often > 0:
                    hits += often
                    memory[0, steps] = hits / (false + hits + np.finfo(np.float64).eps)
                    memory[1, steps] = hits / total
                    steps += 1
                elif outcome[t, n] == 2:
                    false += often
            recall[draw, t] = hits / total
            for s in range(steps - 1, 0, -1):
                memory[0, s - 1] = max(memory[0, s - 1], memory[0, s])
            s = 0
            for r in range(len(recalls)):
                while s < steps and memory[1, s] < recalls[r]:
                    s += 1
                precision[draw, t, r] = memory[0, s] if s < steps else 0.0


def _curves_by_arrays(
    outcome: Int8[np.ndarray, "t n"],
    image: Int64[np.ndarray, " n"],
    people: Int64[np.ndarray, " i"],
    counts: Int64[np.ndarray, "b i"],
    recalls: Float64[np.ndarray, " r"],
    precision: Float64[np.ndarray, "b t r"],
    recall: Float64[np.ndarray, "b t"],
) -> None:
    """`_curves` by NumPy, to the bit, where nothing is compiled."""
    for draw, drawn in enumerate(counts):
        often, total = drawn[image], int(drawn @ people)
        if total == 0:
            continue
        hits, false = (np.cumsum((outcome == kind) * often, axis=1) for kind in (TRUE_POSITIVE, FALSE_POSITIVE))
        recall[draw] = hits[:, -1] / total if len(image) else 0.0
        for t in range(len(outcome)):
            step = (outcome[t] == TRUE_POSITIVE) & (often > 0)
            found = hits[t, step] / (false[t, step] + hits[t, step] + np.finfo(np.float64).eps)
            best = np.append(np.maximum.accumulate(found[::-1])[::-1], 0.0)
            precision[draw, t] = best[np.searchsorted(hits[t, step] / total, recalls)]
