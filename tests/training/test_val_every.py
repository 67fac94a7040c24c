"""Short epochs: validations, pictures and saved states that come more rarely, and resumed runs that are the same."""

import io
import signal
from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Callback
from rich.console import Console

from poise.errors import InputError
from poise.training.checkpointer import Checkpointer
from poise.training.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}


@pytest.fixture(scope="module")
def make(tiny):
    """The recipe of seven epochs of one step, validated after each third."""
    return lambda **changes: replace(tiny.recipe(tiny.Tiny(people=8, epochs=7)), val_every=3, **changes)


@pytest.fixture(scope="module")
def whole(make, tmp_path_factory):
    torch.set_num_threads(1)
    console = Console(record=True, width=200, file=io.StringIO())
    saved = []
    with pytest.MonkeyPatch.context() as patch:
        save = Checkpointer._save
        patch.setattr(Checkpointer, "_save", lambda self, t, m: (saved.append(t.current_epoch + 1), save(self, t, m)))
        result = fit(make(), out=tmp_path_factory.mktemp("whole"), console=console, **HERE)
    return result, console.export_text(), saved


def test_validations_pictures_and_states_come_every_so_often_and_at_the_end(whole):
    result, text, saved = whole
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["epoch"] for row in result.history if "val/AP" in row] == [3, 6, 7]
    assert sorted(p.name for p in (result.folder / "pictures").iterdir()) == [f"epoch-000{i}.png" for i in (3, 6, 7)]
    assert saved == [3, 6, 7]
    assert text.count("no validation") == 4
    assert result.metrics["pck@0.1"] == max(row["val/pck@0.1"] for row in result.history if "val/pck@0.1" in row)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_run_stopped_between_two_validations_is_validated_and_goes_on_to_the_same_end(make, whole, tmp_path, steps):
    first = fit(make(), out=tmp_path, steps=steps, console=Console(quiet=True), **HERE)
    assert "val/AP" in first.history[-1]
    assert first.file.is_file()
    again = fit(make(), out=tmp_path, resume=tmp_path, console=Console(quiet=True), **HERE)
    _same(again, whole[0])


def test_ctrl_c_between_two_validations_saves_a_state_that_goes_on_to_the_same_end(make, whole, tmp_path):
    class Ask(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.current_epoch == 4:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(make(), out=tmp_path, callbacks=[Ask()], console=Console(quiet=True), **HERE)
    again = fit(make(), out=tmp_path, resume=tmp_path, console=Console(quiet=True), **HERE)
    _same(again, whole[0])
    assert [row.get("val/loss") for row in again.history] == [row.get("val/loss") for row in whole[0].history]


def test_a_run_without_validation_has_pictures_as_often(make, tmp_path):
    result = fit(make(val=None), out=tmp_path, console=Console(quiet=True), **HERE)
    assert sorted(p.name for p in (result.folder / "pictures").iterdir()) == [f"epoch-000{i}.png" for i in (3, 6, 7)]


def test_less_than_every_epoch_is_refused(make):
    with pytest.raises(InputError, match="every epoch or more rarely, not every 0"):
        replace(make(), val_every=0)


def _same(again, whole):
    pairs = zip(again.model.state_dict().values(), whole.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert [row["train/loss"] for row in again.history] == [row["train/loss"] for row in whole.history]
