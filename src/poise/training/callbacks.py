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


@final
class ProgressBar(RunCallback):
    """A progress bar on a terminal; elsewhere a line a minute.

    Args:
        console: The terminal.
        every: Seconds between two lines where there is no terminal.
    """

    def __init__(self, console: Console, *, every: float = 60.0) -> None:
        self.console = console
        self.every = every
        self._told = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._told = time.monotonic()
        if trainer.is_global_zero and self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar, or print a line where there is none and a minute is over."""
        module = self.of(pl_module)
        text = f"epoch {trainer.current_epoch + 1}/{module.recipe.epochs}"
        if self._bar is not None:
            description = f"{text}  loss {module.loss_value:.4g}"
            self._bar.update(self._task, completed=batch_idx + 1, total=len(module.order), description=description)
        elif trainer.is_global_zero and time.monotonic() - self._told >= self.every:
            self._told = time.monotonic()
            self.console.print(
                f"{text}  batch {batch_idx + 1}/{len(module.order)}  loss {module.loss_value:.4g}  {module.now() / 60:.1f} min",
                highlight=False,
                soft_wrap=True,
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that the validation runs."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"validation, {self.of(pl_module).task.val_boxes}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
