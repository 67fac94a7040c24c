"""The summary that a run prints at its start (data, learning rate), and its `settings.json`."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from poise.codecs.decoders import codec_name
from poise.data.aligned import aligned_part
from poise.data.whole_images import whole_images_text
from poise.dims import Size
from poise.models.base import TrainableModel
from poise.plain import plain
from poise.terminal import say
from poise.training.data import repeats_of
from poise.training.provenance import provenance
from poise.training.recipe import Recipe
from poise.training.run_plan import RunPlan, rate_of
from poise.zoo.cost import measure_network


def print_run(console: Console, recipe: Recipe, plan: RunPlan, *, learnt: int, checked: int | None) -> None:
    """Print what is trained, on how much data, on which device.

    Args:
        console: Terminal to print to.
        recipe: The recipe.
        plan: Plan of the run.
        learnt: Number of training views.
        checked: Number of validation views; None without validation.
    """
    task = recipe.task(recipe.model)
    console.print(summary(recipe.model, task.train_size(recipe.data)))
    checking = "nothing to check on" if checked is None else f"{checked} {task.unit[1]} to check on, with {task.val_boxes}"
    say(
        console,
        f"{recipe.name}: {recipe.model.card.name} on {plan.device} in {plan.precision}; "
        f"{learnt} {task.unit[1]} to learn from, {checking}; {plan.workers} workers\n"
        f"batch {plan.batch} x {plan.accumulate}; {_rate(recipe, plan)}",
    )
    repeats = repeats_of(recipe.repeats, count=learnt, batch=plan.batch)
    if repeats > 1:
        say(console, f"{learnt} {task.unit[1]} are few: an epoch goes through them {repeats} times")
    if (aligned := aligned_part(recipe.train)) is not None:
        say(console, aligned.text)
    boxed = recipe.name == "finetune" and recipe.model.takes_boxes and not recipe.model.card.whole_image
    if boxed and (text := whole_images_text(recipe.train)) is not None:
        say(console, text)
    if mirrors_views(recipe) and recipe.model.skeleton is not None:
        say(console, recipe.model.skeleton.mirror_text)
    print_expected(console, recipe)


def mirrors_views(recipe: Recipe) -> bool:
    """Whether the augmentation of a recipe mirrors views, where mirror pairs are known."""
    views = recipe.augmentation
    return bool(getattr(views, "flip", 0)) or "flip" in getattr(views, "repeat", ())


def print_expected(console: Console, recipe: Recipe) -> None:
    """Print the expected scores of the recipe, where they are known, and what differs from it."""
    if recipe.differs:
        say(console, recipe.differs)
    if recipe.expected:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in recipe.expected.items())
        notes = f" ({recipe.notes})" if recipe.notes else ""
        say(console, f"expected: {scores}{notes}")


def print_resumed(console: Console, recipe: Recipe, plan: RunPlan, progress: Mapping[str, Any], *, folder: Path) -> None:
    """Print that a resumed run is finished, or that its learning rate has changed.

    Args:
        console: Terminal to print to.
        recipe: The recipe.
        plan: Plan of the resumed run.
        progress: Progress of the run (`check_state`).
        folder: Folder of the whole run.
    """
    rate = progress.get("rate", plan.rate)
    if progress["epoch"] >= recipe.epochs:
        say(
            console,
            f"the run is finished, nothing is left to train: {progress['epoch']} of {recipe.epochs} epochs are done; "
            f"--resume {folder} with more --epochs goes on",
        )
    elif rate != plan.rate:
        say(
            console,
            f"the learning rate was {rate:.3g} so far and is {plan.rate:.3g} from here on: the recipe's, or its flags, changed",
        )


def settings_of(recipe: Recipe, plan: RunPlan, data: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `settings.json`, as plain values; `data` are the checksums of the data."""
    return {
        "recipe": recipe.name,
        "settings": recipe.settings,
        "expected": dict(recipe.expected),
        "notes": recipe.notes,
        "differs": recipe.differs,
        "decoder": recipe.model.codec_text().get("decoder", "none"),
        "plan": asdict(plan),
        "learning_rate": _rate(recipe, plan),
        "optimizer": asdict(recipe.optimizer),
        "schedule": asdict(recipe.schedule),
        "augmentation": asdict(recipe.augmentation) if recipe.augmentation else None,
        "last": asdict(recipe.last) if recipe.last else None,
        "epochs": recipe.epochs,
        "average": recipe.average,
        "clip": recipe.clip,
        "freeze_epochs": recipe.freeze_epochs,
        "still": recipe.still,
        "empty": recipe.empty,
        "repeats": recipe.repeats,
        "validation": recipe.task(recipe.model).val_boxes,
    } | provenance(recipe, plan, data)


def hparams_of(recipe: Recipe, plan: RunPlan) -> dict[str, str | int | float | bool]:
    """The hyperparameters of a run for loggers: one level, numbers and text."""
    values = {
        "recipe": recipe.name,
        "model": recipe.model.card.name,
        "codec": recipe.model.codec_text().get("decoder", "none"),
        "epochs": recipe.epochs,
        "batch": plan.batch * plan.accumulate,
        "rate": plan.rate,
        "seed": plan.seed,
        "precision": plan.precision,
        "average": recipe.average,
        "clip": recipe.clip,
        "freeze_epochs": recipe.freeze_epochs,
    }
    parts = {"optimizer": recipe.optimizer, "schedule": recipe.schedule, "augmentation": recipe.augmentation}
    for part, value in parts.items():
        values |= {f"{part}/{name}": item for name, item in (asdict(value) if value is not None else {}).items()}
    return {name: value if isinstance(value, str | int | float | bool) else str(value) for name, value in values.items()}


def _rate(recipe: Recipe, plan: RunPlan) -> str:
    return rate_of(recipe, batch=plan.batch, accumulate=plan.accumulate)[1]


def summary(model: TrainableModel, size: Size) -> Table:
    """Table of layers, parameters and multiply-adds: a row per part of the network (two levels), for views of `size` (h, w)."""
    network = copy.deepcopy(model.network).to("meta")  # counts without computing
    cost = measure_network(network, size)
    views, codec = f"views of {size[0]}x{size[1]}", "" if model.codec is None else f", codec {codec_name(model.codec)}"
    table = Table(title=Text(plain(f"{model.card.name}, {views}, {model.output_text}{codec}")))
    for name in ("part", "kind"):
        table.add_column(name)
    for name in ("layers", "parameters", "multiply-adds"):
        table.add_column(name, justify="right")
    for name, part in network.named_children():
        table.add_row(Text(plain(name)), type(part).__name__, *_numbers(part), "")
        for inner, child in part.named_children():
            table.add_row(Text(plain(f"  {inner}")), type(child).__name__, *_numbers(child), "")
    table.add_row("all", type(network).__name__, *_numbers(network), f"{cost.multiply_adds / 1e6:,.0f} M", end_section=True)
    return table


def _numbers(part: nn.Module) -> tuple[str, str]:
    layers = sum(next(m.children(), None) is None for m in part.modules())
    return str(layers), f"{sum(p.numel() for p in part.parameters()):,}"
