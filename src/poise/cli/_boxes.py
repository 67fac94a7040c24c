"""`poise evaluate` of a model that finds boxes and no keypoints: COCO's box protocol alone."""

from collections.abc import Mapping
from contextlib import nullcontext

from rich.console import Console

from poise.cli._detector import boxes_in
from poise.cli._flags import refuse
from poise.cli._report import settings, what
from poise.cli._scores import print_skipped, say
from poise.cli._written import Files, write_boxes, write_scores
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.inference.detect import ModelDetector
from poise.inference.settings import InferenceSettings
from poise.inference.write import results_folder
from poise.metrics.boxes import table
from poise.models.base import ImageModel
from poise.skeletons import COCO17


def only_boxes(model: ImageModel, flags: Mapping[str, object]) -> None:
    """Refuse flags that need keypoints.

    Args:
        model: Finds none.
        flags: As for `refuse`.

    Raises:
        InputError: One is given.
    """
    refuse(flags, why=f"{model.card.name} finds boxes in whole images and no keypoints")


def evaluate_boxes_of(
    console: Console, model: ImageModel, setting: InferenceSettings, files: Files, *, min_score: float
) -> int:
    """Look for people in all images, print what their boxes score, and perhaps write both.

    Args:
        console: Where to print.
        model: The detector.
        setting: How it is run.
        files: What is read and written.
        min_score: Boxes below it are left out.

    Raises:
        InputError: A .mat is to be written.
        PoiseError: As `boxes_in`.
    """
    if files.submitted:
        raise InputError(
            f"{str(files.out)!r}: a .mat holds MPII's poses, and this model finds boxes alone; end the name in .json"
        )
    eval_set, out = EvalSet.of_file(files.annotations, files.images, skeleton=COCO17), files.out
    flips = "on" if setting.flip else "off"
    say(console, f"whole images, flip test {flips}, boxes alone, {setting.device} in {setting.precision}")
    with nullcontext() if out is None else results_folder(out.parent):
        found = boxes_in(console, eval_set, ModelDetector(model, setting), min_score=min_score)
        scores, rows = found.scored(eval_set)
        if out is not None:
            how = what(model, model=files.model, annotations=files.annotations, images=files.images)
            how |= settings(setting, None, boxes="whole images")
            numbers = {f"box {name}": value for name, value in scores.numbers.items()}
            write_boxes(console, out, rows)
            write_scores(out, numbers, how)
    print_skipped(console, found.skipped, "their people count as missed")
    say(console, table(model.card.name, scores.numbers))
    return 0
