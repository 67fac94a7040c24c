"""Where the time of a run goes: measured over its first epoch, then told."""

import time
from typing import Any, final

import torch
from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from torch import nn

from poise.training.hook import RunCallback

STARVED = 0.15
"""Share of a step spent waiting for the loader above which it is too slow."""

WARM = 5
"""Steps that are not counted, or a fifth of an epoch: caches fill, workers start."""

MOST = 200
"""Steps that are counted; after them nothing is measured any more."""

PARTS = ("wait", "forward", "encode", "backward", "update")


@final
class Clock(RunCallback):
    """Measures reading, warping, encoding, forward and backward passes, and warns when the loader starves the network.

    Args:
        console: Where to tell it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds = dict.fromkeys(("read", "warp", *PARTS), 0.0)
        self.views = 0
        self.steps = 0
        self._on = True
        self._seen = 0
        self._warm = WARM
        self._last = 0.0
        self._handles: list[Any] = []
        self._device = torch.device("cpu")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch the network."""
        module = self.of(pl_module)
        self._device = module.plan.device
        self._warm = min(WARM, len(module.order) // 5)
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
        """The batch is there."""
        self._mark("wait")
        if self._on and self._seen >= self._warm:
            self.seconds["read"] += batch.read
            self.seconds["warp"] += batch.warp
            self.views += len(batch.batch)
            self.steps += 1

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """The loss is there."""
        self._mark("encode")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The gradient is there."""
        self._mark("backward")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The weights have moved."""
        self._mark("update")
        self._seen += 1
        self._on = self._on and self.steps < MOST

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first epoch is over."""
        self._stop(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first epoch is over, without validation."""
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
            for line in self.told(module.plan.workers, one=module.task.unit[0]):
                self.console.print(line, highlight=False, soft_wrap=True)

    def told(self, workers: int, *, one: str = "person") -> list[str]:
        """Where the time went, and a warning where the loader was too slow."""
        each = {name: 1000 * value / self.views for name, value in self.seconds.items()}
        where = f"in {workers} workers beside" if workers else "within the wait"
        lines = [
            f"where the time goes, ms per {one}: read {each['read']:.2f} and warp {each['warp']:.2f} ({where}); wait for the "
            f"loader {each['wait']:.2f}, forward {each['forward']:.2f}, encode and loss {each['encode']:.2f}, "
            f"backward {each['backward']:.2f}, update {each['update']:.2f}"
        ]
        share = self.seconds["wait"] / max(1e-9, sum(self.seconds[part] for part in PARTS))
        if share > STARVED:
            more = f"more --workers than {workers}" if workers else "--workers 1 or more"
            lines.append(f"the loader starves the network: {share:.0%} of the time it waits; try {more}, or smaller images")
        return lines
