"""How one run trains a recipe: the numbers that follow from recipe, flags and machine."""

from dataclasses import dataclass
from typing import final

import torch

from poise.errors import InputError
from poise.models.device import Precision
from poise.training.optim import scaled_rate
from poise.training.recipe import Recipe


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


def rate_of(recipe: Recipe, *, batch: int, accumulate: int) -> tuple[float, str]:
    """The learning rate for a batch, and the sentence that says how it came about."""
    base = recipe.base_batch or recipe.batch
    together = batch * accumulate
    rate = scaled_rate(recipe.optimizer, batch=together, base_batch=base)
    if together == base:
        return rate, f"learning rate {rate:.3g}, as the recipe says for batches of {base}"
    return rate, f"learning rate {recipe.optimizer.rate:.3g} x {together}/{base} = {rate:.3g}: linear in the batch"
