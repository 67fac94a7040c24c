"""The checkpointer: saves the state of a run and its best model, and stops the run."""

import dataclasses
import math
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer

from poise.errors import CheckpointError, TrainingError
from poise.training.callbacks import Interrupted, Interrupts, RunCallback
from poise.training.divergence import LARGEST_RISE
from poise.training.module import Module
from poise.training.nan_guard import slower
from poise.weights import model_file

PATIENCE = 5.0
"""Seconds of a validation above which Ctrl-C does not wait for its end."""


@final
class Checkpointer(RunCallback):
    """Saves checkpoints and the best model, and stops the run at its limits or when asked.

    Args:
        folder: Folder of the run.
        interrupts: Whether the run was asked to stop.
        best: Name of the score that selects the best model; more is better.
    """

    def __init__(self, folder: Path, interrupts: Interrupts, *, best: str) -> None:
        self.folder = folder
        self.interrupts = interrupts
        self.best = best
        self.best_score = float("-inf")
        self.best_scores: dict[str, float] = {}
        self._first_loss: float | None = None
        self._saved = 0.0
        self._asked = False
        self._ready = False
        self._check_began = 0.0
        self._check_seconds = float("inf")

    @property
    def state_file(self) -> Path:
        """Path of the checkpoint."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def model_file(self) -> Path:
        """Path of the best model."""
        return self.folder / "model.safetensors"

    @property
    def state_key(self) -> str:
        """Key of its state in checkpoints; the name of the class in earlier versions, so that their runs can be resumed."""
        return "Keeper"

    def state_dict(self) -> dict[str, Any]:
        """Best score and scores, and the loss of the first validation, for the checkpoint."""
        return {"best_score": self.best_score, "best_scores": self.best_scores, "first_loss": self._first_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them; states of earlier versions have no first loss."""
        self._first_loss = state_dict.get("first_loss")
        self.best_score = state_dict["best_score"]
        self.best_scores = state_dict["best_scores"]
        if self.best_score > float("-inf"):
            self._check_best()

    def _check_best(self) -> None:
        """Refuse to go on without the best model so far, which would be lost without a word.

        Raises:
            CheckpointError: Its file is missing, damaged, or of another network.
        """
        try:
            model_file.read_weights(self.model_file)
        except CheckpointError as error:
            raise CheckpointError(
                f"the run has a best model, and its file cannot be used: {error}. Put {self.model_file} back from a copy, or "
                "begin anew with another --out"
            ) from error

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of checkpoints."""
        self._saved = self.of(pl_module).elapsed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save every `RunPlan.save_every` seconds; stop at a limit or when asked."""
        module = self.of(pl_module)
        plan = module.plan
        seconds, asked = module.now(), self.interrupts.asked
        if plan.world > 1:
            seconds, asked = trainer.strategy.broadcast((seconds, asked))
        module.elapsed = seconds
        left = len(module.order) - batch_idx - 1
        if left and (batch_idx + 1) % plan.accumulate:
            return  # a checkpoint has no accumulated gradients
        over = (plan.budget is not None and seconds >= plan.budget) or (
            plan.steps is not None and trainer.global_step >= plan.steps
        )
        trainer.should_stop = trainer.should_stop or over
        self._asked = asked
        if left == 0:
            return  # saved after the epoch's validation
        validated = module.val_views is not None and module.due
        last_chance = validated and left <= plan.accumulate and self._check_seconds > PATIENCE
        if asked or over or last_chance or seconds - self._saved >= plan.save_every:
            self._save(trainer, module)
        self._ready = last_chance
        if asked:
            raise Interrupted

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the validation."""
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
        """Stop within a validation too: the run resumes from the checkpoint before the last step of the epoch."""
        if self.interrupts.asked and self._ready and self.of(pl_module).plan.world == 1:
            raise Interrupted

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the model if it is the best so far; one with a score or loss that is not finite never is.

        Nor is one that diverged: whose loss is a hundred times (`LARGEST_RISE`) that of the first validation. Scores without
        labels may be high then, such as the confidence of an adaptation.
        """
        module = self.of(pl_module)
        self._check_seconds = module.now() - self._check_began
        value, loss = module.scores.get(self.best, float("-inf")), module.scores.get("loss", 0.0)
        if self._first_loss is None and math.isfinite(loss):
            self._first_loss = loss
        diverged = self._first_loss is not None and loss > LARGEST_RISE * abs(self._first_loss) > 0
        if value > self.best_score and math.isfinite(value) and math.isfinite(loss) and not diverged:
            self.best_score, self.best_scores = value, dict(module.scores)
            self._write(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save a checkpoint where one is due, unless the epoch was cut short and its checkpoint exists already."""
        module = self.of(pl_module)
        due = module.due or self._asked or module.elapsed - self._saved >= module.plan.save_every
        if due and trainer.fit_loop.epoch_loop.batch_progress.current.ready >= len(module.order):
            self._save(trainer, module)
        if self._asked:
            raise Interrupted

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last model where there is no validation."""
        module = self.of(pl_module)
        if module.val_views is None:
            self._write(trainer, module)
        trainer.strategy.barrier()

    def check_kept(self, module: Module) -> None:
        """Refuse a run that ends without any model.

        Raises:
            TrainingError: It was validated, and no validation was finite.
        """
        if module.begun and module.val_views is not None and not self.model_file.exists() and module.plan.rank == 0:
            raise TrainingError(
                f"no validation of this run gave a finite loss and {self.best}, so {self.folder} holds no model; begin anew "
                f"with another --out, and {slower(module.recipe, precision=module.plan.precision)}"
            )

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
            f"no flip test{model.read_by}"
        )
        model.card = dataclasses.replace(model.card, scores=model.card.scores | scores, notes=notes)
        model_file.save(model, self.model_file)
