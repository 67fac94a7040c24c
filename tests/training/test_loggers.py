"""Loggers and callbacks of Lightning in a run, and what is told where there is no terminal."""

import csv
import io
from functools import partial
from unittest.mock import ANY, Mock, call

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CometLogger, Logger, MLFlowLogger
from rich.console import Console

from poise.errors import InputError, MissingExtra, UnknownName
from poise.training import logger_names, loggers
from poise.training.callbacks import ProgressBar
from poise.training.fit import fit

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


class Notes(Logger):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.hparams, self.values, self.images = {}, [], []

    name = "notes"
    version = 0

    def log_hyperparams(self, params, *args, **kwargs):
        self.hparams |= params

    def log_metrics(self, metrics, step=None):
        self.values.append((step, metrics))

    def log_image(self, key, images, step=None):
        self.images += images


class Counts(Callback):
    steps = 0

    def on_train_batch_end(self, *args):
        self.steps += 1


@pytest.fixture(scope="module")
def logged(tiny, tmp_path_factory):
    """A run with several loggers and a callback; what they got, its folder, and what it told."""
    torch.set_num_threads(1)
    notes, counts, folder = Notes(), Counts(), tmp_path_factory.mktemp("logged")
    console = Console(record=True, width=200, file=io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poise.training.fit.ProgressBar", partial(ProgressBar, every=0.0))
        fit(tiny.recipe(), out=folder, loggers=("tensorboard", "csv", notes), callbacks=[counts], console=console, **HERE)
    return notes, counts, folder, console.export_text()


def test_a_logger_gets_hyperparameters_losses_scores_keypoints_and_pictures(logged):
    notes, counts, _, _ = logged
    assert counts.steps == 15
    assert notes.hparams["recipe"] == "tiny"
    assert (notes.hparams["optimizer/kind"], notes.hparams["augmentation/rotation"], notes.hparams["batch"]) == (
        "adam",
        20.0,
        8,
    )
    assert all(isinstance(value, str | int | float | bool) for value in notes.hparams.values())
    epochs = [values for _, values in notes.values if "epoch" in values]
    assert [values["epoch"] for values in epochs] == [1, 2, 3]
    names = {"val/pck@0.1", "val/AP", "val/loss", "best/pck@0.1"}
    assert names | {"keypoints/pck@0.1/left_dot", "keypoints/pck@0.1/right_dot"} <= set(epochs[-1])
    each = [epochs[-1][f"keypoints/pck@0.1/{side}_dot"] for side in ("left", "right")]
    assert sum(each) / 2 == pytest.approx(epochs[-1]["val/pck@0.1"])
    assert epochs[-1]["best/pck@0.1"] == max(values["val/pck@0.1"] for values in epochs)
    assert len(notes.images) == 3


def test_tensorboard_and_csv_have_the_scores_and_tensorboard_the_hyperparameters(logged):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = logged[2]
    board = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 1})
    board.Reload()
    tags = board.Tags()
    assert {"val/AP", "keypoints/pck@0.1/left_dot", "best/pck@0.1"} <= set(tags["scalars"])
    assert tags["images"] == ["batch"]
    assert "_hparams_/session_start_info" in board.PluginTagToContent("hparams")
    assert "recipe: tiny" in (folder / "tensorboard" / "hparams.yaml").read_text()
    [file] = (folder / "csv").rglob("metrics.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["epoch"] for row in rows if row["epoch"]] == ["1.0", "2.0", "3.0"]


def test_without_a_terminal_a_run_tells_where_it_is(logged):
    text = logged[3]
    assert "epoch 2/3  batch 4/5  loss " in text
    assert ProgressBar(Console(file=io.StringIO())).every == 60


def test_a_run_goes_on_with_its_loggers_or_without_any(tiny, tmp_path):
    quiet = Console(quiet=True)
    fit(tiny.recipe(), out=tmp_path, steps=7, loggers=("tensorboard", "csv"), console=quiet, **HERE)
    fit(tiny.recipe(), out=tmp_path, resume=tmp_path, loggers=("tensorboard", "csv"), console=quiet, **HERE)
    assert len(list((tmp_path / "csv").iterdir())) == 2
    fit(tiny.recipe(tiny.Tiny(epochs=1)), out=tmp_path / "none", loggers=(), console=quiet, **HERE)
    assert not (tmp_path / "none" / "tensorboard").exists()


def test_a_logger_of_ones_own_is_made_for_the_folder_of_the_run(tmp_path, monkeypatch):
    (tmp_path / "ownlogs.py").write_text(
        "from lightning.pytorch.loggers import CSVLogger\n\n"
        "def mine(folder):\n    return CSVLogger(folder, name='mine')\n\n"
        "def none(folder):\n    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    loggers.check_loggers(["ownlogs:mine"])
    [made] = loggers.make_loggers(["ownlogs:mine"], tmp_path, step=0)
    assert made.name == "mine"
    with pytest.raises(InputError, match="must give a logger of Lightning; found 3"):
        loggers.make_loggers(["ownlogs:none"], tmp_path, step=0)


def test_a_logger_whose_service_refuses_is_one_sentence(tmp_path, monkeypatch):
    class Lazy(Notes):
        @property
        def experiment(self):
            raise ValueError("an API key is required\nand more lines")

    def refuses(folder, step):
        raise ModuleNotFoundError("No module named 'jsonschema'")

    for name, make, text in (("wandb", lambda *_: Lazy(), "an API key is required"), ("comet", refuses, "named 'jsonschema'")):
        monkeypatch.setitem(loggers.MAKERS, name, make)
        with pytest.raises(
            InputError, match=f"the logger {name} cannot begin: .*{text}; mend that, or leave it out of --logger"
        ):
            loggers.make_loggers([name], tmp_path, step=0)


def test_comet_and_mlflow_get_the_pictures_too():
    picture = np.zeros((2, 2, 3), np.uint8)
    for kind, expected in (
        (CometLogger, call.log_image(ANY, name="batch", step=5)),
        (MLFlowLogger, call.log_image("r", picture, key="batch", step=5)),
    ):
        own = type("Own", (kind,), {"experiment": Mock(), "run_id": "r", "__init__": lambda self: None})
        loggers.give_picture(own(), picture, step=5)
        assert own.experiment.mock_calls == [expected]


def test_loggers_that_are_not_there_are_refused_before_anything_is_written(tiny, tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="no logger 'tensorbord'; did you mean 'tensorboard'"):
        fit(tiny.recipe(), out=tmp_path / "a", loggers=["tensorbord"], **HERE)
    monkeypatch.setattr(logger_names, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="logger wandb needs a package that is not installed: pip install wandb"):
        fit(tiny.recipe(), out=tmp_path / "a", loggers=["wandb"], **HERE)
    assert not (tmp_path / "a").exists()
