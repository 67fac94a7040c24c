"""The parts of `poise evaluate` that have to do with boxes: those of a detector, and the evaluation of boxes alone."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from poise.cli._print import counted, print_further, print_skipped, say, with_bar
from poise.cli._report import device_text, flip_text, model_text, run_text
from poise.cli.options import EvalFilesOptions, EvalOutputOptions
from poise.data.boxes import PersonBoxes
from poise.errors import InputError
from poise.evaluation.boxes import images_of, measured_rows, person_boxes
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.evaluation.further import Found, check_further, measure_further
from poise.evaluation.masks import score_masks
from poise.inference.detect import Detected, Detector, ModelDetector, detect
from poise.inference.request import Skipped
from poise.inference.settings import InferenceSettings
from poise.inference.write import results_folder, write_json
from poise.metrics.boxes import BoxScores, checked_box_annotations, evaluate_boxes, table
from poise.metrics.measure_names import FurtherMeasure
from poise.models.base import ImageModel
from poise.models.rcnn_masks import mask_rows
from poise.skeletons import COCO17
from poise.terminal import Console
from poise.writing import together


@final
@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """Boxes of a detector in a data set.

    Attributes:
        detector: Name of the detector.
        boxes: Boxes by category.
        skipped: Images that could not be used.
        masks: Masks in COCO's result format; empty where none are predicted.
    """

    detector: str
    boxes: dict[int, PersonBoxes]
    skipped: list[Skipped]
    masks: list[dict[str, Any]] = field(default_factory=list)

    def scored(self, eval_set: EvalSet) -> tuple[BoxScores, list[dict[str, Any]]]:
        """The scores of the boxes, and they themselves in COCO's form."""
        rows = measured_rows(self.boxes)
        return evaluate_boxes(eval_set.truth, rows), rows

    def joined(self, evaluation: Evaluation, eval_set: EvalSet) -> Evaluation:
        """The evaluation of the poses in these boxes, with the scores of the boxes."""
        scores, rows = self.scored(eval_set)
        return replace(evaluation, boxes=scores, box_results=rows, skipped=[*self.skipped, *evaluation.skipped])


def find_boxes(console: Console, eval_set: EvalSet, detector: Detector, *, min_score: float) -> FoundBoxes:
    """Run a detector on a data set.

    Args:
        console: Console to print to.
        eval_set: The data set.
        detector: The detector.
        min_score: Boxes of a lower confidence are left out.

    Raises:
        AnnotationError: Boxes cannot be scored against the annotations.
        ImageError: No image can be used.
        InputError: No box was found.
    """
    checked_box_annotations(eval_set.truth)  # before anything slow
    skipped: list[Skipped] = []
    every = detect(detector, images_of(eval_set), min_score=min_score, skipped=skipped, watch=with_bar)
    found = [one.large(eval_set.min_area) for one in every]
    boxes = person_boxes(found, eval_set, detector=detector.name)
    number = counted(sum(map(len, boxes.values())), "box", "boxes")
    say(console, f"{number} of people in {counted(len(found), 'image')} by {detector.name}")
    masks = [row for one in found for row in _mask_rows(one, next(iter(boxes)))]
    return FoundBoxes(detector.name, boxes, skipped, masks)


def _mask_rows(found: Detected, category: int) -> list[dict[str, Any]]:
    """The masks of an image in COCO's result format."""
    if found.masks is None:
        return []
    return mask_rows(found.masks, found.scores, image=found.key.image_id, categories=[category] * len(found.masks))


def evaluate_detector(
    console: Console,
    model: ImageModel,
    settings: InferenceSettings,
    *,
    file: Path,
    files: EvalFilesOptions,
    output: EvalOutputOptions,
    min_score: float,
    min_area: float = 0.0,
    measures: Sequence[FurtherMeasure] = (),
) -> int:
    """Evaluate a model that finds boxes and no keypoints by COCO's box protocol, print the scores, and perhaps write both.

    Args:
        console: Console to print to.
        model: The detector.
        settings: Settings of inference.
        file: File of the detector.
        files: Labels and images.
        output: Files to write.
        min_score: Boxes of a lower confidence are left out.
        min_area: Labelled and found people of a smaller area do not count (`EvalSet.at_least`).
        measures: What else to measure of the boxes.

    Raises:
        InputError: A .mat is to be written, or a measure is of keypoints.
        PoiseError: As `find_boxes`.
    """
    if output.submission:
        raise InputError(
            f"{str(output.out)!r}: a .mat holds MPII's poses, and this model finds boxes alone; end the name in .json"
        )
    eval_set, out = EvalSet.of_file(files.annotations, files.images, skeleton=COCO17, naming=files.naming), output.out
    eval_set = eval_set.one_class(model.card.name).at_least(min_area)
    check_further(measures, eval_set, keypoints=False)
    say(console, f"whole images, {flip_text(settings)}, boxes alone, {device_text(settings)}")
    with nullcontext() if out is None else results_folder(out.parent):
        found = find_boxes(console, eval_set, ModelDetector(model, settings, masks=True), min_score=min_score)
        scores, rows = found.scored(eval_set)
        masks = score_masks(eval_set, found.masks) if found.masks else None
        further = measure_further(measures, eval_set, Found(boxes=rows))
        if out is not None:
            text = model_text(model, file=file, annotations=files.annotations, images=files.images)
            numbers = {f"box {name}": value for name, value in scores.numbers.items()}
            numbers |= {} if masks is None else {f"mask {name}": value for name, value in masks.numbers.items()}
            numbers |= {name: value for one in further for name, value in one.numbers.items()}
            with together():
                said = [write_boxes(out, rows), *write_masks(out, found.masks)]
                write_scores(out, numbers, text | run_text(settings, None, boxes="whole images"))
            for line in said:
                say(console, line)
    print_skipped(console, found.skipped, "their people count as missed")
    print_further(console, further)
    if masks is not None:
        say(console, table(model.card.name, masks.numbers, what="mask") + "\n")
    say(console, table(model.card.name, scores.numbers))
    return 0


def write_scores(out: Path, numbers: Mapping[str, float], text: Mapping[str, str]) -> None:
    """Write scores with what they depend on, beside the results."""
    write_json({"scores": numbers, "settings": dict(text)}, EvalOutputOptions(out=out).beside["scores"])


def write_boxes(out: Path, rows: list[dict[str, Any]]) -> str:
    """Write boxes beside the results, and return what to say of it."""
    place = EvalOutputOptions(out=out).beside["boxes"]
    write_json(rows, place)
    return f"{len(rows)} boxes written to {place}"


def write_masks(out: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Write masks beside the results where there are any, and return what to say of it."""
    if not rows:
        return []
    place = EvalOutputOptions(out=out).beside["masks"]
    write_json(rows, place)
    return [f"{len(rows)} masks written to {place}, as run lengths"]
