"""`--plugin`: commands use a package of the user's own, each in a process of its own, as they are typed."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

import poise
from poise import zoo
from poise.cli.main import main, overview
from poise.data.figures import FigureDataset, write_coco
from poise.models.card import Card
from poise.plugins import named
from poise.structures import Architecture


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    write_coco(FigureDataset(8, size=(96, 96)), tmp_path / "drawn")
    return tmp_path / "drawn"


def files(drawn: Path) -> list[str]:
    return ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images")]


SHORT = ["--steps", "2", "--batch", "4", "--workers", "0", "--device", "cpu", "--val-share", "0.3"]


def test_a_model_and_a_codec_of_ones_own_train_go_on_and_evaluate_by_their_names(
    mypkg, home, drawn, monkeypatch, poise_process
):
    monkeypatch.undo()  # the commands find the package in the folder where they are typed
    run = home / "run"
    made = ["train", "own", *files(drawn), *SHORT, "--model", "mine_coco_64x64", "--out", str(run)]
    unnamed = poise_process(home, *made)
    assert (unnamed.returncode, "there is no model 'mine_coco_64x64'" in unnamed.stderr) == (1, True), unnamed.stderr
    trained = poise_process(home, "--plugin", mypkg, *made)
    assert trained.returncode == 0, trained.stderr
    assert json.loads((run / "settings.json").read_text())["settings"]["plugins"] == [mypkg]

    again = ["train", "--resume", str(run), "--steps", "3"]
    unnamed = poise_process(home, *again)
    assert unnamed.returncode == 1
    assert f"was trained with --plugin {mypkg}; add that here too" in unnamed.stderr
    resumed = poise_process(home, *again, f"--plugin={mypkg}")
    assert resumed.returncode == 0, resumed.stderr

    (home / "imported").unlink()
    measured = ["evaluate", str(run / "model.safetensors"), *files(drawn), "--device", "cpu"]
    unnamed = poise_process(home, *measured)
    assert unnamed.returncode == 1
    assert f"add --plugin {mypkg}" in unnamed.stderr
    assert unnamed.stderr.count("\n") == 1
    assert not (home / "imported").exists(), "code of a package that was not named was run"
    named = poise_process(home, *measured, "--plugin", mypkg)
    assert named.returncode == 0, named.stderr
    assert "AP" in named.stdout
    verified = poise_process(home, "verify", str(run), "--plugin", mypkg)
    assert verified.returncode == 0, verified.stderr + verified.stdout


def test_the_package_of_a_run_of_ones_own_is_named_by_who_types_it_and_again_to_go_on(mypkg, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    torch.set_num_threads(1)
    words = ["train", f"{mypkg}.runs:mine", "--count", "4", "--steps", "2", "--workers", "0", "--device", "cpu"]
    assert main([*words, "--out", "run"]) == 0
    assert "plugins" not in json.loads((home / "run" / "settings.json").read_text())["settings"]
    monkeypatch.setattr("poise.plugins._named", {})  # as in another process
    assert main(["train", "--resume", "run", "--steps", "3"]) == 1
    assert capsys.readouterr().err.endswith(f"add --plugin {mypkg}\n")
    assert main(["train", "--resume", "run", "--steps", "3", "--plugin", mypkg]) == 0
    assert type(poise.load(home / "run" / "model.safetensors").codec).__name__ == "MyCodec"


def test_a_codec_of_ones_own_goes_with_any_network(mypkg, home, drawn, monkeypatch):
    monkeypatch.chdir(home)
    torch.set_num_threads(1)
    words = ["train", "own", *files(drawn), *SHORT, "--model", "poise_t", "--size", "64", "64", "--codec", "MyCodec"]
    assert main([*words, "--codec-set", "power=2.5", "--plugin", mypkg, "--out", "run"]) == 0
    assert poise.load(home / "run" / "model.safetensors").codec.power == 2.5


@pytest.mark.parametrize("command", ["evaluate", "predict", "explain", "calibrate", "train"])
def test_a_strangers_file_runs_none_of_his_code(mypkg, home, drawn, monkeypatch, command, capsys):
    """The folder that a stranger sends: a model file, and its package, which lies where the command is typed."""
    network = importlib.import_module(f"{mypkg}.nets").my_network(8, 17)
    model = zoo.build("poise_t_coco_64x64")
    model.network = network
    model.card = Card("gift", Architecture(f"{mypkg}.nets:my_network", {"width": 8, "channels": 17}))
    poise.save(model, home / "gift.safetensors")
    (home / "imported").unlink()
    for module in [module for module in sys.modules if module.partition(".")[0] == mypkg]:
        del sys.modules[module]
    monkeypatch.chdir(home)
    words = {
        "evaluate": ["gift.safetensors", *files(drawn)],
        "predict": [str(drawn / "images"), "--model", "gift.safetensors"],
        "explain": ["gift.safetensors", "1", *files(drawn)],
        "calibrate": ["gift.safetensors", *files(drawn), "--out", "calibrated.safetensors"],
        "train": ["own", *files(drawn), *SHORT, "--model", "poise_t", "--start", "gift.safetensors", "--out", "run"],
    }[command]
    assert main([command, *words]) == 1
    text = capsys.readouterr().err
    assert f"'{mypkg}.nets:my_network' is no part of this poise" in text
    assert f"add --plugin {mypkg}" in text
    assert not (home / "imported").exists()
    assert not any(module.partition(".")[0] == mypkg for module in sys.modules)


@pytest.mark.parametrize("words", [["--plugin"], ["zoo", "--plugin"], ["--plugin", "--help"], ["zoo", "--plugin="]])
def test_a_plugin_without_a_name_is_refused(words, nobody_named, capsys):
    assert main(words) == 1
    assert "--plugin wants the name of a package" in capsys.readouterr().err


def test_a_plugin_that_is_not_there_is_one_sentence(nobody_named, capsys):
    assert main(["zoo", "--plugin", "mypgk"]) == 1
    assert capsys.readouterr().err.startswith("poise: there is no module 'mypgk' to be a plugin; ")


def test_several_plugins_may_be_named_before_and_after_a_command(nobody_named, capsys):
    assert main(["--plugin", "json", "zoo", "--plugin=colorsys", "--help"]) == 0
    assert named()[:2] == ("json", "colorsys")


def test_help_says_what_a_plugin_is():
    assert "--plugin PACKAGE" in overview()
    assert "model files may then run code of it" in overview()
