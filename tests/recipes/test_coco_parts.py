"""Runs on COCO: several parts together, and a backbone from a file of others, as they are typed."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset
from poise.errors import InputError
from poise.nn.backbones.resnet import ResNet
from poise.notes import forget_notes
from poise.recipes.changes import changed
from poise.recipes.options import RecipeChanges
from poise.recipes.simple_baselines import simple_baseline

spec = importlib.util.spec_from_file_location("fake_coco", Path(__file__).parents[1] / "data" / "fakes" / "coco.py")
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """COCO 2017 as its archives unpack, made up: two parts of four images each."""
    home = tmp_path_factory.mktemp("coco")
    file, images = fake.write(home)
    for kind, place in ((".json", file), ("", images)):
        other = place.with_name(place.name.replace("val2017", "train2017"))
        if kind:
            document = json.loads(place.read_text())
            other.write_text(json.dumps(document))
        else:
            other.mkdir()
            for image in place.iterdir():
                (other / image.name).write_bytes(image.read_bytes())
    return home


def test_several_parts_are_one_training_set_and_a_validation_on_them_is_told(coco, capsys):
    forget_notes()
    recipe = simple_baseline(data=coco, depth=18, size=(64, 64), pretrained=False)
    both = changed(recipe, RecipeChanges(parts=["train2017", "val2017"]))
    assert len(both.train) == 2 * len(recipe.train)
    assert len(both.train.people()) == 2 * len(recipe.train.people())
    assert "person_keypoints_train2017 + person_keypoints_val2017 (person_keypoints_train2017)" in both.differs
    assert "the images of the validation are learnt from too (person_keypoints_val2017.json)" in capsys.readouterr().err
    alone = changed(recipe, RecipeChanges(parts=["train2017"]))
    assert len(alone.train) == len(recipe.train)


def test_parts_are_refused_for_other_data(coco):
    recipe = simple_baseline(data=coco, depth=18, size=(64, 64), pretrained=False)
    own = replace(recipe, name="own", train=FigureDataset(2, size=(64, 64)))
    with pytest.raises(InputError, match=r"--parts are those of COCO 2017.*own learns from other data"):
        changed(own, RecipeChanges(parts=["train2017"]))


def test_a_run_is_typed_with_parts_and_a_backbone_of_others(coco, tmp_path, capsys):
    body = ResNet(18)
    torch.save({**body.state_dict(), "fc.weight": torch.zeros(10, 512)}, tmp_path / "resnet18.pth")
    words = ["train", "simple_baseline", "--data", str(coco), "--depth", "18", "--size", "64", "64", "--batch", "2"]
    words += ["--parts", "train2017", "val2017", "--backbone-weights", str(tmp_path / "resnet18.pth"), "--steps", "1"]
    words += ["--workers", "0", "--device", "cpu", "--precision", "fp32", "--logger", "none", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "resnet18.pth: all 100 weights of the backbone" in said
    assert "left aside: fc.weight" in said
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert main([*words, "--start", str(tmp_path / "run" / "model.safetensors"), "--out", str(tmp_path / "again")][:-2]) == 1
    assert "leave it or --backbone-weights out" in capsys.readouterr().err
