import json

import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.zoo.file import load


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_coco(FigureDataset(12, size=(96, 96)), folder)
    return folder


def words(drawn, *more):
    files = ["--annotations", str(drawn / "annotations.json"), "--images", str(drawn / "images"), "--val-share", "0.3"]
    small = ["--model", "poise_t", "--size", "64", "64", "--epochs", "2", "--workers", "0", "--batch", "4", "--device", "cpu"]
    return ["train", "own", *files, *small, *map(str, more)]


@pytest.fixture(scope="module")
def trained(drawn, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(words(drawn, "--out", out, "--steps", 3)) == 0
    return out


def test_the_flags_are_the_recipes_and_the_runs(trained):
    settings = json.loads((trained / "settings.json").read_text())
    assert settings["epochs"] == 2
    assert settings["plan"]["batch"] == 4
    assert settings["settings"]["command"][0] == "own"
    assert load(trained / "model.safetensors").codec.size == (64, 64)


def test_a_run_goes_on_without_naming_its_recipe_again(trained):
    assert main(["train", "--resume", str(trained), "--steps", "4"]) == 0
    assert (trained / "metrics.csv").read_text().count("\n") == 3


def test_a_model_can_be_the_start_of_another(drawn, trained, tmp_path, capsys):
    start = trained / "model.safetensors"
    assert main(words(drawn, "--out", tmp_path / "tuned", "--start", start, "--steps", 1, "--freeze-epochs", 1)) == 0
    assert "kept the backbone and 17 keypoints" in capsys.readouterr().out
    old, new = load(start), load(tmp_path / "tuned" / "model.safetensors")
    for name, value in old.network.backbone.state_dict().items():
        assert torch.equal(value, new.network.backbone.state_dict()[name]), name


def test_a_wrong_flag_names_the_nearest(drawn, capsys):
    assert main(words(drawn, "--epoch", 3)) == 2
    assert "--epochs" in capsys.readouterr().err


def test_a_wrong_recipe_names_the_nearest(capsys):
    assert main(["train", "hrnt"]) == 1
    assert "did you mean 'hrnet'" in capsys.readouterr().err


def test_help_lists_the_recipes_and_each_shows_its_flags(capsys):
    assert main(["train", "--help"]) == 0
    assert "simple_baseline" in capsys.readouterr().out
    assert main(["train", "own", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--val-share" in text
    assert "--minutes" in text
    assert "poise train own --annotations" in text


def test_without_a_recipe_there_must_be_a_run(capsys):
    assert main(["train", "--epochs", "3"]) == 1
    assert "wants a recipe" in capsys.readouterr().err
