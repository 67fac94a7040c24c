"""Masks of an evaluation: the labelled ones as run lengths, and their scores by COCO's protocol."""

from collections.abc import Sequence

from poise.evaluation.eval_set import EvalSet
from poise.metrics.boxes import BoxScores
from poise.metrics.coco_format import Record
from poise.metrics.masks import evaluate_masks
from poise.models.rcnn_masks import labelled_masks
from poise.notes import note


def score_masks(eval_set: EvalSet, results: Sequence[Record]) -> BoxScores | None:
    """The scores of masks; None, which is said, where nobody's mask is labelled.

    Args:
        eval_set: The data set. People whose mask is not labelled do not count, and whoever is found there is a false positive.
        results: Masks in COCO's result format.

    Raises:
        AnnotationError: A segmentation cannot be read.
    """
    people = labelled_masks(eval_set.dataset, eval_set.ids, category=next(iter(eval_set.skeletons)))
    if not people:
        note("masks are predicted and not scored: no annotation has one (`segmentation`)")
        return None
    return evaluate_masks({**eval_set.truth, "annotations": people}, results)
