"""How one run trains a recipe: the numbers that follow from recipe, flags and machine."""

import os
from dataclasses import dataclass
from typing import final

import torch

from poise.errors import InputError
from poise.machine import cores
from poise.models.device import Precision, choose_device, choose_precision
from poise.training.budget import Budget
from poise.training.optim import scaled_rate
from poise.training.recipe import Recipe


@final
@dataclass(frozen=True)
class Hardware:
    """With what a run is to be trained; None where recipe or machine decide.

    Attributes:
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        workers: Processes that cut views; by default one less than there are cores.
        batch: People per step, over all devices; by default the recipe's.
        accumulate: Steps whose gradients are added up before the weights move.
        devices: Processes or GPUs on each machine.
        nodes: Machines.
        strategy: Lightning's name for how they work together.
        save_minutes: Time between two saved states.
    """

    device: str | None
    precision: str | None
    workers: int | None
    batch: int | None
    accumulate: int
    devices: int
    nodes: int
    strategy: str
    save_minutes: float


@final
@dataclass(frozen=True)
class Plan:
    """Numbers of one run.

    Attributes:
        seed: Of all chances.
        batch: People per step over all processes.
        accumulate: Steps whose gradients are added up before the weights move.
        rate: Full learning rate, scaled with the batch.
        world: Processes.
        rank: Which of them this is.
        workers: Processes that cut views, per process.
        device: What computes.
        precision: In which numbers.
        budget: Seconds the run may take, or None.
        steps: Most optimizer steps, or None.
        save_every: Seconds between two saved states.
    """

    seed: int
    batch: int
    accumulate: int
    rate: float
    world: int
    rank: int
    workers: int
    device: torch.device
    precision: Precision
    budget: float | None
    steps: int | None
    save_every: float

    @property
    def share(self) -> int:
        """People per step of one process."""
        return self.batch // self.world

    def __post_init__(self) -> None:
        """Check the ranges, and that the batch can be shared."""
        least = {"batch": self.batch, "accumulate": self.accumulate, "devices x nodes": self.world}
        wrong = [f"{name} {value}" for name, value in least.items() if value < 1]
        wrong += [f"workers {self.workers}"] if self.workers < 0 else []
        wrong += [f"minutes {self.budget / 60:g}"] if self.budget is not None and not self.budget > 0 else []
        wrong += [f"steps {self.steps}"] if self.steps is not None and self.steps < 1 else []
        wrong += [] if self.save_every >= 0 else [f"save-minutes {self.save_every / 60:g}"]
        if wrong:
            raise InputError(
                f"a run cannot be trained with {', '.join(wrong)}; these must be above 0 (workers, save-minutes: or 0)"
            )
        if self.batch % self.world:
            raise InputError(
                f"a batch of {self.batch} cannot be shared by {self.world} processes; use a batch that is a multiple of their "
                "number"
            )


def run_plan(recipe: Recipe, goal: Budget, means: Hardware) -> Plan:
    """The numbers of a run.

    Args:
        recipe: What is trained.
        goal: How far.
        means: With what.

    Raises:
        InputError: Numbers that a run cannot have, or no such device or precision here.
    """
    place = choose_device(means.device)
    batch = recipe.batch if means.batch is None else means.batch
    world = means.devices * means.nodes
    return Plan(
        seed=goal.seed,
        batch=batch,
        accumulate=means.accumulate,
        rate=rate_of(recipe, batch=batch, accumulate=means.accumulate)[0],
        world=world,
        rank=rank_of_process(),
        workers=_workers(world) if means.workers is None else means.workers,
        device=place,
        precision=choose_precision(means.precision, place),
        budget=None if goal.minutes is None else 60 * goal.minutes,
        steps=goal.steps,
        save_every=60 * means.save_minutes,
    )


def _workers(world: int) -> int:
    """Processes that cut views, where nobody says: a core less than there are for each process, from one to eight.

    One worker reads and cuts 300 people a second from images of 200 pixels; two cores train our small networks on 50 to 100.
    """
    there = cores()
    return max(1, min(8, there // max(1, world) - 1))  # a world of none is refused with the rest of the plan


def rank_of_process() -> int:
    """Which process this is, as Lightning's launcher, torchrun or SLURM says it."""
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name])
    return int(os.environ.get("LOCAL_RANK", 0))


def rate_of(recipe: Recipe, *, batch: int, accumulate: int) -> tuple[float, str]:
    """The learning rate for a batch, and the sentence that says how it came about."""
    base = recipe.base_batch or recipe.batch
    together = batch * accumulate
    rate = scaled_rate(recipe.optimizer, batch=together, base_batch=base)
    if together == base:
        return rate, f"learning rate {rate:.3g}, as the recipe says for batches of {base}"
    return rate, f"learning rate {recipe.optimizer.rate:.3g} x {together}/{base} = {rate:.3g}: linear in the batch"
