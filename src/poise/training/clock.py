"""Profile of the first epoch of a run: time per step for loading, forward and backward passes."""

import time
from typing import Any, final

import torch
from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from torch import nn

from poise.terminal import say
from poise.training.callbacks import RunCallback

MAX_WAIT_SHARE = 0.15
"""Share of the time spent waiting for the data loader above which a warning is printed."""

WARMUP_STEPS = 5
"""First steps that are not counted (at most a fifth of an epoch): caches fill, workers start."""

MAX_STEPS = 200
"""Steps that are counted; then measuring ends."""

FEW_STEPS = 100
"""Steps below which a network has hardly begun to learn."""

PARTS = ("wait", "forward", "encode", "backward", "update")


@final
class Clock(RunCallback):
    """Measures reading, warping, encoding, forward and backward passes, and warns when the data loader is the bottleneck.

    Args:
        console: Terminal to print to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds = dict.fromkeys(("read", "warp", *PARTS), 0.0)
        self.views = 0
        self.steps = 0
        self._on = True
        self._seen = 0
        self._warm = WARMUP_STEPS
        self._last = 0.0
        self._handles: list[Any] = []
        self._device = torch.device("cpu")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hook the network's forward pass and start measuring."""
        module = self.of(pl_module)
        self._device = module.plan.device
        self._warm = min(WARMUP_STEPS, len(module.order) // 5)
        self._handles = [module.model.network.register_forward_hook(self._forward)]
        self._last = time.perf_counter()

    def _mark(self, part: str) -> None:
        if not self._on:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._seen >= self._warm:
            self.seconds[part] += now - self._last
        self._last = now

    def _forward(self, network: nn.Module, inputs: object, output: object) -> None:
        if network.training:
            self._mark("forward")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch is loaded."""
        self._mark("wait")
        if self._on and self._seen >= self._warm:
            self.seconds["read"] += batch.read
            self.seconds["warp"] += batch.warp
            self.views += len(batch.batch)
            self.steps += 1

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """The loss is computed."""
        self._mark("encode")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The gradient is computed."""
        self._mark("backward")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The weights are updated."""
        self._mark("update")
        self._seen += 1
        self._on = self._on and self.steps < MAX_STEPS

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End measuring after the first epoch."""
        self._stop(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End measuring after a first epoch without validation."""
        self._stop(trainer, pl_module)

    def _stop(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._handles:
            return
        self._on = False
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.steps and trainer.is_global_zero:
            module = self.of(pl_module)
            planned = len(module.order) * module.recipe.epochs
            for line in [
                *self.lines(module.plan.workers, one=module.task.unit[0]),
                *self.few_steps(module.plan.budget, planned=planned),
            ]:
                say(self.console, line)

    def few_steps(self, budget: float | None, *, planned: int) -> list[str]:
        """A warning where the time of a run ends it after few steps.

        Args:
            budget: Seconds of training; None for no limit.
            planned: Steps of all epochs.
        """
        if budget is None or not self.steps:
            return []
        each = sum(self.seconds[part] for part in PARTS) / self.steps
        steps = max(1, round(budget / max(each, 1e-9)))
        if steps >= min(FEW_STEPS, planned):
            return []
        return [
            f"at {each:.2g} s a step, {budget / 60:g} minutes are {steps} steps, and little is learnt before {FEW_STEPS}: give "
            f"more --minutes, a smaller --batch, smaller views (--size) or a smaller network (--model poise_t is the smallest)"
        ]

    def lines(self, workers: int, *, one: str = "person") -> list[str]:
        """Milliseconds per view or image by phase, and a warning where the data loader is the bottleneck.

        Args:
            workers: Loader processes.
            one: Content of a view: "person" or "image".
        """
        each = {name: 1000 * value / self.views for name, value in self.seconds.items()}
        where = f"in {workers} workers beside" if workers else "within the wait"
        lines = [
            f"where the time goes, ms per {one}: read {each['read']:.2f} and warp {each['warp']:.2f} ({where}); wait for the "
            f"loader {each['wait']:.2f}, forward {each['forward']:.2f}, encode and loss {each['encode']:.2f}, "
            f"backward {each['backward']:.2f}, update {each['update']:.2f}"
        ]
        share = self.seconds["wait"] / max(1e-9, sum(self.seconds[part] for part in PARTS))
        if share > MAX_WAIT_SHARE:
            more = f"more --workers than {workers}" if workers else "--workers 1 or more"
            lines.append(f"the loader starves the network: {share:.0%} of the time it waits; try {more}, or smaller images")
        return lines
