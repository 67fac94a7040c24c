"""A run of several stages: each is a whole schedule that starts from the best weights of the one before.

Two papers train so. LPN (arXiv 1911.10346, section 3.3) repeats one schedule, the learning rate back at its start each time:
`Recipe.staged`. AID (arXiv 2008.07139) first trains plainly, then drops information: its stages differ (`Recipe.then`).
BlazePose (arXiv 2006.10204) learns heatmaps, then offsets beside them, then a regression on their maps: its networks differ.

The folder of the run receives `stages.json` (what is done, with its scores), `settings.json`, `model.safetensors` (the best
of all stages so far that train the network of the last), `metrics.csv` (the rows of all stages) and a folder for each,
`stage0`, `stage1`, ..., like that of a run of its own. A finished stage is never opened again; the one that was interrupted
goes on exactly where it was.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.table import Table

from poise.errors import CheckpointError, WriteError
from poise.models.views.base import mixed_seed
from poise.reading import read_json
from poise.terminal import say
from poise.training.checkpoint import identity, load_best, load_fitting
from poise.training.checks import check_free
from poise.training.logging import print_expected
from poise.training.recipe import Recipe
from poise.training.result import Row, RunResult, read_csv, write_csv
from poise.training.run_plan import Budget, rank_of_process
from poise.weights import model_file
from poise.weights.transfer import transfer
from poise.writing import write_atomic

RECORD = "stages.json"
MODEL = "model.safetensors"

Run = Callable[[Recipe, Budget], RunResult]
"""Trains one stage."""


@final
@dataclass(frozen=True)
class FinishedStage:
    """A finished stage, as in `stages.json`.

    Attributes:
        recipe: Name of its recipe.
        epochs: Number of epochs it trained.
        scores: Validation scores of its best model, by name.
    """

    recipe: str
    epochs: int
    scores: dict[str, float]


def fit_stages(recipe: Recipe, run: Run, budget: Budget, *, console: Console) -> RunResult:
    """Train the stages of a recipe, from where they were interrupted.

    Args:
        recipe: A recipe with `then`.
        run: Function that trains one stage.
        budget: Folder, seed and limits of the whole run; stages share minutes and steps in proportion to their epochs.
        console: Terminal for the scores of each stage and the final table.

    Raises:
        WriteError: The folder holds another run.
        CheckpointError: There is no run to resume.
    """
    stages = [  # the score to expect is that of all of them
        replace(stage, name=f"{stage.name}, stage {i}", expected={}, mapping=None if i else recipe.mapping)
        for i, stage in enumerate((replace(recipe, then=()), *recipe.then))
    ]
    done = _open(recipe, budget, count=len(stages))
    print_expected(console, recipe)
    if len(done) >= len(stages):
        say(console, f"nothing is left to train: {len(stages)} of {len(stages)} stages are done")
    for index, stage in list(enumerate(stages))[len(done) :]:
        if index:
            _start(stage, stages[index - 1], budget.folder / f"stage{index - 1}" / MODEL)
        result = run(stage, _stage_budget(stages, budget, index))
        done.append(FinishedStage(stage.name, _epochs(result), result.metrics))
        if rank_of_process() == 0:
            _keep(budget.folder, stages, done)
        scores = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items()) or "not checked"
        say(console, f"stage {index} of 0 to {len(stages) - 1} is done: {scores}")
    done = done[: len(stages)]
    console.print(_table(stages, done, checked=recipe.task(recipe.model).val_boxes))
    return _result(stages, budget.folder, done)


def refuse_stages(folder: Path) -> None:
    """Refuse to resume a run of several stages, or one of its stages, as a run of one stage.

    Raises:
        CheckpointError: The folder has several stages or is a stage.
    """
    if (folder / RECORD).is_file():
        raise CheckpointError(f"{folder} holds a run of several stages; name its --stages too, or only --resume {folder}")
    _refuse_part(folder)


def _refuse_part(folder: Path) -> None:
    whole = folder.resolve().parent
    if folder.resolve().name.startswith("stage") and (whole / RECORD).is_file():
        raise CheckpointError(f"{folder} is a stage of the run in {whole}; go on with --resume {whole}")


def _open(recipe: Recipe, budget: Budget, *, count: int) -> list[FinishedStage]:
    """Check or create the folder of the run, and return the finished stages."""
    record, main = budget.folder / RECORD, rank_of_process() == 0
    _refuse_part(budget.folder)
    alone = (budget.folder / "checkpoints" / "last.ckpt").exists()
    if budget.resume:
        if not record.is_file():
            what = "a run of one stage; it goes on without --stages" if alone else "no run; --resume wants the folder of one"
            raise CheckpointError(f"{budget.folder} holds {what}")
        done = _read(record)
    elif main and record.exists():
        raise WriteError(f"{budget.folder} already holds a run; go on with --resume {budget.folder}, or give another --out")
    else:
        done = []
        if main:
            check_free(budget.folder)
    if budget.start is not None and not budget.resume:
        start, model = model_file.load(budget.start), copy.deepcopy(recipe.model)
        transfer(start, model, mapping=recipe.mapping)  # what cannot be a start is refused before writing
    if main:
        budget.folder.mkdir(parents=True, exist_ok=True)
        known = {"expected": dict(recipe.expected), "notes": recipe.notes}
        settings = {"recipe": recipe.name, "settings": recipe.settings, "stages": count} | known
        write_atomic(budget.folder / "settings.json", (json.dumps(settings, indent=2, default=str) + "\n").encode())
        _write(record, done)
    return done


def _read(record: Path) -> list[FinishedStage]:
    try:
        found = read_json(record, what="record of stages", error=CheckpointError, missing=CheckpointError)
        done = [FinishedStage(**row) for row in found["done"]]
        if not all(isinstance(v, int | float) for stage in done for v in (stage.epochs, *stage.scores.values())):
            raise ValueError("scores and epochs are no numbers")
        return done
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{record} does not say which stages are done ({error}); begin anew with another --out"
        ) from error


def _write(record: Path, done: Sequence[FinishedStage]) -> None:
    write_atomic(record, (json.dumps({"done": [asdict(stage) for stage in done]}, indent=2) + "\n").encode())


def _start(stage: Recipe, before: Recipe, file: Path) -> None:
    """Load the best weights of the stage before, those that the network has."""
    if not file.is_file():
        raise CheckpointError(f"the best model of the stage before is missing: {file}; put it back, or begin anew")
    if before.model is not stage.model:
        load_best(before.model, file)
        load_fitting(stage.model, before.model)
    else:
        load_best(stage.model, file)


def _stage_budget(stages: Sequence[Recipe], budget: Budget, index: int) -> Budget:
    """Folder, seed and limits of one stage."""
    folder = budget.folder / f"stage{index}"
    share = stages[index].epochs / sum(stage.epochs for stage in stages)
    return Budget(
        folder,
        resume=(folder / "checkpoints" / "last.ckpt").is_file(),
        seed=mixed_seed(budget.seed, index) if index else budget.seed,
        start=None if index else budget.start,
        minutes=None if budget.minutes is None else budget.minutes * share,
        steps=None if budget.steps is None else max(1, round(budget.steps * share)),
        whole=budget.folder,
        backbone=None if index else budget.backbone,
    )


def _chosen(stages: Sequence[Recipe], done: Sequence[FinishedStage]) -> int:
    """Index of the best of the finished stages that train the same network as the last of them, by the score of the recipe."""
    last = identity(stages[len(done) - 1].model)
    rivals = [i for i, stage in enumerate(stages[: len(done)]) if identity(stage.model) == last]
    return rivals[best_stage([done[i].scores for i in rivals], best=stages[0].best)]


def best_stage(scores: Sequence[Mapping[str, float]], *, best: str) -> int:
    """Index of the stage with the highest score, the later of equal ones; the last without validation.

    >>> best_stage([{"AP": 0.3}, {"AP": 0.5}, {"AP": 0.4}], best="AP")
    1
    """
    return max(range(len(scores)), key=lambda i: (scores[i].get(best, float("-inf")), i))


def _keep(folder: Path, stages: Sequence[Recipe], done: Sequence[FinishedStage]) -> None:
    """Write the best model and the metrics of all stages, then the record: a stage it names is complete."""
    chosen = _chosen(stages, done)
    write_atomic(folder / MODEL, (folder / f"stage{chosen}" / MODEL).read_bytes())
    write_csv(folder / "metrics.csv", _rows(folder, len(done)))
    _write(folder / RECORD, done)


def _epochs(result: RunResult) -> int:
    """The epoch in which a stage ended, begun ones counted: limits of time or steps cut a schedule short."""
    return int(result.history[-1]["epoch"]) if result.history else 0


def _rows(folder: Path, count: int) -> list[Row]:
    return [{"stage": i} | row for i in range(count) for row in read_csv(folder / f"stage{i}" / "metrics.csv")]


def _table(stages: Sequence[Recipe], done: Sequence[FinishedStage], *, checked: str) -> Table:
    table = Table(title=f"stages; scores of each one's best model, with {checked}, no flip test")
    names = list(dict.fromkeys(name for stage in done for name in stage.scores))
    for name in ("stage", "epochs", *names, ""):
        table.add_column(name, justify="right")
    chosen = _chosen(stages, done)
    for i, stage in enumerate(done):
        scores = (f"{stage.scores[name]:.4f}" if name in stage.scores else "" for name in names)
        table.add_row(str(i), str(stage.epochs), *scores, "best" if i == chosen else "")
    return table


def _result(stages: Sequence[Recipe], folder: Path, done: Sequence[FinishedStage]) -> RunResult:
    scores = [stage.scores for stage in done]
    chosen = _chosen(stages, done)
    metrics = dict(scores[chosen])
    model = stages[chosen].model.cpu()
    # The stage's own file: the other processes do not wait for the copy that the first one makes of it.
    load_best(model, folder / f"stage{chosen}" / MODEL)
    known: dict[str, Any] = {f"val/{name}": value for name, value in metrics.items() if name != "loss"}
    model.card = replace(model.card, scores=model.card.scores | known)
    return RunResult(model.eval(), metrics, folder, folder / MODEL, _rows(folder, len(done)), tuple(scores))
