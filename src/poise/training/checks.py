"""What is refused before a run begins, and what torch cannot do while it trains, each in a sentence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from poise.errors import InputError, TrainingError, WriteError, unknown
from poise.models.views.base import ViewDataset
from poise.training.recipe import Recipe
from poise.training.run_plan import Plan
from poise.training.task import Task

ONE_VALUE = "Expected more than 1 value per channel when training"
"""How torch begins where a norm has nothing to take a mean of."""


def check_best(recipe: Recipe, task: Task) -> None:
    """Refuse a run whose best model would never be known.

    Raises:
        UnknownName: No validation of the task gives the recipe's score.
    """
    if recipe.val is not None and recipe.best not in task.val_scores:
        raise unknown(f"score of {task.val_boxes} (recipe {recipe.name!r}, best)", recipe.best, task.val_scores)


def check_readable(*each: ViewDataset[Any, Any] | None) -> None:
    """Refuse a wrong folder of images before anything is written.

    Raises:
        ImageError: None of the first images can be read.
    """
    for views in each:
        if views is not None:
            views[(0, 0)]


def check_left(plan: Plan, stand: Mapping[str, Any]) -> None:
    """Refuse to go on where the time of a run, or its steps, are over.

    Args:
        plan: Of what is to go on.
        stand: Where the run stands, by `check_state`.

    Raises:
        InputError: Nothing is left.
    """
    if plan.budget is not None and stand["elapsed"] >= plan.budget:
        done, more = f"{stand['elapsed'] / 60:.3g} of its {plan.budget / 60:.3g} minutes", "--minutes"
    elif plan.steps is not None and stand.get("steps", 0) >= plan.steps:
        done, more = f"{stand['steps']} of its {plan.steps} steps", "--steps"
    else:
        return
    raise InputError(f"the run has trained {done}; --resume with more {more} goes on")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds a run already.

    Raises:
        WriteError: It does.
    """
    if (folder / "checkpoints" / "last.ckpt").exists():
        raise WriteError(f"{folder} already holds a run; go on with --resume {folder}, or give another --out")


def make_folder(folder: Path) -> None:
    """Make the folder of a run, and those above it.

    Raises:
        WriteError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


@contextmanager
def mendable(plan: Plan) -> Iterator[None]:
    """Say which flag to change where torch cannot take a step.

    Raises:
        TrainingError: The memory does not suffice.
        InputError: So few views, and so small ones, that a norm of the network has one value of each channel.
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
