"""Snapshots: model files of chosen epochs, beside the best one, so that a table over epochs can be made afterwards."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from lightning.pytorch import LightningModule, Trainer

from poise.errors import InputError, ReadError
from poise.training.callbacks import RunCallback
from poise.weights import model_file

FOLDER = "snapshots"
"""Folder of the snapshots in that of a run, or of one of its stages."""

_NAME = re.compile(r"epoch-(\d+)\.safetensors")
_STAGE = re.compile(r"stage(\d+)")


def snapshot_epochs(snapshots: int | Sequence[int] | None, *, epochs: int) -> frozenset[int]:
    """The epochs, counted from 1, after which a snapshot is kept.

    Args:
        snapshots: Every so many epochs, or a list of epochs; None for none.
        epochs: Epochs of the run; of a run of stages those of its longest one.

    Raises:
        InputError: An epoch is below 1 or beyond the run.

    >>> sorted(snapshot_epochs(50, epochs=140)), sorted(snapshot_epochs([20, 140], epochs=140))
    ([50, 100], [20, 140])
    """
    if snapshots is None:
        return frozenset()
    listed = [snapshots] if isinstance(snapshots, int) else list(snapshots)
    wrong = next((epoch for epoch in listed if not 1 <= epoch <= epochs), None)
    if wrong is not None:
        raise InputError(
            f"--snapshots {wrong} is no epoch of this run of {epochs}; give a number from 1 to {epochs}, or more --epochs"
        )
    return frozenset(range(snapshots, epochs + 1, snapshots) if isinstance(snapshots, int) else listed)


@final
class SnapshotKeeper(RunCallback):
    """Saves the model that would be validated, after chosen epochs, to `snapshots/epoch-0050.safetensors`.

    Args:
        folder: Folder of the run.
        epochs: The epochs, counted from 1.
    """

    def __init__(self, folder: Path, epochs: Collection[int]) -> None:
        self.folder = folder
        self.epochs = frozenset(epochs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the model of a whole epoch, after its validation."""
        module, epoch = self.of(pl_module), trainer.current_epoch + 1
        whole = trainer.fit_loop.epoch_loop.batch_progress.current.ready >= len(module.order)
        if epoch not in self.epochs or not whole or not trainer.is_global_zero:
            return
        model = module.best_model
        scores = {f"val/{name}": value for name, value in module.new_scores.items() if name != "loss"}
        notes = f"recipe {module.recipe.name}, snapshot of epoch {epoch}{model.read_by}"
        card = model.card
        model.card = replace(card, scores=scores, notes=notes)
        try:
            model_file.save(model, self.folder / FOLDER / f"epoch-{epoch:04d}.safetensors")
        finally:
            model.card = card


@final
@dataclass(frozen=True)
class Snapshot:
    """A model file of one epoch of a run.

    Attributes:
        file: The file.
        epoch: The epoch, counted from 1.
        stage: Index of the stage in a run of several; None in a run of one.
    """

    file: Path
    epoch: int
    stage: int | None = None

    @property
    def name(self) -> str:
        """Stage and epoch in words."""
        return f"epoch {self.epoch}" if self.stage is None else f"stage {self.stage}, epoch {self.epoch}"


def find_snapshots(folder: Path) -> list[Snapshot]:
    """The snapshots of a run, stage by stage, by epoch.

    Args:
        folder: Folder of the run.

    Raises:
        ReadError: It is no folder, or holds none.
    """
    stages = {int(named[1]): place for place in folder.glob("stage*") if (named := _STAGE.fullmatch(place.name))}
    found = [*_in(folder, None), *(one for stage, place in sorted(stages.items()) for one in _in(place, stage))]
    if not found:
        raise ReadError(
            f"{str(folder)!r} holds no snapshots; train with --snapshots 50, or with a list of epochs, and give the folder of "
            "that run"
        )
    return found


def _in(folder: Path, stage: int | None) -> list[Snapshot]:
    files = {int(named[1]): file for file in (folder / FOLDER).glob("*") if (named := _NAME.fullmatch(file.name))}
    return [Snapshot(file, epoch, stage) for epoch, file in sorted(files.items())]
