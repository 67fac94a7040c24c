"""The metrics log: settings of a run, and a row of metrics per epoch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from rich.console import Console

from poise.terminal import say
from poise.training.callbacks import RunCallback
from poise.training.result import Row, write_csv
from poise.writing import write_atomic


@final
class MetricsLog(RunCallback):
    """Writes `settings.json`, and a row of metrics per epoch to `metrics.csv` and the terminal.

    Args:
        folder: Folder of the run.
        console: Terminal to print to.
        settings: Settings of the run; written when training begins, so that a checkpoint that does not fit leaves the old file.
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
        self._right = (0.0, 0)
        self._begin = 0.0
        self._trained: float | None = None

    @property
    def state_key(self) -> str:
        """Key of its state in checkpoints; the name of the class in earlier versions, so that their runs can be resumed."""
        return "Journal"

    def state_dict(self) -> dict[str, Any]:
        """The metrics so far and the sums of the unfinished epoch, for the checkpoint."""
        return {
            "rows": self.rows,
            "loss": self._loss,
            "parts": self._parts,
            "steps": self._steps,
            "people": self._views,
            "accuracy": list(self._right),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore metrics and sums."""
        self.rows = state_dict["rows"]
        self._loss, self._steps, self._views = (state_dict[n] for n in ("loss", "steps", "people"))
        self._parts = state_dict.get("parts", {})
        share, count = state_dict.get("accuracy", (0.0, 0))
        self._right = (share, count)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write `settings.json` and start the clock."""
        self._begin = self.of(pl_module).elapsed
        if trainer.is_global_zero:
            write_atomic(self.folder / "settings.json", (json.dumps(self.settings, indent=2, default=str) + "\n").encode())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sum losses and accuracies."""
        module = self.of(pl_module)
        self._loss += float(module.loss.detach())
        for name in module.task.loss_parts:
            self._parts[name] = self._parts.get(name, 0.0) + float(module.parts[name].detach())
        if module.accuracy is not None:
            counted = module.accuracy.counted
            self._right = (self._right[0] + module.accuracy.mean * counted, self._right[1] + counted)
        self._steps += 1
        self._views += len(batch.batch) * module.plan.world

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock of training."""
        self._trained = self.of(pl_module).now()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of the epoch."""
        module = self.of(pl_module)
        now = module.now()
        trained = now if self._trained is None else self._trained
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "minutes": round(now / 60, 3),
            "rate": module.rate,
            "train/loss": self._loss / max(1, self._steps),
            **{f"train/{name}": value / max(1, self._steps) for name, value in self._parts.items()},
            **({"train/accuracy": self._right[0] / self._right[1]} if self._right[1] else {}),
            "train/norm": module.norm,
            f"{module.task.unit[1]}_per_second": round(self._views / max(1e-9, trained - self._begin), 1),
        }
        row |= {f"val/{name}": value for name, value in module.new_scores.items()}
        self.rows.append(row)
        self._loss, self._parts, self._steps, self._views, self._begin, self._trained = 0.0, {}, 0, 0, now, None
        self._right = (0.0, 0)
        if trainer.is_global_zero:
            write_csv(self.folder / "metrics.csv", self.rows)
            self._print_epoch(row, module.task.loss_parts, epochs=module.recipe.epochs, unit=module.task.unit[1])

    def _print_epoch(self, row: Row, loss_parts: tuple[str, ...], *, epochs: int, unit: str) -> None:
        scores = "  ".join(f"{name.removeprefix('val/')} {value:.4g}" for name, value in row.items() if name.startswith("val/"))
        parts = "  ".join(f"{name} {row[f'train/{name}']:.3g}" for name in loss_parts if f"train/{name}" in row)
        right = f"  accuracy {row['train/accuracy']:.3f}" if "train/accuracy" in row else ""
        say(
            self.console,
            f"epoch {int(row['epoch'])}/{epochs}  loss {row['train/loss']:.5g}{f' ({parts})' if parts else ''}{right}  "
            f"{f'val ({scores})' if scores else 'no validation'}  "
            f"lr {row['rate']:.2e}  {row[f'{unit}_per_second']:.1f} {unit}/s  {row['minutes']:.1f} min",
        )
