"""`fit(recipe, out=folder)` trains a recipe."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from rich.console import Console

from poise import terminal
from poise.errors import CheckpointError, InputError, Stopped
from poise.models.views.base import AnyViews
from poise.terminal import say
from poise.training.box_share import note_box_share
from poise.training.callbacks import Interrupted, Interrupts, ProgressBar
from poise.training.checkpoint import add_layers, check_data, check_same, check_state, load_best
from poise.training.checkpointer import Checkpointer
from poise.training.checks import (
    check_best,
    check_free,
    check_left,
    check_readable,
    check_run_files,
    explain_restore_errors,
    explain_step_errors,
    make_folder,
)
from poise.training.clock import Clock
from poise.training.data import SwitchedViews, passes_of, repeats_of, unwrap_worker_errors
from poise.training.divergence import DivergenceWarnings
from poise.training.logger_names import TENSORBOARD
from poise.training.loggers import check_loggers, make_loggers
from poise.training.logging import hparams_of, print_resumed, print_run, settings_of
from poise.training.metrics_log import MetricsLog
from poise.training.module import Module
from poise.training.network_log import NetworkLog, check_network_log
from poise.training.previews import EVERY, Previews
from poise.training.provenance import checksums
from poise.training.recipe import Recipe
from poise.training.result import RunResult
from poise.training.run_plan import Budget, Hardware, RunPlan, rank_of_process, run_plan
from poise.training.snapshots import SnapshotKeeper, snapshot_epochs
from poise.training.stages import fit_stages, refuse_stages
from poise.training.task import Task
from poise.training.trainer import quiet_lightning, trainer
from poise.weights import model_file
from poise.weights.transfer import Transferred, transfer
from poise.writing import locked
from poise.zoo.backbone_weights import StartedBackbone, start_backbone


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
    backbone_weights: Path | str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    save_minutes: float = 5.0,
    snapshots: int | Sequence[int] | None = None,
    loggers: Sequence[str | Logger] = (TENSORBOARD,),
    log_every: int | None = None,
    graph: bool = False,
    histograms: bool = False,
    callbacks: Sequence[Callback] = (),
    console: Console | None = None,
) -> RunResult:
    """Train a recipe and save its best model.

    The folder `out` receives `settings.json`, `metrics.csv`, `model.safetensors` (the best so far), `checkpoints/last.ckpt`,
    `pictures/` and `tensorboard/`. Validation uses ground-truth boxes, or whole images where the model finds people by
    itself, and no flip test. A recipe of several stages leaves such a folder for each (`training.stages`).

    Args:
        recipe: Recipe to train.
        out: Folder of the run.
        seed: Seed of all random numbers. The same seed gives the same run, whatever the number of workers.
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        workers: Data loader processes; by default one less than there are cores.
        batch: People per step, over all devices; by default the recipe's. The learning rate follows it linearly.
        accumulate: Batches whose gradients are accumulated per optimizer step.
        devices: Processes or GPUs on each machine.
        nodes: Number of machines.
        strategy: Lightning's name of the strategy for several processes.
        resume: Folder of a run to resume, also from the middle of an epoch; the result is that of an uninterrupted run.
        start: Model file with initial weights, also one of another skeleton.
        backbone_weights: File of others with ImageNet weights for the backbone (`zoo.backbone_weights`).
        minutes: Most minutes of training; stages share them in proportion to their epochs. Validation follows.
        steps: Most optimizer steps; stages share them, too.
        save_minutes: Minutes between two checkpoints.
        snapshots: Also keep the model of every so many epochs, or of these epochs (counted from 1), in `snapshots/`.
        loggers: Loggers of Lightning, or names of those to make (`training.loggers`): "tensorboard", "csv", "wandb", "mlflow",
            "comet", or `module:function` of your own, which is called with the folder of the run. They receive losses, scores,
            the score of each keypoint, pictures and hyperparameters; () for none.
        log_every: Steps between two printed lines, on a terminal too, and between two logged losses; by default a line a
            minute where there is no terminal, and a loss every 20 steps.
        graph: Whether TensorBoard also gets the graph of the network.
        histograms: Whether TensorBoard also gets histograms of the weights, after each validation.
        callbacks: Callbacks of Lightning, called after poise's own.
        console: Terminal to print to.

    Raises:
        InputError: Flags that do not fit together, batches too small to learn from, or a model that could not be loaded from
            its file (`weights.model_file.check_kept`).
        WriteError: The folder holds another run, another training writes into it, or it cannot be written.
        UnknownName, MissingExtra: There is no such logger, or its package is not installed.
        CheckpointError: The checkpoint to resume, or the model to start from, cannot be used, or the data have changed.
        TrainingError: The loss is not finite, in training or in every validation, or the memory does not suffice.
        Stopped: The run was interrupted (Ctrl-C, SIGTERM, SIGHUP), a `KeyboardInterrupt`; its checkpoint is saved.
    """
    for stage in (recipe, *recipe.then):
        model_file.check_kept(stage.model)
    check_loggers(loggers)
    check_network_log(loggers, graph=graph, histograms=histograms)
    console = (console or terminal.Console()) if rank_of_process() == 0 else Console(quiet=True)
    hardware = Hardware(
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
    kept = snapshot_epochs(snapshots, epochs=max(stage.epochs for stage in (recipe, *recipe.then)))
    wanted = Wanted(loggers, kept, log_every, graph, histograms, callbacks)
    one = partial(_run, hardware=hardware, console=console, wanted=wanted)
    resumed, begin, body = (None if path is None else Path(path) for path in (resume, start, backbone_weights))
    if begin is not None and body is not None:
        raise InputError("--start begins from a whole model, its backbone too; leave it or --backbone-weights out")
    budget = Budget(resumed or Path(out), resumed is not None, seed, begin, minutes, steps, backbone=body)
    if resumed is not None and not resumed.is_dir():
        raise CheckpointError(f"there is no folder {resumed}; --resume wants the folder of a run")
    with locked(budget.folder, what="another training") if rank_of_process() == 0 else nullcontext():
        if recipe.then:
            return fit_stages(recipe, one, budget, console=console)
        if resumed is not None:
            refuse_stages(resumed)
        return one(recipe, budget)


@final
@dataclass(frozen=True, eq=False)
class Wanted:
    """What a run keeps and tells beside its best model.

    Attributes:
        loggers: Loggers of Lightning, or their names.
        snapshots: Epochs whose models are kept.
        log_every: Steps between two lines and two logged losses; None for the defaults.
        graph: Whether TensorBoard gets the graph of the network.
        histograms: Whether TensorBoard gets histograms of the weights.
        callbacks: Callbacks after poise's own.
    """

    loggers: Sequence[str | Logger]
    snapshots: Collection[int]
    log_every: int | None
    graph: bool
    histograms: bool
    callbacks: Sequence[Callback]

    def __post_init__(self) -> None:
        """Refuse a number of steps that is none."""
        if self.log_every is not None and self.log_every < 1:
            raise InputError(f"lines come every so many steps, 1 or more, not every {self.log_every} (--log-every)")

    def shown(self, console: Console, folder: Path, hparams: Mapping[str, Any], *, begins: bool) -> list[Callback]:
        """The callbacks that show how a run goes, which begins or goes on, and keep its snapshots."""
        return [
            SnapshotKeeper(folder, self.snapshots),
            Previews(folder, hparams, every=self.log_every or EVERY),
            NetworkLog(console, begins=begins, graph=self.graph, histograms=self.histograms),
            ProgressBar(console, steps=self.log_every),
            *self.callbacks,
        ]


def _run(recipe: Recipe, budget: Budget, *, hardware: Hardware, console: Console, wanted: Wanted) -> RunResult:
    folder = budget.folder
    state, progress = check_state(folder) if budget.resume else (None, None)
    plan = run_plan(recipe, budget, hardware)
    main = plan.rank == 0
    if progress is not None:
        add_layers(progress, recipe.model)
    task = recipe.task(recipe.model)
    check_best(recipe, task)
    data = checksums(recipe)
    if progress is not None:
        check_same(progress, recipe.model, folder)
        check_data(progress, data, folder)
        check_left(plan, progress)
    views = _train_views(recipe, task, plan)
    val_views = task.val_views(recipe.val, seed=plan.seed) if recipe.val is not None else None
    if state is None and main:
        check_free(folder)
    check_readable(views, val_views)
    carried = _begin(recipe, budget) if state is None else None
    if main:
        make_folder(folder)
        check_run_files(folder)
    print_run(console, recipe, plan, learnt=len(views), checked=None if val_views is None else len(val_views))
    if progress is not None:
        print_resumed(console, recipe, plan, progress, folder=budget.whole or folder)
    if carried is not None:
        say(console, f"start from {budget.start or budget.backbone}: {carried}")
    note_box_share(recipe)
    module = Module(
        recipe,
        plan,
        train=views,
        val=val_views,
        data=data,
        folder=folder if main else None,
        say=partial(say, console),
    )
    module.model.to(memory_format=torch.channels_last)
    with Interrupts() as interrupts, quiet_lightning(), explain_step_errors(plan), unwrap_worker_errors():
        checkpointer = Checkpointer(folder, interrupts, best=recipe.best)
        metrics_log = MetricsLog(folder, console, settings=settings_of(recipe, plan, data) if main else {})
        shown = wanted.shown(console, folder, hparams_of(recipe, plan), begins=state is None)
        callbacks = [Clock(console), metrics_log, DivergenceWarnings(console), checkpointer, *shown]
        made = make_loggers(wanted.loggers, folder, step=progress.get("steps", 0) if progress else 0)
        lightning = trainer(recipe, plan, callbacks, hardware=hardware, loggers=made)
        try:
            with explain_restore_errors(state, lambda: module.begun):
                lightning.fit(module, ckpt_path=state, weights_only=True if state else None)
        except (Interrupted, SystemExit) as error:  # Lightning exits the process at a second Ctrl-C
            say(console, f"stopped; go on with --resume {budget.whole or folder}")
            raise Stopped(interrupts.number) from error
    return _result(module, checkpointer, metrics_log, console)


def _train_views(recipe: Recipe, task: Task, plan: RunPlan) -> AnyViews[Any, Any]:
    """The training views of all epochs."""
    views = task.train_views(recipe.data, seed=plan.seed)
    if recipe.last is None:
        return views
    later = task.train_views(replace(recipe.data, augmentation=recipe.last.augmentation), seed=plan.seed)
    if len(later) != len(views):
        raise InputError(f"recipe {recipe.name!r}: its last epochs have {len(later)} views, and the others {len(views)}")
    repeats = repeats_of(recipe.repeats, count=len(views), batch=plan.batch)
    passes = passes_of(repeats, count=len(views), batch=plan.batch)
    return SwitchedViews(views, later, begin=recipe.last.begin(recipe.epochs) * passes)


def _begin(recipe: Recipe, budget: Budget) -> Transferred | StartedBackbone | None:
    """Give the model the weights of the model to start from, or its backbone those of a file, if there is one."""
    if budget.backbone is not None:
        return start_backbone(recipe.model, budget.backbone)
    if budget.start is not None:
        return transfer(model_file.load(budget.start), recipe.model, mapping=recipe.mapping)
    if recipe.mapping is not None:
        recipe.mapping.check_used()
    return None


def _result(module: Module, checkpointer: Checkpointer, metrics_log: MetricsLog, console: Console) -> RunResult:
    for message in module.unreadable:
        say(console, f"skipped: {message}")
    if module.unreadable:
        say(console, f"{len(module.unreadable)} images could not be read; others took their place")
    model = module.best_model.cpu()
    checkpointer.check_kept(module)
    if checkpointer.model_file.exists():  # weights only: the network may be the user's own, not one of the zoo
        load_best(model, checkpointer.model_file)
    if module.begun:  # the last line comes when all is done
        say(console, f"the best model: {checkpointer.model_file}")
    return RunResult(
        model.eval(), dict(checkpointer.best_scores), checkpointer.folder, checkpointer.model_file, metrics_log.rows
    )
