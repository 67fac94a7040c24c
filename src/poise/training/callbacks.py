"""What happens beside the learning: saving, stopping, writing figures down, telling how it goes."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from poise.codecs.decoders import described
from poise.training.files import Row, write_csv
from poise.training.hook import RunCallback
from poise.training.module import Module
from poise.training.signals import Interrupts
from poise.weights import model_file
from poise.writing import write_atomic

PATIENCE = 5.0
"""Seconds of a validation above which Ctrl-C does not wait for its end."""


class Interrupted(Exception):  # no error
    """Somebody asked the run to stop; its state is saved. Lightning would leave the process on KeyboardInterrupt."""


@final
class Checkpointer(RunCallback):
    """Saves the state of the run and its best model, and stops it when its time is over or somebody asks.

    Args:
        folder: Of the run.
        interrupts: Whether somebody asked.
        best: Name of the score that says which model is best; more is better.
    """

    def __init__(self, folder: Path, interrupts: Interrupts, *, best: str) -> None:
        self.folder = folder
        self.interrupts = interrupts
        self.best = best
        self.best_score = float("-inf")
        self.best_scores: dict[str, float] = {}
        self._saved = 0.0
        self._asked = False
        self._ready = False
        self._check_began = 0.0
        self._check_seconds = float("inf")

    @property
    def state_file(self) -> Path:
        """Where the state of the run is."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def model_file(self) -> Path:
        """Where the best model is."""
        return self.folder / "model.safetensors"

    @property
    def state_key(self) -> str:
        """The name of its state in checkpoints, the one that earlier versions gave it."""
        return "Keeper"

    def state_dict(self) -> dict[str, Any]:
        """For the saved state."""
        return {"best_score": self.best_score, "best_scores": self.best_scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the saved state."""
        self.best_score = state_dict["best_score"]
        self.best_scores = state_dict["best_scores"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._saved = self.of(pl_module).elapsed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save now and then; stop where that is asked for."""
        module = self.of(pl_module)
        plan = module.plan
        seconds, asked = module.now(), self.interrupts.asked
        if plan.world > 1:
            seconds, asked = trainer.strategy.broadcast((seconds, asked))
        module.elapsed = seconds
        left = len(module.order) - batch_idx - 1
        if left and (batch_idx + 1) % plan.accumulate:
            return  # a state keeps no gradients that are still being added up
        over = (plan.budget is not None and seconds >= plan.budget) or (
            plan.steps is not None and trainer.global_step >= plan.steps
        )
        trainer.should_stop = trainer.should_stop or over
        self._asked = asked
        if left == 0:
            return  # saved after the epoch's validation
        last_chance = module.val_views is not None and left <= plan.accumulate and self._check_seconds > PATIENCE
        if asked or over or last_chance or seconds - self._saved >= plan.save_every:
            self._save(trainer, module)
        self._ready = last_chance
        if asked:
            raise Interrupted

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._check_began = self.of(pl_module).now()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop within a validation too: the run goes on from the state saved before the epoch's last step."""
        if self.interrupts.asked and self._ready and self.of(pl_module).plan.world == 1:
            raise Interrupted

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the model if it is the best so far."""
        module = self.of(pl_module)
        self._check_seconds = module.now() - self._check_began
        value = module.scores.get(self.best, float("-inf"))
        if value > self.best_score:
            self.best_score, self.best_scores = value, dict(module.scores)
            self._write(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state after the epoch's validation, unless the epoch was cut short: that state is saved already."""
        module = self.of(pl_module)
        if trainer.fit_loop.epoch_loop.batch_progress.current.ready >= len(module.order):
            self._save(trainer, module)
        if self._asked:
            raise Interrupted

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without validation the last model is the best."""
        module = self.of(pl_module)
        if module.val_views is None:
            self._write(trainer, module)
        trainer.strategy.barrier()

    def _save(self, trainer: Trainer, module: Module) -> None:
        trainer.save_checkpoint(self.state_file)
        self._saved = module.elapsed

    def _write(self, trainer: Trainer, module: Module) -> None:
        if not trainer.is_global_zero:
            return
        model = module.best_model
        scores = {f"val/{name}": value for name, value in self.best_scores.items() if name != "loss"}
        notes = (
            f"recipe {module.recipe.name}, epoch {trainer.current_epoch + 1}; scores with {module.task.val_boxes}, "
            f"no flip test, read by {described(model.codec)}"
        )
        model.card = dataclasses.replace(model.card, scores=model.card.scores | scores, notes=notes)
        model_file.save(model, self.model_file)


@final
class MetricsLog(RunCallback):
    """Writes `settings.json`, and a row of figures per epoch to `metrics.csv` and on the screen.

    Args:
        folder: Of the run.
        console: Where to tell it.
        settings: Of the run; written when training begins, so that a state that does not fit leaves the former ones.
    """

    def __init__(self, folder: Path, console: Console, *, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.console = console
        self.settings = settings
        self.rows: list[Row] = []
        self._loss = 0.0
        self._parts: dict[str, float] = {}
        self._steps = 0
        self._views = 0
        self._begin = 0.0

    @property
    def state_key(self) -> str:
        """The name of its state in checkpoints, the one that earlier versions gave it."""
        return "Journal"

    def state_dict(self) -> dict[str, Any]:
        """For the saved state: the figures so far, those of the unfinished epoch too."""
        return {
            "rows": self.rows,
            "loss": self._loss,
            "parts": self._parts,
            "steps": self._steps,
            "people": self._views,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the saved state."""
        self.rows = state_dict["rows"]
        self._loss, self._steps, self._views = (state_dict[n] for n in ("loss", "steps", "people"))
        self._parts = state_dict.get("parts", {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the settings down, and begin to count."""
        self._begin = self.of(pl_module).elapsed
        if trainer.is_global_zero:
            write_atomic(self.folder / "settings.json", (json.dumps(self.settings, indent=2, default=str) + "\n").encode())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the losses."""
        module = self.of(pl_module)
        self._loss += float(module.loss.detach())
        for name in module.task.loss_parts:
            self._parts[name] = self._parts.get(name, 0.0) + float(module.parts[name].detach())
        self._steps += 1
        self._views += len(batch.batch) * module.plan.world

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The time of training ends here."""
        self._trained = self.of(pl_module).now()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One row."""
        module = self.of(pl_module)
        now = module.now()
        trained = self._trained if module.val_views is not None else now
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "minutes": round(now / 60, 3),
            "rate": module.rate,
            "train/loss": self._loss / max(1, self._steps),
            **{f"train/{name}": value / max(1, self._steps) for name, value in self._parts.items()},
            "train/norm": module.norm,
            f"{module.task.unit[1]}_per_second": round(self._views / max(1e-9, trained - self._begin), 1),
        }
        row |= {f"val/{name}": value for name, value in module.scores.items()}
        self.rows.append(row)
        self._loss, self._parts, self._steps, self._views, self._begin = 0.0, {}, 0, 0, now
        if trainer.is_global_zero:
            write_csv(self.folder / "metrics.csv", self.rows)
            self._tell(row, module.task.loss_parts, epochs=module.recipe.epochs, unit=module.task.unit[1])

    def _tell(self, row: Row, told: tuple[str, ...], *, epochs: int, unit: str) -> None:
        scores = "  ".join(f"{name.removeprefix('val/')} {value:.4g}" for name, value in row.items() if name.startswith("val/"))
        parts = "  ".join(f"{name} {row[f'train/{name}']:.3g}" for name in told if f"train/{name}" in row)
        self.console.print(
            f"epoch {int(row['epoch'])}/{epochs}  loss {row['train/loss']:.5g}{f' ({parts})' if parts else ''}  "
            f"val ({scores or 'none'})  "
            f"lr {row['rate']:.2e}  {row[f'{unit}_per_second']:.1f} {unit}/s  {row['minutes']:.1f} min",
            highlight=False,
            soft_wrap=True,
        )


@final
class Bar(RunCallback):
    """A progress bar on a terminal; nothing elsewhere.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the bar."""
        if trainer.is_global_zero and self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move it."""
        if self._bar is not None:
            module = self.of(pl_module)
            text = f"epoch {trainer.current_epoch + 1}/{module.recipe.epochs}  loss {module.loss_value:.4g}"
            self._bar.update(self._task, completed=batch_idx + 1, total=len(module.order), description=text)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what happens now."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"validation, {self.of(pl_module).task.val_boxes}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
