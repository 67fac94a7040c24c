import csv
import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from poise.data.figures import FigureDataset
from poise.errors import CheckpointError, InputError, WriteError
from poise.training import module as module_file
from poise.training.fit import fit
from poise.training.stages import best_stage
from poise.zoo.plain import plain

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def silent():
    return Console(quiet=True)


def recorder():
    return Console(record=True, width=200, file=io.StringIO())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def weights(folder):
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Three stages nobody interrupts, and what they told."""
    torch.set_num_threads(1)
    console = recorder()
    result = fit(tiny.recipe().staged(3), out=tmp_path_factory.mktemp("whole"), console=console, **HERE)
    return result, console.export_text()


def test_each_stage_is_a_whole_run_and_the_table_has_their_scores(whole):
    result, text = whole
    assert [path.name for path in sorted(result.folder.glob("stage?"))] == ["stage0", "stage1", "stage2"]
    rows = list(csv.DictReader((result.folder / "metrics.csv").read_text().splitlines()))
    assert [(row["stage"], row["epoch"]) for row in rows] == [(str(s), str(e)) for s in range(3) for e in (1, 2, 3)]
    assert len(result.stages) == 3
    for number, scores in enumerate(result.stages):
        best = max(float(row["val/pck@0.1"]) for row in rows if row["stage"] == str(number))
        assert scores["pck@0.1"] == pytest.approx(best)
        assert f"{scores['pck@0.1']:.4f}" in text
    assert "stage 2 of 0 to 2 is done" in text
    assert len(result.history) == 9


def test_every_stage_has_the_learning_rate_back_at_its_start(whole):
    rates = [row["rate"] for row in whole[0].history]
    assert rates[0:3] == rates[3:6] == rates[6:9]
    assert rates[0] > rates[2]


def test_a_stage_starts_from_the_best_weights_of_the_one_before_and_sees_other_views(tiny, whole, tmp_path):
    recipe = tiny.recipe()
    recipe.model.network.load_state_dict(weights(whole[0].folder / "stage0"))
    settings = json.loads((whole[0].folder / "stage1" / "settings.json").read_text())
    assert settings["plan"]["seed"] != 0
    alone = fit(recipe, out=tmp_path, seed=settings["plan"]["seed"], console=silent(), **HERE)
    assert same(weights(alone.folder), weights(whole[0].folder / "stage1"))


def test_the_model_of_the_run_is_that_of_its_best_stage(whole):
    result, _ = whole
    chosen = best_stage(result.stages, best="pck@0.1")
    assert same(weights(result.folder), weights(result.folder / f"stage{chosen}"))
    assert result.metrics == result.stages[chosen]
    assert same(dict(result.model.network.state_dict()), weights(result.folder))


def test_of_two_stages_alike_the_later_is_best():
    assert best_stage([{"AP": 0.5}, {"AP": 0.5}, {"AP": 0.1}], best="AP") == 1
    assert best_stage([{}, {}], best="AP") == 1


def ends_as(folder, again, whole):
    for stage in ("stage0", "stage1", "stage2", "."):
        assert same(weights(folder / stage), weights(whole.folder / stage)), stage
    assert again.stages == whole.stages
    assert [row["train/loss"] for row in again.history] == [row["train/loss"] for row in whole.history]


def test_a_run_killed_in_its_second_stage_goes_on_there_to_the_same_end(tiny, script, whole, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, str(script), "--out", str(folder), "--stages", "3", "--save-minutes", "0.0001", "--slow"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    state, until = folder / "stage1" / "checkpoints" / "last.ckpt", time.monotonic() + 60
    while not state.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0, output
    assert len(json.loads((folder / "stages.json").read_text())["done"]) == 1
    console = recorder()
    again = fit(tiny.recipe().staged(3), out=folder, resume=folder, console=console, **HERE)
    assert "tiny, stage 0:" not in console.export_text()
    ends_as(folder, again, whole[0])


def test_ctrl_c_in_the_second_stage_names_the_run_and_goes_on_there(tiny, whole, tmp_path, monkeypatch):
    console = recorder()
    with monkeypatch.context() as patch:
        step = module_file.Module.training_step

        def ask(self, parcel, batch_idx):
            if (self.recipe.name, self.current_epoch, batch_idx) == ("tiny, stage 1", 1, 2):
                signal.raise_signal(signal.SIGINT)
            return step(self, parcel, batch_idx)

        patch.setattr(module_file.Module, "training_step", ask)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny.recipe().staged(3), out=tmp_path, console=console, **HERE)
    assert f"go on with --resume {tmp_path}\n" in console.export_text()
    again = fit(tiny.recipe().staged(3), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    ends_as(tmp_path, again, whole[0])


def test_a_run_killed_between_two_stages_goes_on_with_the_next(tiny, whole, tmp_path):
    fit(tiny.recipe().staged(2), out=tmp_path, console=silent(), **HERE)
    again = fit(tiny.recipe().staged(3), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    assert again.stages == whole[0].stages
    assert same(weights(tmp_path), weights(whole[0].folder))


def test_a_finished_run_resumed_stays_as_it_is_and_says_so(tiny, whole):
    console = recorder()
    again = fit(tiny.recipe().staged(3), out=whole[0].folder, resume=whole[0].folder, console=console, **HERE)
    assert "3 of 3 stages are done" in console.export_text()
    assert again.stages == whole[0].stages
    assert same(dict(again.model.network.state_dict()), weights(whole[0].folder))


def test_steps_are_shared_by_the_epochs_of_stages(tiny, tmp_path):
    recipe = tiny.recipe()
    both = replace(recipe, epochs=1, then=(replace(recipe, epochs=3, average=None),))
    result = fit(both, out=tmp_path, steps=8, console=silent(), **HERE)
    last = {row["stage"]: row["step"] for row in result.history}
    assert last == {0: 2, 1: 6}


def test_stages_may_differ_but_not_in_their_keypoints(tiny):
    recipe = tiny.recipe()
    animals = FigureDataset(2, size=(64, 64), kind="animals")
    other = replace(recipe, model=plain("t", skeleton=animals.skeleton, size=(64, 64)), train=animals, val=None)
    for wrong in (other, replace(recipe, then=(recipe,))):
        with pytest.raises(InputError, match="the recipe's own keypoints, and have no stages itself"):
            replace(recipe, then=(wrong,))
    with pytest.raises(InputError, match="2 stages of its own"):
        replace(recipe, then=(recipe,)).staged(2)
    with pytest.raises(InputError, match="at least one stage"):
        recipe.staged(0)


def test_folders_of_runs_and_of_stages_are_not_taken_for_each_other(tiny, whole, tmp_path):
    folder = whole[0].folder
    with pytest.raises(WriteError, match="already holds a run"):
        fit(tiny.recipe().staged(2), out=folder, console=silent(), **HERE)
    with pytest.raises(CheckpointError, match="a run of several stages; name its --stages"):
        fit(tiny.recipe(), out=folder, resume=folder, console=silent(), **HERE)
    for recipe in (tiny.recipe(), tiny.recipe().staged(3)):
        with pytest.raises(CheckpointError, match=r"stage1 is a stage of the run in .*go on with --resume"):
            fit(recipe, out=folder, resume=folder / "stage1", console=silent(), **HERE)
    with pytest.raises(CheckpointError, match="holds no run"):
        fit(tiny.recipe().staged(2), out=tmp_path, resume=tmp_path, console=silent(), **HERE)
    fit(tiny.recipe(), out=tmp_path, steps=1, console=silent(), **HERE)
    with pytest.raises(CheckpointError, match="a run of one stage"):
        fit(tiny.recipe().staged(2), out=tmp_path, resume=tmp_path, console=silent(), **HERE)


def test_a_stage_tells_the_epochs_it_trained_not_those_it_planned(tiny, tmp_path):
    console = recorder()
    fit(tiny.recipe(tiny.Tiny(epochs=150, people=24)).staged(2), out=tmp_path / "run", steps=6, console=console, **HERE)
    done = json.loads((tmp_path / "run/stages.json").read_text())["done"]
    assert [stage["epochs"] for stage in done] == [1, 1]
    assert "150" not in console.export_text().split("stages; scores of each")[1]
