"""A detector among the flags of a command: boxes to look into, and what they score by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from rich.console import Console

from poise.cli._scores import counted, say, with_bar
from poise.data.boxes import PersonBoxes
from poise.errors import InputError
from poise.evaluation.boxes import images_of, measured_rows, person_boxes
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.inference.detect import Detector, detect, source_boxes
from poise.inference.request import Skipped
from poise.inference.sources import Source, SourceBoxes, requests_of
from poise.metrics.boxes import BoxScores, checked_box_annotations, evaluate_boxes

LEAST = 0.3
"""Boxes that a detector is less sure of are not looked into for pictures."""


@final
@dataclass(frozen=True, eq=False)
class BoxesFound:
    """What a detector found in a data set.

    Attributes:
        detector: Its name.
        boxes: By category.
        skipped: Images that could not be used.
    """

    detector: str
    boxes: dict[int, PersonBoxes]
    skipped: list[Skipped]

    def judged(self, evaluation: Evaluation, eval_set: EvalSet) -> Evaluation:
        """The evaluation of poses looked for in these boxes, with the scores of the boxes."""
        scores, rows = self.scored(eval_set)
        return replace(evaluation, boxes=scores, box_results=rows, skipped=[*self.skipped, *evaluation.skipped])

    def scored(self, eval_set: EvalSet) -> tuple[BoxScores, list[dict[str, Any]]]:
        """What the boxes score, and they themselves in COCO's form."""
        rows = measured_rows(self.boxes)
        return evaluate_boxes(eval_set.truth, rows), rows


def only_one(boxes: object, detector: str | None) -> None:
    """Refuse boxes from two places.

    Raises:
        InputError: A detector and other boxes are given.
    """
    if boxes is not None and detector is not None:
        raise InputError("--boxes and --detector both say where to look; leave one of them out")


def needs_boxes(min_score: float | None, boxes: object, detector: str | None) -> None:
    """Refuse a least score where boxes have none.

    Raises:
        InputError: It is given, and neither a detector nor a file of its boxes.
    """
    if min_score is not None and boxes in (None, "gt") and detector is None:
        raise InputError(
            "--min-box-score is for boxes of --detector, or of a file of --boxes; leave it out, or give one of them"
        )


def check_least(flag: str, score: float | None) -> None:
    """Refuse a least score that no box could have, or all have.

    Raises:
        InputError: It is neither none nor from 0 to 1.
    """
    if score is not None and not 0 <= score <= 1:
        raise InputError(f"{flag} is a number from 0 to 1, as scores of boxes are, not {score:g}")


def boxes_in(console: Console, eval_set: EvalSet, detector: Detector, *, min_score: float) -> BoxesFound:
    """Look for boxes in a data set.

    Args:
        console: Where to say how many.
        eval_set: The data set.
        detector: Looks.
        min_score: Boxes below it are left out.

    Raises:
        AnnotationError: Boxes cannot be scored against the annotations.
        ImageError: No image can be used.
        InputError: Nobody was found.
    """
    checked_box_annotations(eval_set.truth)  # before anything slow
    skipped: list[Skipped] = []
    found = detect(detector, images_of(eval_set), min_score=min_score, skipped=skipped, watch=with_bar)
    boxes = person_boxes(found, eval_set, detector=detector.name)
    number = counted(sum(map(len, boxes.values())), "box", "boxes")
    say(console, f"{number} of people in {counted(len(found), 'image')} by {detector.name}")
    return BoxesFound(detector.name, boxes, skipped)


def boxes_on(
    detector: Detector, images: Sequence[Source], *, min_score: float, skipped: list[Skipped]
) -> dict[int, SourceBoxes]:
    """Look for boxes in images, by their ids; also of images without anybody.

    Args:
        detector: Looks.
        images: Where.
        min_score: Boxes below it are left out.
        skipped: Takes the images that cannot be used.

    Raises:
        ImageError: No image can be used.
    """
    return source_boxes(detect(detector, requests_of(images, None), min_score=min_score, skipped=skipped, watch=with_bar))
