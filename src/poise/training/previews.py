"""Previews of a run: pictures in its folder; and what loggers receive: losses, scores, pictures, hyperparameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from poise.models.device import autocast
from poise.models.pictures import png
from poise.training.callbacks import RunCallback
from poise.training.loggers import give_picture
from poise.writing import write_atomic

EVERY = 20
"""Steps between two logged losses."""


@final
class Previews(RunCallback):
    """Writes pictures of a batch to `pictures/`, and those, losses and scores to the loggers.

    Args:
        folder: Folder of the run.
        hparams: Hyperparameters, one level of plain values.
        every: Steps between two logged losses.
    """

    def __init__(self, folder: Path, hparams: Mapping[str, Any], *, every: int = EVERY) -> None:
        self.folder = folder
        self.hparams = dict(hparams)
        self.every = every
        self._best = float("-inf")
        self._shown = -1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the loggers the hyperparameters."""
        for logger in trainer.loggers:
            logger.log_hyperparams(self.hparams)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give TensorBoard the score by which it lists the hyperparameters of runs."""
        recipe = self.of(pl_module).recipe
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(self.hparams, {f"best/{recipe.best}": 0.0}, step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log loss, accuracy on maps, norm of the gradient and learning rate."""
        module, step = self.of(pl_module), trainer.global_step
        if trainer.is_global_zero and trainer.loggers and step % self.every == 0 and step != self._shown:
            self._shown = step
            parts = {name: float(module.parts[name].detach()) for name in module.task.loss_parts}
            values = {"loss": module.loss_value, **parts, "norm": module.norm, "rate": module.rate}
            values |= {} if module.accuracy is None else {"accuracy": module.accuracy.mean}
            self._log(trainer, {f"train/{name}": value for name, value in values.items()})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log scores, and a picture of the last training batch where a validation is due."""
        module = self.of(pl_module)
        if not trainer.is_global_zero:
            return
        self._best = max(self._best, module.new_scores.get(module.recipe.best, self._best))
        best = {f"best/{module.recipe.best}": self._best} if self._best > float("-inf") else {}
        scores = {f"val/{name}": value for name, value in module.new_scores.items()}
        each = {f"keypoints/{name}": value for name, value in module.keypoint_scores.items() if scores}
        self._log(trainer, {"epoch": trainer.current_epoch + 1.0, **scores, **best, **each})
        if not module.due:
            return
        model = module.best_model
        was = model.training
        model.eval()
        with autocast(module.plan.device, module.plan.precision):
            picture = module.best_task.picture(module.loaded.batch)
        model.train(was)
        write_atomic(self.folder / "pictures" / f"epoch-{trainer.current_epoch + 1:04d}.png", png(picture))
        for logger in trainer.loggers:
            give_picture(logger, picture, step=trainer.global_step)
            logger.save()

    def _log(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(dict(values), step=trainer.global_step)
