"""Checks before a run begins, and errors of torch while it trains as messages that name a flag."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from poise.errors import CheckpointError, InputError, PoiseError, TrainingError, WriteError, unknown
from poise.models.views.base import AnyViews
from poise.reading import read_json
from poise.training.checkpoint import ANEW, first_line
from poise.training.recipe import Recipe
from poise.training.run_plan import RunPlan
from poise.training.task import Task
from poise.writing import check_target

ONE_VALUE = "Expected more than 1 value per channel when training"
"""Beginning of torch's message where a batch norm has one value per channel."""


def check_best(recipe: Recipe, task: Task) -> None:
    """Refuse a recipe whose score `best` is not among those of the validation.

    Raises:
        UnknownName: The validation of the task has no such score.
    """
    if recipe.val is not None and recipe.best not in task.val_scores:
        raise unknown(f"score of {task.val_boxes} (recipe {recipe.name!r}, best)", recipe.best, task.val_scores)


def check_readable(*each: AnyViews[Any, Any] | None) -> None:
    """Read the first view of each set, so that a wrong image folder is noticed before anything is written.

    Raises:
        ImageError: None of the first images can be read.
    """
    for views in each:
        if views is not None:
            views[(0, 0)]


def check_left(plan: RunPlan, progress: Mapping[str, Any]) -> None:
    """Refuse to resume a run whose time or steps are used up.

    Args:
        plan: Plan of the resumed run.
        progress: Progress of the run (`check_state`).

    Raises:
        InputError: No time or steps are left.
    """
    if plan.budget is not None and progress["elapsed"] >= plan.budget:
        done, more = f"{progress['elapsed'] / 60:.3g} of its {plan.budget / 60:.3g} minutes", "--minutes"
    elif plan.steps is not None and progress.get("steps", 0) >= plan.steps:
        done, more = f"{progress['steps']} of its {plan.steps} steps", "--steps"
    else:
        return
    raise InputError(f"the run has trained {done}; --resume with more {more} goes on")


RUN_FILES = ("checkpoints/last.ckpt", "stages.json", "model.safetensors", "metrics.csv", "settings.json")
"""Files that a run writes and replaces, in its folder."""


def check_free(folder: Path) -> None:
    """Refuse a folder that holds a run already, or files that a run would replace.

    A run that was killed before its first state was saved leaves `settings.json` alone, and may begin again.

    Raises:
        WriteError: The folder has one of them.
    """
    found = [name for name in RUN_FILES if os.path.lexists(folder / name)]
    for kind in ("pictures/epoch-*.png", "snapshots/epoch-*.safetensors"):
        found += sorted(path.relative_to(folder).as_posix() for path in folder.glob(kind))[:1]
    if found == ["settings.json"] and _of_a_run(folder / "settings.json"):
        return
    if "checkpoints/last.ckpt" in found:
        raise WriteError(f"{folder} already holds a run; go on with --resume {folder}, or give another --out")
    if found:
        raise WriteError(
            f"{folder} already holds a run or what one would replace ({found[0]}), and no state to go on from; "
            "give another --out"
        )


def check_run_files(folder: Path) -> None:
    """Refuse the folder of a run whose files cannot be replaced: links, or what is no regular file.

    Raises:
        WriteError: There is one.
    """
    for name in RUN_FILES:
        check_target(folder / name, flag="--out")


def _of_a_run(settings: Path) -> bool:
    """Whether a file has the settings of a run."""
    try:
        found = read_json(settings) if settings.is_file() and not settings.is_symlink() else None
    except PoiseError:
        return False
    return isinstance(found, dict) and {"recipe", "settings"} <= set(found)


def make_folder(folder: Path) -> None:
    """Create the folder of a run with its parents.

    Raises:
        WriteError: The folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


@contextmanager
def explain_restore_errors(state: Path | None, begun: Callable[[], bool]) -> Iterator[None]:
    """Turn errors from what a saved state lacks into one that says what to do.

    Args:
        state: The state a run goes on from; None for a run that begins.
        begun: Whether training has begun, after which no error is the state's.

    Raises:
        CheckpointError: The state cannot be restored.
    """
    try:
        yield
    except (PoiseError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a damaged state makes of Lightning, an optimizer or a network
        if state is None or begun():
            raise
        raise CheckpointError(
            f"{state} cannot be restored ({type(error).__name__}: {first_line(error)}): it is damaged, or was saved by another "
            f"version; {ANEW}"
        ) from error


@contextmanager
def explain_step_errors(plan: RunPlan) -> Iterator[None]:
    """Turn torch's errors in a training step into messages that name the flag to change.

    Raises:
        TrainingError: Out of memory.
        InputError: The batch and its views are so small that a batch norm has one value per channel.
    """
    try:
        yield
    except RuntimeError as error:
        short = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not short:
            raise
        half = max(1, plan.batch // 2)
        raise TrainingError(
            f"the memory of {plan.device} does not suffice for batches of {plan.batch}; --batch {half} --accumulate "
            f"{2 * plan.accumulate} trains the same with half of it"
        ) from error
    except ValueError as error:
        if not str(error).startswith(ONE_VALUE):
            raise
        each = f" on each of {plan.world} processes" if plan.world > 1 else ""
        raise InputError(
            f"a norm of the network learns from two values of each channel or more, and found one in a batch of {plan.share}"
            f"{each}: such small views need larger batches; give --batch {2 * plan.batch} or more, or larger views"
        ) from error
