"""What a run says of itself: on the screen when it begins, and in its `settings.json`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from poise.codecs.decoders import described
from poise.training.provenance import provenance
from poise.training.recipe import Recipe
from poise.training.run_plan import Plan, rate_of
from poise.training.summary import summary


def tell(console: Console, recipe: Recipe, plan: Plan, *, learnt: int, checked: int | None) -> None:
    """Say what is trained, on how much, with what.

    Args:
        console: Where to.
        recipe: What is trained.
        plan: How.
        learnt: Views to learn from.
        checked: Views to check on; None where nothing is checked.
    """
    task = recipe.task(recipe.model)
    console.print(summary(recipe.model, task.train_size(recipe.data)))
    checking = "nothing to check on" if checked is None else f"{checked} {task.unit[1]} to check on, with {task.val_boxes}"
    console.print(
        f"{recipe.name}: {recipe.model.card.name} on {plan.device} in {plan.precision}; "
        f"{learnt} {task.unit[1]} to learn from, {checking}; {plan.workers} workers\n"
        f"batch {plan.batch} x {plan.accumulate}; {_rate(recipe, plan)}",
        highlight=False,
        soft_wrap=True,
    )
    tell_expected(console, recipe)


def tell_expected(console: Console, recipe: Recipe) -> None:
    """Say which scores the recipe should reach, where that is known."""
    if recipe.expected:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in recipe.expected.items())
        notes = f" ({recipe.notes})" if recipe.notes else ""
        console.print(f"expected: {scores}{notes}", highlight=False, soft_wrap=True)


def tell_resumed(console: Console, recipe: Recipe, plan: Plan, stand: Mapping[str, Any], *, folder: Path) -> None:
    """Say that a run is finished, or that it goes on at another rate.

    Args:
        console: Where to.
        recipe: What is trained.
        plan: How it goes on.
        stand: Where the run stands, by `check_state`.
        folder: Of the whole run.
    """
    rate = stand.get("rate", plan.rate)
    if stand["epoch"] >= recipe.epochs:
        console.print(
            f"the run is finished, nothing is left to train: {stand['epoch']} of {recipe.epochs} epochs are done; "
            f"--resume {folder} with more --epochs goes on",
            highlight=False,
            soft_wrap=True,
        )
    elif rate != plan.rate:
        console.print(
            f"the learning rate was {rate:.3g} so far and is {plan.rate:.3g} from here on: the recipe's, or its flags, changed",
            highlight=False,
            soft_wrap=True,
        )


def settings_of(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """What `settings.json` keeps of a run, as plain values."""
    return {
        "recipe": recipe.name,
        "settings": recipe.settings,
        "expected": dict(recipe.expected),
        "notes": recipe.notes,
        "decoder": described(recipe.model.codec),
        "plan": asdict(plan),
        "learning_rate": _rate(recipe, plan),
        "optimizer": asdict(recipe.optimizer),
        "schedule": asdict(recipe.schedule),
        "augmentation": asdict(recipe.augmentation) if recipe.augmentation else None,
        "epochs": recipe.epochs,
        "average": recipe.average,
        "clip": recipe.clip,
        "freeze_epochs": recipe.freeze_epochs,
        "still": recipe.still,
        "empty": recipe.empty,
        "validation": recipe.task(recipe.model).val_boxes,
    } | provenance(recipe, plan)


def _rate(recipe: Recipe, plan: Plan) -> str:
    return rate_of(recipe, batch=plan.batch, accumulate=plan.accumulate)[1]
