"""Train a recipe: `fit(recipe, out=folder)`."""

from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file

from poise.training.budget import Budget, RunResult
from poise.training.callbacks import Bar, Checkpointer, Interrupted, MetricsLog
from poise.training.checkpoint import check_same, check_state
from poise.training.checks import check_best, check_free, check_left, check_readable, make_folder, mendable
from poise.training.clock import Clock
from poise.training.data import plainly
from poise.training.logging import settings_of, tell, tell_resumed
from poise.training.module import Module
from poise.training.previews import Previews
from poise.training.recipe import Recipe
from poise.training.run_plan import Hardware, rank_of_process, run_plan
from poise.training.signals import Interrupts
from poise.training.stages import fit_stages, refuse_stages
from poise.training.trainer import quiet, trainer
from poise.weights import model_file
from poise.weights.transfer import transfer


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
        InputError: Flags that do not fit together, batches too small to learn from, or a model that its file could not bring
            back (`weights.model_file.check_kept`).
        WriteError: The folder holds another run, or cannot be written.
        CheckpointError: The state to go on from, or the model to start from, cannot be used.
        TrainingError: The loss is not finite, or the memory does not suffice.
        KeyboardInterrupt: Somebody stopped the run; its state is saved.
    """
    model_file.check_kept(recipe.model)
    console = (console or Console()) if rank_of_process() == 0 else Console(quiet=True)
    means = Hardware(
        device=device,
        precision=precision,
        workers=workers,
        batch=batch,
        accumulate=accumulate,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        save_minutes=save_minutes,
    )
    one = partial(_run, means=means, console=console)
    resumed, begin = (None if path is None else Path(path) for path in (resume, start))
    goal = Budget(resumed or Path(out), resumed is not None, seed, begin, minutes, steps)
    if recipe.then:
        return fit_stages(recipe, one, goal, console=console)
    if resumed is not None:
        refuse_stages(resumed)
    return one(recipe, goal)


def _run(recipe: Recipe, goal: Budget, *, means: Hardware, console: Console) -> RunResult:
    folder = goal.folder
    state, stand = check_state(folder) if goal.resume else (None, None)
    plan = run_plan(recipe, goal, means)
    main = plan.rank == 0
    task = recipe.task(recipe.model)
    check_best(recipe, task)
    if stand is not None:
        check_same(stand, recipe.model, folder)
        check_left(plan, stand)
    views = task.train_views(recipe.data, seed=plan.seed)
    val_views = task.val_views(recipe.val, seed=plan.seed) if recipe.val is not None else None
    if state is None and main:
        check_free(folder)
    check_readable(views, val_views)
    carried = transfer(model_file.load(goal.start), recipe.model) if goal.start is not None and state is None else None
    if main:
        make_folder(folder)
    tell(console, recipe, plan, learnt=len(views), checked=None if val_views is None else len(val_views))
    if stand is not None:
        tell_resumed(console, recipe, plan, stand, folder=goal.whole or folder)
    if carried is not None:
        console.print(f"start from {goal.start}: {carried}", highlight=False, soft_wrap=True)
    module = Module(recipe, plan, train=views, val=val_views)
    module.model.to(memory_format=torch.channels_last)
    with Interrupts() as interrupts, quiet(), mendable(plan), plainly():
        keeper = Checkpointer(folder, interrupts, best=recipe.best)
        journal = MetricsLog(folder, console, settings=settings_of(recipe, plan) if main else {})
        hooks = [Clock(console), journal, keeper, Previews(folder), Bar(console)]
        lightning = trainer(recipe, plan, hooks, means=means)
        try:
            lightning.fit(module, ckpt_path=state, weights_only=True if state else None)
        except (Interrupted, SystemExit) as error:  # Lightning leaves the process when Ctrl-C comes twice
            console.print(f"stopped; go on with --resume {goal.whole or folder}", highlight=False, soft_wrap=True)
            raise KeyboardInterrupt from error
    return _result(module, keeper, journal, console)


def _result(module: Module, keeper: Checkpointer, journal: MetricsLog, console: Console) -> RunResult:
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
