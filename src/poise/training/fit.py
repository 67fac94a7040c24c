"""Train a recipe: `fit(recipe, out=folder)`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file

from poise.codecs.decoders import described
from poise.errors import InputError, TrainingError, WriteError, unknown
from poise.machine import cores
from poise.models.device import choose_device, choose_precision
from poise.training.boards import Boards
from poise.training.callbacks import Bar, Interrupted, Journal, Keeper
from poise.training.checkpoint import check_same, check_state
from poise.training.clock import Clock
from poise.training.data import Views, plainly
from poise.training.module import Module
from poise.training.plan import Plan, rate_of
from poise.training.provenance import provenance
from poise.training.recipe import Recipe
from poise.training.result import Goal, RunResult
from poise.training.signals import Interrupts
from poise.training.stages import fit_stages, refuse_stages
from poise.training.summary import summary
from poise.training.tasks import AnyTask, task_of
from poise.training.trainer import quiet, rank_of_process, trainer
from poise.zoo import file as model_file
from poise.zoo.carry import carry


def fit(
    recipe: Recipe,
    *,
    out: Path | str,
    seed: int = 0,
    device: str | None = None,
    precision: str | None = None,
    workers: int | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    resume: Path | str | None = None,
    start: Path | str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    save_minutes: float = 5.0,
    console: Console | None = None,
) -> RunResult:
    """Train a recipe and keep its best model.

    The folder `out` receives `settings.json`, `metrics.csv`, `model.safetensors` (the best so far), `checkpoints/last.ckpt`,
    `pictures/` and `tensorboard/`. Validation uses ground-truth boxes, or whole images where the model finds people by
    itself, without the flip test. A recipe of several stages leaves such a folder for each (`training.stages`).

    Args:
        recipe: What to train.
        out: Folder of the run.
        seed: Of all chances. The same seed gives the same run, whatever the number of workers.
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        workers: Processes that cut views; by default one less than there are cores.
        batch: People per step, over all devices; by default the recipe's. The learning rate follows it linearly.
        accumulate: Steps whose gradients are added up before the weights move.
        devices: Processes or GPUs on each machine.
        nodes: Machines.
        strategy: Lightning's name for how they work together.
        resume: Folder of a run to go on with, also from the middle of an epoch; its result is that of a run never interrupted.
        start: Model file to start from, also one of another skeleton.
        minutes: Stop, validate and keep the result after so many minutes of training; stages share them by their epochs.
        steps: The same after so many optimizer steps; they too are shared.
        save_minutes: Time between two saved states.
        console: Where to tell what happens.

    Raises:
        InputError: Flags that do not fit together.
        WriteError: The folder holds another run, or cannot be written.
        CheckpointError: The state to go on from, or the model to start from, cannot be used.
        TrainingError: The loss is not finite, or the memory does not suffice.
        KeyboardInterrupt: Somebody stopped the run; its state is saved.
    """
    console = (console or Console()) if rank_of_process() == 0 else Console(quiet=True)
    one = partial(
        _run,
        device=device,
        precision=precision,
        workers=workers,
        batch=batch,
        accumulate=accumulate,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        save_minutes=save_minutes,
        console=console,
    )
    resumed, begin = (None if path is None else Path(path) for path in (resume, start))
    goal = Goal(resumed or Path(out), resumed is not None, seed, begin, minutes, steps)
    if recipe.then:
        return fit_stages(recipe, one, goal, console=console)
    if resumed is not None:
        refuse_stages(resumed)
    return one(recipe, goal)


def _run(
    recipe: Recipe,
    goal: Goal,
    *,
    device: str | None,
    precision: str | None,
    workers: int | None,
    batch: int | None,
    accumulate: int,
    devices: int,
    nodes: int,
    strategy: str,
    save_minutes: float,
    console: Console,
) -> RunResult:
    folder = goal.folder
    state, stand = check_state(folder) if goal.resume else (None, None)
    budget = (goal.minutes, goal.steps, save_minutes)
    plan = _plan(recipe, goal.seed, device, precision, workers, batch, accumulate, devices * nodes, *budget)
    _, sentence = rate_of(recipe, batch=plan.batch, accumulate=accumulate)
    task = task_of(recipe.model)
    _check_best(recipe, task)
    if stand is not None:
        check_same(stand, recipe.model, folder)
        _check_left(plan, stand)
    views = task.train_views(recipe, seed=plan.seed)
    val_views = task.val_views(recipe.val, seed=plan.seed) if recipe.val is not None else None
    _check_free(folder, new=state is None and plan.rank == 0)
    _check_readable(views, val_views)
    carried = carry(model_file.load(goal.start), recipe.model) if goal.start is not None and state is None else None
    if plan.rank == 0:
        _make(folder)
    _tell(console, recipe, plan, task, (len(views), None if val_views is None else len(val_views)), sentence)
    if stand is not None:
        _tell_resumed(console, recipe, plan, stand, goal.whole or folder)
    if carried is not None:
        console.print(f"start from {goal.start}: {carried}", highlight=False, soft_wrap=True)
    module = Module(recipe, plan, train=views, val=val_views)
    module.model.to(memory_format=torch.channels_last)
    with Interrupts() as interrupts, quiet(), _out_of_memory(plan), plainly():
        keeper = Keeper(folder, interrupts, best=recipe.best)
        journal = Journal(folder, console, settings=_settings(recipe, plan, sentence) if plan.rank == 0 else {})
        hooks = [Clock(console), journal, keeper, Boards(folder), Bar(console)]
        lightning = trainer(recipe, plan, hooks, devices=devices, nodes=nodes, strategy=strategy)
        try:
            lightning.fit(module, ckpt_path=state, weights_only=True if state else None)
        except (Interrupted, SystemExit) as error:  # Lightning leaves the process when Ctrl-C comes twice
            console.print(f"stopped; go on with --resume {goal.whole or folder}", highlight=False, soft_wrap=True)
            raise KeyboardInterrupt from error
    return _result(module, keeper, journal, console)


def _plan(
    recipe: Recipe,
    seed: int,
    device: str | None,
    precision: str | None,
    workers: int | None,
    batch: int | None,
    accumulate: int,
    world: int,
    minutes: float | None,
    steps: int | None,
    save_minutes: float,
) -> Plan:
    place = choose_device(device)
    together = recipe.batch if batch is None else batch
    rate, _ = rate_of(recipe, batch=together, accumulate=accumulate)
    return Plan(
        seed=seed,
        batch=together,
        accumulate=accumulate,
        rate=rate,
        world=world,
        rank=rank_of_process(),
        workers=_workers(world) if workers is None else workers,
        device=place,
        precision=choose_precision(precision, place),
        budget=None if minutes is None else 60 * minutes,
        steps=steps,
        save_every=60 * save_minutes,
    )


def _workers(world: int) -> int:
    """Processes that cut views, where nobody says: a core less than there are for each process, from one to eight.

    One worker reads and cuts 300 people a second from images of 200 pixels; two cores train our small networks on 50 to 100.
    """
    there = cores()
    return max(1, min(8, there // max(1, world) - 1))  # a world of none is refused with the rest of the plan


def _check_best(recipe: Recipe, task: AnyTask) -> None:
    """Refuse a run whose best model would never be known."""
    if recipe.val is not None and recipe.best not in task.scores:
        raise unknown(f"score of {task.checked} (recipe {recipe.name!r}, best)", recipe.best, task.scores)


def _check_readable(*each: Views[Any, Any] | None) -> None:
    """Refuse a wrong folder of images before anything is written."""
    for views in each:
        if views is not None:
            views[(0, 0)]


def _check_free(folder: Path, *, new: bool) -> None:
    if new and (folder / "checkpoints" / "last.ckpt").exists():
        raise WriteError(f"{folder} already holds a run; go on with --resume {folder}, or give another --out")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


def _settings(recipe: Recipe, plan: Plan, sentence: str) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "settings": recipe.settings,
        "decoder": described(recipe.model.codec),
        "plan": asdict(plan),
        "learning_rate": sentence,
        "optimizer": asdict(recipe.optimizer),
        "schedule": asdict(recipe.schedule),
        "augmentation": asdict(recipe.augmentation) if recipe.augmentation else None,
        "epochs": recipe.epochs,
        "average": recipe.average,
        "clip": recipe.clip,
        "freeze_epochs": recipe.freeze_epochs,
        "still": recipe.still,
        "empty": recipe.empty,
        "validation": task_of(recipe.model).checked,
    } | provenance(recipe, plan)


def _check_left(plan: Plan, stand: Mapping[str, Any]) -> None:
    """Refuse to go on where the time of a run, or its steps, are over."""
    if plan.budget is not None and stand["elapsed"] >= plan.budget:
        done, more = f"{stand['elapsed'] / 60:.3g} of its {plan.budget / 60:.3g} minutes", "--minutes"
    elif plan.steps is not None and stand.get("steps", 0) >= plan.steps:
        done, more = f"{stand['steps']} of its {plan.steps} steps", "--steps"
    else:
        return
    raise InputError(f"the run has trained {done}; --resume with more {more} goes on")


def _tell_resumed(console: Console, recipe: Recipe, plan: Plan, stand: Mapping[str, Any], folder: Path) -> None:
    """Say that a run is finished, or that it goes on at another rate."""
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


def _tell(console: Console, recipe: Recipe, plan: Plan, task: AnyTask, counts: tuple[int, int | None], sentence: str) -> None:
    console.print(summary(recipe.model, task.size(recipe)))
    learnt, checked_on = counts
    checked = "nothing to check on" if checked_on is None else f"{checked_on} {task.unit} to check on, with {task.checked}"
    console.print(
        f"{recipe.name}: {recipe.model.card.name} on {plan.device} in {plan.precision}; "
        f"{learnt} {task.unit} to learn from, {checked}; {plan.workers} workers\n"
        f"batch {plan.batch} x {plan.accumulate}; {sentence}",
        highlight=False,
        soft_wrap=True,
    )


def _result(module: Module, keeper: Keeper, journal: Journal, console: Console) -> RunResult:
    for message in module.unreadable:
        console.print(f"skipped: {message}", highlight=False, soft_wrap=True)
    if module.unreadable:
        console.print(
            f"{len(module.unreadable)} images could not be read; others took their place", highlight=False, soft_wrap=True
        )
    model = module.best_model.cpu()
    if keeper.model_file.exists():  # the weights alone: a network of the user's own is not in the zoo
        model.network.load_state_dict(load_file(keeper.model_file))
    return RunResult(model.eval(), dict(keeper.best_scores), keeper.folder, keeper.model_file, journal.rows)


@contextmanager
def _out_of_memory(plan: Plan) -> Iterator[None]:
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
