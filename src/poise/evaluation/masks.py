"""Masks of an evaluation: the labelled ones as run lengths, and their scores by COCO's protocol."""

from collections.abc import Sequence
from typing import Any

from poise.data.masks import run_lengths
from poise.evaluation.eval_set import EvalSet
from poise.metrics.boxes import BoxScores
from poise.metrics.coco_format import Record
from poise.metrics.masks import evaluate_masks
from poise.notes import note


def score_masks(eval_set: EvalSet, results: Sequence[Record]) -> BoxScores | None:
    """The scores of masks; None, which is said, where nobody's mask is labelled.

    Args:
        eval_set: The data set. People whose mask is not labelled do not count, and whoever is found there is a false positive.
        results: Masks in COCO's result format.

    Raises:
        AnnotationError: A segmentation cannot be read.
    """
    people = labelled_masks(eval_set)
    if not people:
        note("masks are predicted and not scored: no annotation has one (`segmentation`)")
        return None
    return evaluate_masks({**eval_set.truth, "annotations": people}, results)


def labelled_masks(eval_set: EvalSet) -> list[dict[str, Any]]:
    """The annotations that have a mask, each with it as run lengths."""
    dataset, [category, *_] = eval_set.dataset, list(eval_set.skeletons)
    people = []
    for index, image in enumerate(eval_set.ids):
        masks, labels = dataset.masks(index), dataset.labels(index)
        if masks is None:
            continue
        for person in masks.flatten(1).any(dim=1).nonzero().flatten().tolist():
            x0, y0, x1, y1 = labels.boxes[person].tolist()
            people.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "segmentation": run_lengths(masks[person].numpy()),
                    "area": float(labels.area[person]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": int(labels.crowd[person]),
                }
            )
    return people
