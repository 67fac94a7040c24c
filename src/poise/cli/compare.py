"""`poise compare`: whether the difference of two runs is more than chance."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from rich.console import Console

    from poise.analysis.bootstrap import PerImageResults

_Run = Annotated[Path, arg(metavar="RUN")]
_File = Annotated[Path, arg(metavar="FILE")]
_Images = Annotated[Path | None, arg(metavar="DIR")]
_Boxes = Annotated[str | None, arg(metavar="gt|FILE")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]


def run(
    first: Positional[_Run],
    second: Positional[_Run],
    *,
    annotations: _File,
    images: _Images = None,
    boxes: _Boxes = None,
    resamples: int = 1000,
    seed: int = 0,
    flip: bool = True,
    device: _Name = None,
    batch: _Number = None,
    workers: _Number = None,
) -> int:
    """Is the second run better, or is it chance? The difference of their scores, with a 95 % interval.

    Images are drawn anew, with replacement, and both runs are scored on each draw (paired bootstrap). An interval that holds
    0 says that these images cannot tell the runs apart.

    For example:

        poise compare a.json b.json --annotations person_keypoints_val2017.json

        poise compare runs/a runs/b --annotations val.json --images images

    Args:
        first: Results as `poise evaluate --out` writes them (.json), a model file, or the folder of a run.
        second: Another.
        annotations: COCO-style keypoint file, of both.
        images: Folder or zip file of its images, where a model is to be evaluated.
        boxes: Where models look: "gt" for the labelled boxes (the default), or a detector's JSON list; none for whole images.
        resamples: Draws of the images.
        seed: Of the draws.
        flip: Models average with the mirrored view, where they do that.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        batch: People at a time (32), or whole images (4; 2 for detectors).
        workers: Threads that read images (2).
    """
    from functools import partial

    from rich.console import Console
    from rich.table import Table

    from poise.analysis.bootstrap import resample_counts
    from poise.analysis.compare import compare
    from poise.cli._flags import refuse
    from poise.cli._scores import say

    if is_results(first) and is_results(second):
        models: dict[str, object] = {"--images": images, "--boxes": boxes, "--no-flip": not flip, "--device": device}
        models |= {"--batch": batch, "--workers": workers}
        refuse(models, why="both runs are files of poses, and no model looks at an image")
    resample_counts(2, resamples=resamples, seed=seed)  # refused before any model looks at images
    console = Console()
    tally = partial(_tally, console, annotations, images, boxes=boxes, flip=flip, device=device, batch=batch, workers=workers)
    one, other = tally(first), tally(second)
    say(console, f"first: {first}\nsecond: {second}")
    table = Table("", "first", "second", "difference", "95 % interval", "second is")
    for column in table.columns[1:5]:
        column.justify = "right"
    for row in compare(one, other, resamples=resamples, seed=seed):
        interval = f"{row.low:+.4f} to {row.high:+.4f}"
        verdict = ("better" if row.value > 0 else "worse") if row.significant else "not told apart"
        table.add_row(row.name, f"{row.first:.4f}", f"{row.second:.4f}", f"{row.value:+.4f}", interval, verdict)
    console.print(table)
    say(console, f"{len(one)} images, drawn with replacement {resamples} times; pck: each person's pose is that of best OKS")
    return 0


def is_results(run: Path) -> bool:
    """Whether a run is a file of poses, and no model."""
    return run.suffix.lower() == ".json"


def _tally(
    console: "Console",
    annotations: Path,
    images: Path | None,
    run: Path,
    *,
    boxes: str | None,
    flip: bool,
    device: str | None,
    batch: int | None,
    workers: int | None,
) -> "PerImageResults":
    """What a run got right: read from its results, or found now."""
    from poise.analysis.bootstrap import PerImageResults
    from poise.cli._decoder import only_for_views
    from poise.cli._flags import WORKERS
    from poise.cli._scores import say, with_bar
    from poise.codecs.decoders import described
    from poise.errors import InputError, ReadError
    from poise.evaluation.boxes import detections
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.evaluate import evaluate
    from poise.evaluation.results import read_results
    from poise.inference.settings import InferenceSettings
    from poise.models.base import require_pose
    from poise.skeletons import COCO17
    from poise.weights.model_file import load

    if is_results(run):
        return PerImageResults.of(EvalSet.of_file(annotations, None, skeleton=COCO17), read_results(run))
    file = run / "model.safetensors" if run.is_dir() else run
    if not file.is_file():
        raise ReadError(f"{str(run)!r} is no run: expected a file of results (.json), a model file, or a folder with a model")
    if images is None:
        raise InputError(f"{str(run)!r} is a model and must look at the images; give their folder or zip file with --images")
    model = require_pose(load(file))
    only_for_views(model, {"--boxes": boxes})
    eval_set = EvalSet.of_file(annotations, images, skeleton=model.skeleton)
    threads = WORKERS if workers is None else workers
    setting = InferenceSettings.of(model, device=device, flip=None if flip else False, batch=batch, workers=threads)
    found = None if boxes in (None, "gt") else detections(str(boxes), eval_set, min_score=0.0)
    flips = "on" if setting.flip else "off"
    how = f"flip test {flips}, read by {described(model.codec)}, {setting.device} in {setting.precision}"
    say(console, f"{run}: {model.card.name}, {how}")
    return PerImageResults.of(eval_set, evaluate(model, eval_set, setting, boxes=found, watch=with_bar).results)
