"""The loggers of a run: Lightning's own, by name, or one of a user's own package."""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from lightning.pytorch.loggers import CometLogger, CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from poise.errors import InputError
from poise.models.pictures import Picture, png
from poise.plugins import locate
from poise.training.logger_names import TENSORBOARD, check_logger_names

PROJECT = "poise"
"""Name under which services that collect runs list those of poise."""


def _tensorboard(folder: Path, step: int) -> Logger:
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, purge_step=step)


def _csv(folder: Path, step: int) -> Logger:
    return CSVLogger(folder, name="csv")


def _wandb(folder: Path, step: int) -> Logger:
    return WandbLogger(project=PROJECT, name=folder.name, save_dir=folder)


def _mlflow(folder: Path, step: int) -> Logger:
    """To the server that MLflow's environment variable names, else to a database in the folder: it keeps no plain files now."""
    place = folder.absolute()
    server = os.environ.get("MLFLOW_TRACKING_URI")
    return MLFlowLogger(
        experiment_name=PROJECT,
        run_name=folder.name,
        tracking_uri=server or f"sqlite:///{place / 'mlflow.db'}",
        artifact_location=None if server else str(place / "mlruns"),
    )


def _comet(folder: Path, step: int) -> Logger:
    return CometLogger(project=PROJECT, name=folder.name, offline_directory=str(folder.absolute()))


MAKERS: Mapping[str, Callable[[Path, int], Logger]] = {
    TENSORBOARD: _tensorboard,
    "csv": _csv,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "comet": _comet,
}
"""What makes each logger, given the folder of the run and the step it begins at."""

IN_FOLDER = frozenset({TENSORBOARD, "csv"})
"""Loggers that write files and ask no service."""


def check_loggers(chosen: Sequence[str | Logger]) -> None:
    """Refuse loggers that cannot be made, before a run begins.

    Raises:
        UnknownName: There is no logger of that name.
        MissingExtra: Its package is not installed.
        InputError: `module:function` cannot be imported.
    """
    names = [one for one in chosen if isinstance(one, str)]
    check_logger_names(names)
    for name in names:
        if ":" in name:
            locate(name)


def make_loggers(chosen: Sequence[str | Logger], folder: Path, *, step: int) -> list[Logger]:
    """The loggers of a run.

    Args:
        chosen: Loggers, or their names.
        folder: Folder of the run.
        step: At which the run goes on; what was logged after it is removed where the logger can do that.

    Raises:
        InputError: A logger cannot begin (no account, no server), or a function of the user's own gives something else.
    """
    made = []
    for name in chosen:
        if isinstance(name, Logger):
            made.append(name)
        elif ":" in name:
            made.append(_own(name, folder))
        else:
            made.append(_begun(name, folder, step))
    return made


def _begun(name: str, folder: Path, step: int) -> Logger:
    """A logger that has spoken with its service, which is otherwise asked in the middle of a run."""
    try:
        made = MAKERS[name](folder, step)
        if name not in IN_FOLDER:
            _ = made.experiment  # type: ignore[attr-defined]  # made when it is first asked for
    except Exception as error:  # whatever the libraries of others raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"the logger {name} cannot begin: {first}; mend that, or leave it out of --logger") from error
    return made


def _own(name: str, folder: Path) -> Logger:
    found = locate(name)(folder)
    if not isinstance(found, Logger):
        raise InputError(
            f"{name} is called with the folder of the run and must give a logger of Lightning; found {found!r:.80}"
        )
    return found


def give_picture(logger: Logger, picture: Picture, *, step: int) -> None:
    """Give a picture of the batch to a logger; those that take no pictures get none.

    Args:
        logger: The logger.
        picture: The picture, RGB.
        step: Step of the run.
    """
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("batch", torch.from_numpy(picture), step, dataformats="HWC")
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, picture, key="batch", step=step)
    elif isinstance(logger, CometLogger):
        logger.experiment.log_image(io.BytesIO(png(picture)), name="batch", step=step)  # of an array it needs matplotlib
    elif hasattr(logger, "log_image"):
        logger.log_image(key="batch", images=[picture], step=step)
