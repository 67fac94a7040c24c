"""`RunPlan`: batch, learning rate, device and limits of one run, from recipe, flags and machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from poise.errors import InputError
from poise.machine import cores
from poise.models.device import Precision, choose_device, choose_precision
from poise.training.optim import scaled_rate
from poise.training.recipe import Recipe


@final
@dataclass(frozen=True)
class Budget:
    """Folder, seed and limits of a run.

    Attributes:
        folder: Folder of the run.
        resume: Whether to resume the run in the folder.
        seed: Seed of all random numbers.
        start: Model file to start from, or None.
        minutes: Most minutes of training; None for no limit.
        steps: Most optimizer steps; None for no limit.
        whole: Folder of the run of which this is a stage, or None.
        backbone: File of others with weights for the backbone, or None.
    """

    folder: Path
    resume: bool
    seed: int
    start: Path | None
    minutes: float | None
    steps: int | None
    whole: Path | None = None
    backbone: Path | None = None


@final
@dataclass(frozen=True)
class Hardware:
    """Device, batch and processes of a run; None where recipe or machine decide.

    Attributes:
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        workers: Data loader processes; by default one less than there are cores.
        batch: People per step, over all devices; by default the recipe's.
        accumulate: Batches whose gradients are accumulated per optimizer step.
        devices: Processes or GPUs on each machine.
        nodes: Number of machines.
        strategy: Lightning's name of the strategy for several processes.
        save_minutes: Minutes between two checkpoints.
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
class RunPlan:
    """Batch, learning rate, device and limits of one run.

    Attributes:
        seed: Seed of all random numbers.
        batch: People, or whole images, per step over all processes.
        accumulate: Batches whose gradients are accumulated per optimizer step.
        rate: Full learning rate, scaled with the batch.
        world: Number of processes.
        rank: Rank of this process.
        workers: Data loader processes of each process.
        device: Device of the model.
        precision: "fp32" or "bf16".
        budget: Most seconds of training, or None.
        steps: Most optimizer steps, or None.
        save_every: Seconds between two checkpoints.
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
        minimum_one = {"batch": self.batch, "accumulate": self.accumulate, "devices x nodes": self.world}
        wrong = [f"{name} {value}" for name, value in minimum_one.items() if value < 1]
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


def run_plan(recipe: Recipe, budget: Budget, hardware: Hardware) -> RunPlan:
    """The plan of a run.

    Args:
        recipe: The recipe.
        budget: Folder, seed and limits.
        hardware: Device, batch and processes.

    Raises:
        InputError: Numbers that a run cannot have, or no such device or precision here.
    """
    device = choose_device(hardware.device)
    batch = recipe.batch if hardware.batch is None else hardware.batch
    world = hardware.devices * hardware.nodes
    rank = rank_of_process()
    check_rank(rank, max(1, world))  # `RunPlan` refuses a world of 0
    return RunPlan(
        seed=budget.seed,
        batch=batch,
        accumulate=hardware.accumulate,
        rate=rate_of(recipe, batch=batch, accumulate=hardware.accumulate)[0],
        world=world,
        rank=rank,
        workers=_workers(world) if hardware.workers is None else hardware.workers,
        device=device,
        precision=choose_precision(hardware.precision, device),
        budget=None if budget.minutes is None else 60 * budget.minutes,
        steps=budget.steps,
        save_every=60 * hardware.save_minutes,
    )


def _workers(world: int) -> int:
    """Default number of data loader processes: one less than the cores of each process, from one to eight.

    One worker reads and crops 300 people a second from images of 200 pixels; two cores train our small networks on 50 to 100.
    """
    available = cores()
    return max(1, min(8, available // max(1, world) - 1))  # `RunPlan` refuses a world of 0


def rank_of_process() -> int:
    """Rank of this process, from the environment of Lightning's launcher, torchrun or SLURM.

    Raises:
        InputError: The rank is no whole number, 0 or more, or no launcher has set it.
    """
    name = next((name for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), None)
    if name is None:
        return 0
    text = os.environ[name]
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"the environment says {name}={text!r}, and a rank is a whole number, 0 or more; unset {name}")
    if name == "RANK" and int(text) and "TORCHELASTIC_RUN_ID" not in os.environ:
        raise InputError(
            f"the environment says RANK={text}, as torchrun sets it, and this process was not started by torchrun; unset RANK"
        )
    return int(text)


def check_rank(rank: int, world: int) -> None:
    """Refuse a process that is not one of the run, for it would train and write nothing.

    Raises:
        InputError: The rank is not below the number of processes.
    """
    if rank >= world:
        raise InputError(
            f"the environment says that this is process {rank} of a run of {world}, counted from 0; unset RANK, LOCAL_RANK and "
            "SLURM_PROCID, or say with --devices and --nodes how many there are"
        )


def rate_of(recipe: Recipe, *, batch: int, accumulate: int) -> tuple[float, str]:
    """The learning rate for a batch, and a sentence that explains it."""
    base = recipe.base_batch or recipe.batch
    together = batch * accumulate
    rate = scaled_rate(recipe.optimizer, batch=together, base_batch=base)
    if together == base:
        return rate, f"learning rate {rate:.3g}, as the recipe says for batches of {base}"
    return rate, f"learning rate {recipe.optimizer.rate:.3g} x {together}/{base} = {rate:.3g}: linear in the batch"
