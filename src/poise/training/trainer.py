"""Lightning's trainer with the settings of a run: processes, atomic checkpoints, no tips."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry

from poise.errors import unknown
from poise.training.checkpoint import AtomicIO
from poise.training.recipe import Recipe
from poise.training.run_plan import Hardware, RunPlan

IGNORED_WARNINGS = (
    r"The '\w+_dataloader' does not have many workers",  # `Clock` measures the loader
    r"Found \d+ module\(s\) in eval mode",  # the average of the weights, a frozen backbone
    r"You're resuming from a checkpoint that ended before the epoch ended",  # our order of batches can do that
    r"GPU available but not used",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"Total length of `(DataLoader|CombinedLoader)` across ranks is zero",  # few validation views
)
"""Warnings of Lightning that do not apply here."""


def trainer(
    recipe: Recipe, plan: RunPlan, callbacks: Sequence[Callback], *, hardware: Hardware, loggers: Sequence[Logger] = ()
) -> Trainer:
    """A trainer whose logs, checkpoints, pictures and progress bar are callbacks of poise; `Previews` feeds the loggers."""
    accelerator = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[plan.device.type]
    one = plan.device.index is not None and hardware.devices == 1
    return Trainer(
        accelerator=accelerator,
        devices=[plan.device.index] if one else hardware.devices,
        num_nodes=hardware.nodes,
        strategy=_strategy(recipe, plan, hardware.strategy),
        precision="bf16-mixed" if plan.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        accumulate_grad_batches=plan.accumulate,
        callbacks=list(callbacks),
        plugins=[AtomicIO()],
        logger=list(loggers),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=None if recipe.val is not None else 0,
        use_distributed_sampler=False,
    )


def _strategy(recipe: Recipe, plan: RunPlan, name: str) -> Any:
    """Lightning's strategy by name; DDP is told whether the model has unused parameters.

    Raises:
        UnknownName: Lightning has no such strategy.
    """
    known = ("auto", *StrategyRegistry.available_strategies())
    if name not in known:
        raise unknown("strategy", name, known)
    if plan.world == 1 or name not in ("auto", "ddp"):
        return name
    return DDPStrategy(find_unused_parameters=has_unused_parameters(recipe))


def has_unused_parameters(recipe: Recipe) -> bool:
    """Whether some weights of the model get no gradient (HRNet computes branches that are not used)."""
    spare = copy.deepcopy(recipe.model).train()
    task = recipe.task(spare)
    views = torch.zeros(2, 3, *task.train_size(recipe.data))
    torch.autograd.backward([output.sum() for output in task.raw(views)])
    return any(p.grad is None for p in spare.parameters())


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and the `IGNORED_WARNINGS`."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(n) for n in names]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)
