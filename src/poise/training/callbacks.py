"""Base of the callbacks of a run, the progress bar, and interruption by signals."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from poise.errors import Stopped
from poise.machine import stop_signals
from poise.training.module import Module


class RunCallback(Callback):
    """Base of the callbacks of a run."""

    @staticmethod
    def of(module: LightningModule) -> Module:
        """The LightningModule of the run."""
        assert isinstance(module, Module)
        return module


class Interrupted(Exception):  # no error
    """The run was asked to stop and its checkpoint is saved. Lightning would exit the process on KeyboardInterrupt."""


@final
class Interrupts:
    """Handles Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop after its state is saved, the second stops at once.

    Use it as a context manager; the former handlers are restored at its end. A SIGHUP that is ignored stays so (`nohup`).

    Attributes:
        asked: Whether the run was asked to stop.
        number: Number of the signal.
    """

    def __init__(self) -> None:
        self.asked = False
        self.number: int = signal.SIGINT
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        """Install the handlers, in the main thread only; signals reach no other."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._former[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Restore the former handlers."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise Stopped(number)
        self.asked, self.number = True, number


MEASURED = {"loss": ".4g", "accuracy": ".3f", "time": ".3f", "data": ".3f"}
"""What a line tells of a step, and how its numbers are written; times in seconds."""


@final
class Mean:
    """The last of several values, and their mean.

    >>> both = Mean()
    >>> both.add(1.0), both.add(4.0, 2)
    (None, None)
    >>> f"{both:.1f}"
    '4.0 (3.0)'
    """

    def __init__(self) -> None:
        self.value = self.total = 0.0
        self.count = 0

    def add(self, value: float, count: int = 1) -> None:
        """Add a value that counts so many times."""
        self.value, self.total, self.count = value, self.total + value * count, self.count + count

    def __format__(self, form: str) -> str:
        """Both, as the authors' trainers print them."""
        return f"{self.value:{form}} ({self.total / max(1, self.count):{form}})"


@final
class ProgressBar(RunCallback):
    """A progress bar on a terminal; elsewhere a line a minute. Or a line every so many steps, on a terminal too.

    A line has what the authors' trainers print, each with its mean over the epoch so far: seconds of a step and of waiting for
    data, speed, loss, and the accuracy on maps, where the model has some.

    Args:
        console: The terminal.
        every: Seconds between two lines where there is no terminal.
        steps: Steps between two lines; None for lines by the clock.
    """

    def __init__(self, console: Console, *, every: float = 60.0, steps: int | None = None) -> None:
        self.console = console
        self.every = every
        self.steps = steps
        self._told = self._last = time.monotonic()
        self._waited = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._means = {name: Mean() for name in MEASURED}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._told = time.monotonic()
        if trainer.is_global_zero and self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("")
            self._bar.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the means of an epoch."""
        self._means = {name: Mean() for name in MEASURED}
        self._last = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The batch is there: the wait for data is over."""
        self._waited = time.monotonic() - self._last

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update bar and means, or print a line where one is due."""
        module, now = self.of(pl_module), time.monotonic()
        self._add(module, now - self._last)
        self._last = now
        text = f"epoch {trainer.current_epoch + 1}/{module.recipe.epochs}"
        if self._bar is not None:
            right = f"  accuracy {module.accuracy.mean:.3f}" if module.accuracy is not None else ""
            description = f"{text}  loss {module.loss_value:.4g}{right}"
            self._bar.update(self._task, completed=batch_idx + 1, total=len(module.order), description=description)
        if trainer.is_global_zero and self._due(batch_idx, now):
            self._told = now
            line = self._line(len(batch.batch) * module.plan.world, module.task.unit[1])
            end = f"{module.now() / 60:.1f} min"
            self.console.print(
                f"{text}  batch {batch_idx + 1}/{len(module.order)}  {line}  {end}", highlight=False, soft_wrap=True
            )

    def _due(self, batch_idx: int, now: float) -> bool:
        if self.steps is not None:
            return (batch_idx + 1) % self.steps == 0
        return self._bar is None and now - self._told >= self.every

    def _add(self, module: Module, seconds: float) -> None:
        self._means["loss"].add(float(module.loss.detach()))
        self._means["time"].add(seconds)
        self._means["data"].add(self._waited)
        if module.accuracy is not None:
            self._means["accuracy"].add(module.accuracy.mean, module.accuracy.counted)

    def _line(self, views: int, unit: str) -> str:
        """The last values, each with its mean: loss, accuracy, seconds of a step, seconds of waiting, speed."""
        parts = [f"{name} {self._means[name]:{form}}" for name, form in MEASURED.items() if self._means[name].count]
        speed = views / max(self._means["time"].value, 1e-9)
        return "  ".join([*parts, f"{speed:.1f} {unit}/s"])

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that the validation runs."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"validation, {self.of(pl_module).task.val_boxes}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
