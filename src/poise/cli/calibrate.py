"""`poise calibrate`: a detector's keypoint scores, calibrated as probabilities."""

from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from poise.cli.options import DatasetOptions, ModelFile, ModelOutputOptions, RunOptions

if TYPE_CHECKING:
    from poise.analysis.calibration import CalibrationReport
    from poise.terminal import Console

Rating = Annotated[Literal["box", "keypoints", "product"] | None, arg(metavar="box|keypoints|product")]


def run(
    model: Positional[ModelFile],
    *,
    files: DatasetOptions,
    output: ModelOutputOptions,
    running: RunOptions,
    rating: Rating = None,
    flip: bool = False,
) -> int:
    """Calibrate keypoint scores and choose the pose score of highest AP.

    Keypoint scores of a Keypoint R-CNN are logits, softmax probabilities or heights of Gaussians. They are fitted to whether
    keypoints were correct (an OKS of the single keypoint of at least 0.5) and become probabilities. Use labelled images
    that are neither in the training set nor in the test set.

    For example:

        poise calibrate runs/detector/model.safetensors --annotations valid.json --images images --out calibrated.safetensors

    Args:
        model: Model file of a Keypoint R-CNN, or its name in `poise get`.
        files: Labels and images.
        output: Files to write.
        running: How the model is run.
        rating: Pose score: the score of the box, the mean of the keypoints' probabilities, or
            their product; by default the one of highest AP on these images.
        flip: Average with the mirrored view; scores then differ slightly, so calibrate as the model will be run.
    """
    from dataclasses import replace

    from poise.analysis.calibration import calibrate
    from poise.cli._print import print_skipped, say, with_bar
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.write import results_folder
    from poise.models.require import require_keypoint_detector
    from poise.terminal import Console
    from poise.weights.model_file import load, save

    output.check()
    detector = require_keypoint_detector(load(model))
    eval_set = EvalSet.of_file(files.annotations, files.images, skeleton=detector.skeleton, naming=files.naming)
    eval_set = eval_set.one_class(detector.card.name)
    settings = running.settings_for(detector, flip=flip)
    with results_folder(output.out.parent):
        found = calibrate(detector, eval_set, settings, watch=with_bar)
    console = Console()
    print_skipped(console, found.skipped, "people in them count as missed")
    _print_result(console, found)
    config, best = detector.config, rating or found.best
    score = "probability" if config.keypoint_score == "raw" else config.keypoint_score
    detector.config = replace(config, calibration=found.calibration, rating=best, keypoint_score=score)
    save(detector, output.out)
    say(console, f"wrote {output.out}: people are ranked by {best}")
    return 0


def _print_result(console: "Console", found: "CalibrationReport") -> None:
    """AP before and after, and the fitted probability with its errors."""
    from rich.table import Table

    from poise.cli._print import cell, counted, say

    table = Table("people ranked by", "AP as it was", "AP calibrated", title="AP of keypoints", title_justify="left")
    for name, values in found.ap.items():
        table.add_row(name, *(cell(value) for value in values))
    console.print(table)
    made, (before, after) = found.calibration, found.errors
    say(console, f"{counted(found.keypoints, 'keypoint')} in found boxes, {100 * found.right:.1f} % of them right")
    say(console, f"probability = 1 / (1 + exp(({made.middle:.4g} - score) / {made.width:.4g})); its squared error (Brier)")
    say(console, f"{before:.4f} as it was, {after:.4f} calibrated")
