import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from poise.codecs.gaussian import Gaussian
from poise.codecs.udp import UDPGaussian
from poise.errors import CheckpointError, ImageError, InputError, TrainingError, UnknownName, WriteError
from poise.models.top_down import TopDown
from poise.training import checkpointer
from poise.training import module as module_file
from poise.training.callbacks import Interrupted
from poise.training.checkpoint import AtomicIO
from poise.training.checkpointer import Checkpointer
from poise.training.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def same(a: TopDown, b: TopDown) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def silent() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """A run nobody interrupts, and what it told."""
    torch.set_num_threads(1)
    console = Console(record=True, width=200, file=io.StringIO())
    result = fit(tiny.recipe(), out=tmp_path_factory.mktemp("whole"), console=console, **HERE)
    text = console.export_text()
    return result, text


def test_a_run_learns_and_leaves_everything_in_its_folder(whole):
    result, _ = whole
    rows = list(csv.DictReader((result.folder / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["train/loss"]) < 0.7 * float(rows[0]["train/loss"])
    assert result.metrics["pck@0.1"] == max(float(row["val/pck@0.1"]) for row in rows)
    settings = json.loads((result.folder / "settings.json").read_text())
    assert settings["plan"]["seed"] == 0
    assert settings["validation"] == "ground-truth boxes"
    assert {p.name for p in (result.folder / "pictures").iterdir()} == {f"epoch-000{i}.png" for i in (1, 2, 3)}
    assert list((result.folder / "tensorboard").iterdir())
    assert result.file.is_file()
    assert (result.folder / "checkpoints" / "last.ckpt").is_file()
    assert result.model.card.scores["val/pck@0.1"] == result.metrics["pck@0.1"]


def test_a_model_that_was_loaded_trains_as_a_new_one(tiny, whole, tmp_path):
    """A model of a file is in evaluation mode: its batch norms kept their statistics, and nothing was dropped."""
    recipe = tiny.recipe()
    recipe.model.eval()
    assert same(fit(recipe, out=tmp_path / "run", console=silent(), **HERE).model, whole[0].model)


def test_a_run_tells_its_network_its_learning_rate_and_where_the_time_goes(whole):
    _, text = whole
    for words in ("parameters", "multiply-adds", "learning rate", "ground-truth boxes", "where the time goes"):
        assert words in text


@pytest.mark.parametrize("steps", [2, 7, 10])
def test_a_run_resumed_within_or_after_an_epoch_ends_as_if_never_stopped(tiny, whole, tmp_path, steps):
    fit(tiny.recipe(), out=tmp_path, steps=steps, console=silent(), **HERE)
    again = fit(tiny.recipe(), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    assert same(again.model, whole[0].model)
    losses = [row["train/loss"] for row in again.history]
    assert losses == [row["train/loss"] for row in whole[0].history]


def test_a_finished_run_resumed_stays_as_it_is_and_says_so(tiny, whole):
    console = Console(record=True, width=200, file=io.StringIO())
    again = fit(tiny.recipe(), out=whole[0].folder, resume=whole[0].folder, console=console, **HERE)
    assert same(again.model, whole[0].model)
    last = console.export_text().splitlines()[-1]
    assert "the run is finished, nothing is left to train: 3 of 3 epochs are done" in last
    assert f"--resume {whole[0].folder} with more --epochs goes on" in last


def test_a_state_saved_while_gradients_add_up_loses_none_of_them(tiny, tmp_path, monkeypatch):
    options = tiny.Tiny(epochs=1, val=False)
    flags = HERE | {"batch": 4, "accumulate": 2, "console": silent()}
    straight = fit(tiny.recipe(options), out=tmp_path / "straight", **flags)
    with monkeypatch.context() as patch:
        save = Checkpointer._save

        def save_and_stop(self, trainer, module):
            save(self, trainer, module)
            raise Interrupted

        patch.setattr(Checkpointer, "_save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny.recipe(options), out=tmp_path / "cut", save_minutes=0.0, **flags)
    resumed = fit(tiny.recipe(options), out=tmp_path / "cut", resume=tmp_path / "cut", **flags)
    assert same(resumed.model, straight.model)


def test_ctrl_c_within_a_long_validation_does_not_wait_for_its_end(tiny, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointer, "PATIENCE", -1.0)
    with monkeypatch.context() as patch:
        step, seen = module_file.Module.validation_step, []

        def ask(self, parcel, batch_idx):
            seen.append(batch_idx)
            signal.raise_signal(signal.SIGINT)
            return step(self, parcel, batch_idx)

        patch.setattr(module_file.Module, "validation_step", ask)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny.recipe(), out=tmp_path, console=silent(), **HERE)
    assert seen == [0]
    again = fit(tiny.recipe(), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    assert same(again.model, whole[0].model)
    assert [row["val/loss"] for row in again.history] == [row["val/loss"] for row in whole[0].history]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_the_number_of_workers_changes_nothing(tiny, whole, tmp_path):
    other = fit(tiny.recipe(), out=tmp_path, console=silent(), **(HERE | {"workers": 2}))
    assert same(other.model, whole[0].model)


def test_another_seed_gives_another_run(tiny, whole, tmp_path):
    other = fit(tiny.recipe(), out=tmp_path, seed=1, console=silent(), **HERE)
    assert not same(other.model, whole[0].model)


def test_accumulated_batches_count_as_one(tiny, tmp_path):
    options = tiny.Tiny(chance=False, average=None, epochs=1, val=False)
    large = fit(tiny.recipe(options), out=tmp_path / "large", batch=8, console=silent(), **HERE)
    small = fit(tiny.recipe(options), out=tmp_path / "small", batch=4, accumulate=2, console=silent(), **HERE)
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.fixture
def started(tiny, script, tmp_path):
    """A long run in another process that has saved its state at least once."""
    folder = tmp_path / "run"
    command = [sys.executable, str(script), "--out", str(folder), "--epochs", "60", "--save-minutes", "0.001"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    state = folder / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 60
    while not state.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert state.exists(), process.communicate()[0]
    yield process, folder
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def straight(tiny, tmp_path_factory):
    """The folder of a run of 40 steps that nothing stopped, and what it ended with."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    return folder, fit(tiny.recipe(tiny.Tiny(epochs=60)), out=folder, steps=40, console=silent(), **HERE)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_run_killed_or_interrupted_goes_on_to_the_same_end(tiny, started, straight, kind):
    process, folder = started
    process.send_signal(kind)
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert kind == signal.SIGKILL or "--resume" in output
    resumed = fit(tiny.recipe(tiny.Tiny(epochs=60)), out=folder, resume=folder, steps=40, console=silent(), **HERE)
    whole, ended = straight
    assert resumed.history[-1]["step"] == ended.history[-1]["step"]
    state = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for f in (folder, whole)]
    assert all(torch.equal(state[0][name], state[1][name]) for name in state[1])


def test_two_processes_learn_what_one_learns(tiny, script, tmp_path):
    command = [sys.executable, str(script), "--out", str(tmp_path / "two"), "--devices", "2", "--strategy", "ddp", "--same"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    one = fit(tiny.recipe(tiny.Tiny(chance=False)), out=tmp_path / "one", console=silent(), **HERE)
    rows = list(csv.DictReader((tmp_path / "two" / "metrics.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    np.testing.assert_allclose([float(row["val/loss"]) for row in rows], [row["val/loss"] for row in one.history], rtol=1e-3)


def test_a_folder_with_a_run_is_not_overwritten(tiny, whole):
    with pytest.raises(WriteError, match="already holds a run"):
        fit(tiny.recipe(), out=whole[0].folder, console=silent(), **HERE)


def test_there_must_be_something_to_resume(tiny, tmp_path):
    with pytest.raises(CheckpointError, match="no saved state"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"PK cut short")
    with pytest.raises(CheckpointError, match="cannot be read"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, console=silent(), **HERE)


def test_a_state_of_an_older_version_is_refused_in_words(tiny, whole, tmp_path):
    state = torch.load(whole[0].folder / "checkpoints" / "last.ckpt", weights_only=True)
    del state["poise"]["plan"]
    AtomicIO().save_checkpoint(state, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match="does not say plan: it was saved by another version"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, console=silent(), **HERE)


def test_a_run_whose_time_is_over_asks_for_more(tiny, tmp_path):
    flags = HERE | {"minutes": 1e-5, "console": silent()}
    fit(tiny.recipe(), out=tmp_path, **flags)
    with pytest.raises(InputError, match="--resume with more --minutes goes on"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, **flags)


def test_a_run_whose_steps_are_over_asks_for_more(tiny, tmp_path):
    fit(tiny.recipe(), out=tmp_path, steps=2, console=silent(), **HERE)
    with pytest.raises(InputError, match="2 of its 2 steps; --resume with more --steps goes on"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, steps=2, console=silent(), **HERE)


def test_a_run_whose_answers_meant_something_else_is_refused_and_its_settings_stay(tiny, tmp_path):
    fit(tiny.recipe(), out=tmp_path, steps=2, console=silent(), **HERE)
    before = (tmp_path / "settings.json").read_text()
    recipe = tiny.recipe()
    codec, network = recipe.model.codec, recipe.model.card.architecture
    recipe.model.codec = Gaussian(codec.size, codec.cells, codec.keypoints)
    with pytest.raises(CheckpointError, match=r"codec.type 'UDPGaussian' \(this recipe: 'Gaussian'\).*or begin anew"):
        fit(recipe, out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    recipe.model.codec = replace(codec, sigma=3.0)
    with pytest.raises(CheckpointError, match=r"codec.sigma 2.0 \(this recipe: 3.0\)"):
        fit(recipe, out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    recipe.model.codec = codec
    recipe.model.card = replace(recipe.model.card, architecture=replace(network, builder="tiny:Other"))
    with pytest.raises(CheckpointError, match=r"network.builder 'tiny:Net' \(this recipe: 'tiny:Other'\)"):
        fit(recipe, out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    assert (tmp_path / "settings.json").read_text() == before


def test_a_run_that_goes_on_at_another_rate_says_so(tiny, tmp_path):
    fit(tiny.recipe(), out=tmp_path, steps=2, console=silent(), **HERE)
    console = Console(record=True, width=200, file=io.StringIO())
    fit(tiny.recipe(tiny.Tiny(rate=5e-3)), out=tmp_path, resume=tmp_path, steps=3, console=console, **HERE)
    assert "the learning rate was 0.01 so far and is 0.005 from here on" in console.export_text()


def test_a_run_of_another_network_is_refused_and_its_settings_stay(tiny, tmp_path):
    fit(tiny.recipe(), out=tmp_path, steps=2, console=silent(), **HERE)
    before = (tmp_path / "settings.json").read_text()
    recipe = tiny.recipe(tiny.Tiny(average=None))
    with pytest.raises(CheckpointError, match=r"another network.*unexpected: average\."):
        fit(recipe, out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    assert (tmp_path / "settings.json").read_text() == before


@pytest.mark.parametrize(
    "flag", [{"batch": 0}, {"accumulate": 0}, {"devices": 0}, {"minutes": 0.0}, {"steps": 0}, {"workers": -1}]
)
def test_numbers_a_run_cannot_have_are_refused(tiny, tmp_path, flag):
    with pytest.raises(InputError, match=f"cannot be trained with .*{next(iter(flag))}"):
        fit(tiny.recipe(), out=tmp_path, console=silent(), **(HERE | flag))
    assert not list(tmp_path.iterdir())


def test_a_strategy_nobody_has_names_the_nearest(tiny, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'ddp'"):
        fit(tiny.recipe(), out=tmp_path, strategy="dpd", console=silent(), **HERE)


def test_a_run_goes_on_with_the_batch_and_seed_it_began_with(tiny, tmp_path):
    fit(tiny.recipe(), out=tmp_path, steps=2, console=silent(), **HERE)
    with pytest.raises(CheckpointError, match=r"'batch': 8.*'batch': 4"):
        fit(tiny.recipe(), out=tmp_path, resume=tmp_path, batch=4, console=silent(), **HERE)


def test_a_loss_that_is_not_finite_names_batch_rate_and_layer(tiny, tmp_path):
    recipe = tiny.recipe()
    layer = recipe.model.network.head
    layer.register_forward_hook(lambda m, i, o: o * float("nan") if m.training else o)
    with pytest.raises(TrainingError, match=r"(?s)step 0: the loss is nan.*layer head.*Learning rate.*dots-\d+\.png"):
        fit(recipe, out=tmp_path, console=silent(), **HERE)


def test_weights_that_are_not_finite_are_named(tiny, tmp_path):
    recipe = tiny.recipe()
    with torch.no_grad():
        recipe.model.network.backbone[3].weight[0] = float("inf")
    with pytest.raises(TrainingError, match=r"the weight backbone\.3\.weight"):
        fit(recipe, out=tmp_path, console=silent(), **HERE)


def test_too_little_memory_suggests_a_smaller_batch(tiny, tmp_path, monkeypatch):
    def losses(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TopDown, "losses", losses)
    with pytest.raises(TrainingError, match="--batch 4 --accumulate 2"):
        fit(tiny.recipe(), out=tmp_path, console=silent(), **HERE)


def test_a_full_disk_leaves_the_last_good_state(tmp_path, monkeypatch):
    state = tmp_path / "last.ckpt"
    AtomicIO().save_checkpoint({"step": 1}, state)

    def full(values, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WriteError, match=r"No space left.*last good one is kept"):
        AtomicIO().save_checkpoint({"step": 2}, state)
    assert torch.load(state, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_images_that_cannot_be_read_are_replaced_and_counted(tiny, tmp_path, monkeypatch):
    read = tiny.Dots.image

    def image(self, index):
        if index == 3 and self.seed == 0:
            raise ImageError("dots-3.png cannot be decoded")
        return read(self, index)

    monkeypatch.setattr(tiny.Dots, "image", image)
    console = Console(record=True, width=200, file=io.StringIO())
    fit(tiny.recipe(tiny.Tiny(epochs=1)), out=tmp_path, console=console, **HERE)
    text = console.export_text()
    assert "skipped: dots-3.png cannot be decoded" in text
    assert "1 images could not be read" in text


def test_images_that_vanish_are_told_by_workers_in_one_sentence(tiny, tmp_path, monkeypatch):
    read, here = tiny.Dots.image, os.getpid()

    def image(self, index):
        if os.getpid() != here:
            raise ImageError("dots.png is missing")
        return read(self, index)

    monkeypatch.setattr(tiny.Dots, "image", image)
    with pytest.raises(ImageError) as caught:
        fit(tiny.recipe(tiny.Tiny(epochs=1)), out=tmp_path, console=silent(), **(HERE | {"workers": 1}))
    assert str(caught.value) == "10 images in a row cannot be read; the first: dots.png is missing"


def test_a_frozen_backbone_keeps_weights_and_statistics_then_thaws(tiny, tmp_path):
    options = tiny.Tiny(epochs=2, freeze_epochs=1, average=None)
    before = {n: v.clone() for n, v in tiny.recipe(options).model.network.backbone.state_dict().items()}
    frozen = fit(tiny.recipe(options), out=tmp_path / "a", steps=5, console=silent(), **HERE).model.network
    assert all(torch.equal(v, before[n]) for n, v in frozen.backbone.state_dict().items())
    assert not torch.equal(frozen.head.weight, tiny.recipe(options).model.network.head.weight)
    thawed = fit(tiny.recipe(options), out=tmp_path / "b", steps=7, console=silent(), **HERE)
    state = torch.load(thawed.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not torch.equal(state["model.network.backbone.0.weight"], before["0.weight"])


def test_the_rate_follows_the_batch_and_says_so(tiny, tmp_path):
    console = Console(record=True, width=200, file=io.StringIO())
    result = fit(tiny.recipe(tiny.Tiny(epochs=1)), out=tmp_path, batch=4, console=console, **HERE)
    assert "x 4/8 = 0.005" in console.export_text()
    settings = json.loads((result.folder / "settings.json").read_text())
    assert settings["plan"]["rate"] == pytest.approx(0.005)


def test_time_that_is_over_ends_the_run_with_a_validation(tiny, tmp_path):
    options = tiny.Tiny(epochs=10_000)
    result = fit(tiny.recipe(options), out=tmp_path, minutes=0.02, console=silent(), **HERE)
    assert result.history[-1]["epoch"] < 10_000
    assert "pck@0.1" in result.metrics
    assert Path(result.file).is_file()


def test_a_batch_that_cannot_be_shared_is_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="cannot be shared by 3 processes"):
        fit(tiny.recipe(), out=tmp_path, devices=3, console=silent(), **HERE)


def test_model_and_data_must_have_the_same_keypoints(tiny):
    recipe = tiny.recipe()
    other = tiny.Skeleton("other", ("left_dot", "tail"), sigmas=(0.1, 0.1))
    codec = UDPGaussian(size=(64, 64), cells=(16, 16), keypoints=2)
    model = TopDown(tiny.Net(), codec, recipe.model.preprocess, other, recipe.model.card)
    with pytest.raises(InputError, match="left_dot, tail"):
        tiny.Recipe(name="x", model=model, train=tiny.Dots(4), val=None, epochs=1, batch=1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_in_bfloat16(tiny, tmp_path):
    result = fit(tiny.recipe(), out=tmp_path, device="cuda", workers=2, console=silent())
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["plan"]["precision"] == "bf16"
    assert result.history[-1]["train/loss"] < 0.7 * result.history[0]["train/loss"]
