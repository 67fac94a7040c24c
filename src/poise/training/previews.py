"""Previews of a run: pictures in its folder, and TensorBoard."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from lightning.pytorch import LightningModule, Trainer

from poise.models.device import autocast
from poise.models.pictures import png
from poise.training.callbacks import RunCallback
from poise.writing import write_atomic

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVERY = 20
"""Steps between two logged losses."""


@final
class Previews(RunCallback):
    """Writes pictures of a batch to `pictures/`, and those, losses and scores to `tensorboard/`.

    Args:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None
        self._shown = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open TensorBoard's file; steps after the one resumed from are removed."""
        if trainer.is_global_zero:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(self.folder / "tensorboard", purge_step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log loss, norm of the gradient and learning rate."""
        module, step = self.of(pl_module), trainer.global_step
        if self._writer is not None and step % EVERY == 0 and step != self._shown:
            self._shown = step
            parts = [(name, float(module.parts[name].detach())) for name in module.task.loss_parts]
            for name, value in (("loss", module.loss_value), *parts, ("norm", module.norm), ("rate", module.rate)):
                self._writer.add_scalar(f"train/{name}", value, step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log scores and a picture of the last training batch."""
        module = self.of(pl_module)
        if self._writer is None:
            return
        for name, value in module.scores.items():
            self._writer.add_scalar(f"val/{name}", value, trainer.global_step)
        model = module.best_model
        was = model.training
        model.eval()
        with autocast(module.plan.device, module.plan.precision):
            picture = module.best_task.picture(module.loaded.batch)
        model.train(was)
        write_atomic(self.folder / "pictures" / f"epoch-{trainer.current_epoch + 1:04d}.png", png(picture))
        self._writer.add_image("batch", torch.from_numpy(picture), trainer.global_step, dataformats="HWC")
        self._writer.flush()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
