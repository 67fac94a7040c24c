"""`poise compare`: whether the difference of two runs is significant."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import given, refuse
from poise.cli._inputs import RUN
from poise.cli.options import BoxFileOptions, EvalFilesOptions, FlipRunOptions, ResamplingOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poise.analysis.bootstrap import PerImageResults
    from poise.analysis.compare import Difference
    from poise.terminal import Console

RunFile = Annotated[Path, arg(metavar="RUN"), RUN]


def run(
    first: Positional[RunFile],
    second: Positional[RunFile],
    *,
    files: EvalFilesOptions,
    boxes: BoxFileOptions,
    resampling: ResamplingOptions,
    running: FlipRunOptions,
) -> int:
    """Test whether two runs differ significantly: the difference of their scores, with a 95 % interval.

    Images are resampled with replacement, and both runs are scored on each resample (paired bootstrap). If the interval
    contains 0, the difference is not significant on these images.

    For example:

        poise compare a.json b.json --annotations person_keypoints_val2017.json

        poise compare runs/a runs/b --annotations val.json --images images

    Args:
        first: First run: results as `poise evaluate --out` writes them (.json), a model file, or the folder of a run.
        second: Second run, in the same forms.
        files: Labels, and images where a model is to be evaluated.
        boxes: Boxes of people.
        resampling: Intervals, over images.
        running: How models are run.
    """
    from poise.analysis.bootstrap import resample_counts
    from poise.analysis.compare import compare
    from poise.cli._print import say
    from poise.terminal import Console

    if is_results(first) and is_results(second):
        flags = {"--images": files.images} | given(boxes, running)
        refuse(flags, why="both runs are files of poses, and no model looks at an image")
    resample_counts(2, resamples=resampling.resamples, seed=resampling.seed)  # refused before any model looks at images
    console = Console()
    runs = [_results(console, path, files, boxes=boxes, running=running) for path in (first, second)]
    say(console, f"first: {first}\nsecond: {second}")
    _print_table(console, compare(*runs, resamples=resampling.resamples, seed=resampling.seed))
    count = f"{len(runs[0])} images, drawn with replacement {resampling.resamples} times"
    say(console, f"{count}; pck: each person's pose is that of best OKS")
    return 0


def is_results(run: Path) -> bool:
    """Whether a run is a file of poses, and no model."""
    return run.suffix.lower() == ".json"


def _results(
    console: "Console", run: Path, files: EvalFilesOptions, *, boxes: BoxFileOptions, running: FlipRunOptions
) -> "PerImageResults":
    """The per-image results of a run: from its file, or evaluated now."""
    from poise.analysis.bootstrap import PerImageResults
    from poise.cli._print import say, with_bar
    from poise.cli._report import device_text, flip_text
    from poise.codecs.decoders import described
    from poise.errors import InputError, ReadError
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.evaluate import evaluate
    from poise.evaluation.results import read_results
    from poise.models.require import require_pose
    from poise.skeletons import COCO17
    from poise.weights.cache import located
    from poise.weights.model_file import load

    if is_results(run):
        eval_set = EvalSet.of_file(files.annotations, None, skeleton=COCO17, naming=files.naming)
        return PerImageResults.of(eval_set, read_results(run))
    file = run / "model.safetensors" if run.is_dir() else located(run)
    if not file.is_file():
        raise ReadError(f"{str(run)!r} is no run: expected a file of results (.json), a model file, or a folder with a model")
    if files.images is None:
        raise InputError(f"{str(run)!r} is a model and must look at the images; give their folder or zip file with --images")
    model = require_pose(load(file))
    boxes.check_for(model)
    eval_set = EvalSet.of_file(files.annotations, files.images, skeleton=model.skeleton, naming=files.naming)
    eval_set = eval_set if model.takes_boxes else eval_set.one_class(model.card.name)
    settings, found = running.settings_for(model), boxes.read(eval_set)
    how = f"{flip_text(settings)}, read by {described(model.codec)}, {device_text(settings)}"
    say(console, f"{run}: {model.card.name}, {how}")
    return PerImageResults.of(eval_set, evaluate(model, eval_set, settings, boxes=found, watch=with_bar).results)


def _print_table(console: "Console", differences: "Sequence[Difference]") -> None:
    """All scores of both runs, their differences and intervals."""
    from rich.table import Table

    table = Table("", "first", "second", "difference", "95 % interval", "second is")
    for column in table.columns[1:5]:
        column.justify = "right"
    for row in differences:
        interval = f"{row.low:+.4f} to {row.high:+.4f}"
        verdict = ("better" if row.value > 0 else "worse") if row.significant else "not told apart"
        table.add_row(row.name, f"{row.first:.4f}", f"{row.second:.4f}", f"{row.value:+.4f}", interval, verdict)
    console.print(table)
