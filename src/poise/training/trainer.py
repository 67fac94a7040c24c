"""Lightning's trainer, as a run needs it: which processes, atomic states, no tips."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry

from poise.errors import unknown
from poise.training.checkpoint import AtomicIO
from poise.training.recipe import Recipe
from poise.training.run_plan import Hardware, Plan

KNOWN = (
    r"The '\w+_dataloader' does not have many workers",  # we measure the loader and say so ourselves
    r"Found \d+ module\(s\) in eval mode",  # the average of the weights, a frozen backbone
    r"You're resuming from a checkpoint that ended before the epoch ended",  # our order of batches can do that
    r"GPU available but not used",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"Total length of `(DataLoader|CombinedLoader)` across ranks is zero",  # few people to check on
)
"""What Lightning warns of, wrongly here."""


def trainer(recipe: Recipe, plan: Plan, callbacks: Sequence[Callback], *, means: Hardware) -> Trainer:
    """A trainer that only trains: logs, states, pictures and bars are the callbacks' own."""
    accelerator = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[plan.device.type]
    one = plan.device.index is not None and means.devices == 1
    return Trainer(
        accelerator=accelerator,
        devices=[plan.device.index] if one else means.devices,
        num_nodes=means.nodes,
        strategy=_strategy(recipe, plan, means.strategy),
        precision="bf16-mixed" if plan.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        accumulate_grad_batches=plan.accumulate,
        callbacks=list(callbacks),
        plugins=[AtomicIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=None if recipe.val is not None else 0,
        use_distributed_sampler=False,
    )


def _strategy(recipe: Recipe, plan: Plan, name: str) -> Any:
    """Lightning's by name; for DDP it is found out whether some weights take no part, which DDP must know.

    Raises:
        UnknownName: Lightning has no such strategy.
    """
    known = ("auto", *StrategyRegistry.available_strategies())
    if name not in known:
        raise unknown("strategy", name, known)
    if plan.world == 1 or name not in ("auto", "ddp"):
        return name
    return DDPStrategy(find_unused_parameters=idle(recipe))


def idle(recipe: Recipe) -> bool:
    """Whether some weights of the model get no gradient (HRNet computes branches that nobody reads)."""
    spare = copy.deepcopy(recipe.model).train()
    task = recipe.task(spare)
    views = torch.zeros(2, 3, *task.train_size(recipe.data))
    torch.autograd.backward([output.sum() for output in task.raw(views)])
    return any(p.grad is None for p in spare.parameters())


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its tips and without the warnings of `KNOWN`."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(n) for n in names]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in KNOWN:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)
