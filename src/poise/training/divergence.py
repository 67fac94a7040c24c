"""Warnings of a run that diverges: a part of a loss a hundred times its start, or a validation that is not finite.

The start is that of the first step, and after the warm-up the lower of that and the first step at the full learning rate:
losses that fell while the rate rose, and then come back, are told too. A part that is 0 in a step was not learnt from in it, as
where a task learns from two parts in turn: it neither starts there nor lowers its start.
"""

import math
from collections.abc import Mapping
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from rich.console import Console

from poise.terminal import say
from poise.training.callbacks import RunCallback
from poise.training.module import Module
from poise.training.nan_guard import slower

LARGEST_RISE = 100.0
"""Factor on its start above which a part of the loss is told."""

SMALLEST_SHARE = 0.01
"""Share of the whole loss at the start below which a part of it counts as that share: parts may start at 0."""


@final
class DivergenceWarnings(RunCallback):
    """Tells that a part of the loss is a hundred times its start, once for each, and that a validation is not finite.

    Args:
        console: Terminal to print to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start: dict[str, float] = {}
        self._told: set[str] = set()
        self._warm = False

    def state_dict(self) -> dict[str, Any]:
        """The losses at the start and what was told, for the checkpoint."""
        return {"start": self._start, "told": sorted(self._told), "warm": self._warm}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        self._start, self._told = dict(state_dict["start"]), set(state_dict["told"])
        self._warm = state_dict.get("warm", True)  # states of earlier versions have the start of the first step alone

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Compare the parts of the loss of the step with those of the start."""
        module = self.of(pl_module)
        parts = {name: float(part.detach()) for name, part in module.parts.items()}
        total = sum(parts.values())
        parts = {"": total} if len(parts) < 2 else parts
        learnt = {name: part for name, part in parts.items() if part}
        whole = {"whole": total} if len(learnt) == len(parts) else {}
        parts = {name: part for name, part in learnt.items() if name not in module.task.rising_parts}
        if module.warm and not self._warm:
            self._warm = True
            self._lower_start(parts | whole)
        self._compare(parts, whole=total, what="training loss", module=module)

    def _lower_start(self, parts: Mapping[str, float]) -> None:
        """Start anew from lower losses: those of the first step at the full rate."""
        for name, value in parts.items():
            self._start[name] = min(self._start.get(name, value), value, key=abs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell a validation that is not finite, and compare its loss with that of the first one."""
        module = self.of(pl_module)
        loss = module.scores.get("loss", 0.0)
        parts = module.val_parts if len(module.val_parts) > 1 else {"": loss}
        if not math.isfinite(loss):
            name = next((name for name, value in parts.items() if not math.isfinite(value)), "")
            self._tell(
                f"epoch {trainer.current_epoch + 1}: the validation loss{_of(name)} is {parts.get(name, loss):g}, so this "
                f"model is not kept; the training diverges at a learning rate of {module.rate:.3g} with batches of "
                f"{module.plan.batch}",
                module,
            )
            return
        self._compare(parts, whole=loss, what="validation loss", module=module, before="val ")

    def _compare(self, parts: Mapping[str, float], *, whole: float, what: str, module: Module, before: str = "") -> None:
        least = SMALLEST_SHARE * abs(self._start.setdefault(f"{before}whole", whole))
        for part, value in parts.items():
            name = f"{before}{part}"
            start = max(abs(self._start.setdefault(name, value)), least)
            if name in self._told or not value > LARGEST_RISE * start > 0:
                continue
            self._told.add(name)
            self._tell(
                f"step {module.trainer.global_step}: the {what}{_of(part)} is {value:.4g}, {value / start:.0f} times its "
                f"{start:.4g} at the start; the training diverges at a learning rate of {module.rate:.3g} with batches of "
                f"{module.plan.batch}",
                module,
            )

    def _tell(self, what: str, module: Module) -> None:
        if module.plan.rank == 0:
            flags = slower(module.recipe, precision=module.plan.precision)
            say(self.console, f"warning: {what}; {flags}")


def _of(part: str) -> str:
    """A part of a loss, for a message; nothing for the whole."""
    return f" of {part}" if part else ""
