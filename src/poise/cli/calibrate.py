"""`poise calibrate`: a detector's keypoint scores made probabilities."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

_Model = Annotated[Path, arg(metavar="FILE")]
_File = Annotated[Path, arg(metavar="FILE")]
_Out = Annotated[Path, arg(metavar="FILE.safetensors")]
_Rating = Annotated[Literal["box", "keypoints", "product"] | None, arg(metavar="box|keypoints|product")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]


def run(
    model: Positional[_Model],
    *,
    annotations: _File,
    images: Path,
    out: _Out,
    rating: _Rating = None,
    flip: bool = False,
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: int = 2,
) -> int:
    """Make the scores of a Keypoint R-CNN's keypoints probabilities, and rank people by what ranks them best.

    Logits, shares of a softmax and heights of Gaussians mean different things; fitted to whether keypoints were right (an OKS
    of their own of at least 0.5) all say how probable a keypoint is. Take labelled images that the model was not trained on,
    and others than those that it is tested on.

    For example:

        poise calibrate runs/detector/model.safetensors --annotations valid.json --images images --out calibrated.safetensors

    Args:
        model: Model file of a Keypoint R-CNN.
        annotations: COCO-style keypoint file.
        images: Folder or zip file of its images.
        out: The model with its calibration.
        rating: What people are ranked by from now on: the score of their box, the mean of their keypoints' probabilities, or
            both multiplied; by default what has the highest AP on these images.
        flip: Average with the mirrored view; scores differ a little then, so calibrate as the model will be run.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
        batch: Images at a time (2).
        workers: Threads that read images.
    """
    from dataclasses import replace

    from rich.console import Console
    from rich.table import Table

    from poise.analysis.calibration import calibrate
    from poise.cli._out import check_out
    from poise.cli._scores import cell, counted, print_skipped, say, with_bar
    from poise.errors import InputError
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.settings import InferenceSettings
    from poise.inference.write import results_folder
    from poise.models.base import PoseModel
    from poise.weights.model_file import load, save

    check_out("--out", out, ends=(".safetensors",), reads=(model, annotations))
    detector = load(model)
    if not (isinstance(detector, PoseModel) and detector.finds_boxes):
        raise InputError(
            f"{str(model)!r} holds {detector.card.name}, which finds no boxes with keypoints; only the scores of a Keypoint "
            "R-CNN are calibrated"
        )
    eval_set = EvalSet.of_file(annotations, images, skeleton=detector.skeleton)
    setting = InferenceSettings.of(detector, device=device, precision=precision, flip=flip, batch=batch, workers=workers)
    with results_folder(out.parent):
        found = calibrate(detector, eval_set, setting, watch=with_bar)
    console = Console()
    print_skipped(console, found.skipped, "people in them count as missed")
    shown = Table("people ranked by", "AP as it was", "AP calibrated", title="AP of keypoints", title_justify="left")
    for name, values in found.ap.items():
        shown.add_row(name, *(cell(value) for value in values))
    console.print(shown)
    best = rating or found.best
    made, (before, after) = found.calibration, found.errors
    say(console, f"{counted(found.keypoints, 'keypoint')} in found boxes, {100 * found.right:.1f} % of them right")
    say(console, f"probability = 1 / (1 + exp(({made.middle:.4g} - score) / {made.width:.4g})); its squared error (Brier)")
    say(console, f"{before:.4f} as it was, {after:.4f} calibrated")
    usual = detector.config
    kind = "probability" if usual.keypoint_score == "raw" else usual.keypoint_score
    detector.config = replace(usual, calibration=made, rating=best, keypoint_score=kind)
    save(detector, out)
    say(console, f"wrote {out}: people are ranked by {best}")
    return 0
