"""Flags of how boxes become views, of `poise evaluate` and `predict`: one meaning in each."""

import json

import cv2
import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.cli.options import CropOptions
from poise.data.figures import FigureDataset
from poise.data.figures.export import write_coco
from poise.errors import InputError
from poise.weights.model_file import save
from poise.zoo import build
from poise.zoo.blazepose import blazepose


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Drawn people with labels, and a model that looks at one person at a time."""
    folder = tmp_path_factory.mktemp("home")
    write_coco(FigureDataset(2, size=(96, 96)), folder)
    torch.manual_seed(0)
    save(build("poise_t_coco_64x64", codec="Gaussian"), folder / "person.safetensors")
    save(build("poise_scene_t_coco_64x64"), folder / "scene.safetensors")
    return folder


def results(home, tmp_path, *more) -> list:
    out = tmp_path / "out.json"
    out.unlink(missing_ok=True)
    words = [home / "person.safetensors", "--annotations", home / "annotations.json", "--images", home / "images"]
    assert main(["evaluate", *map(str, words), "--no-flip", "--out", str(out), *more]) == 0
    return [row["keypoints"] for row in json.loads(out.read_text())]


def test_padding_and_sides_of_boxes_change_what_evaluation_sees(home, tmp_path):
    as_trained = results(home, tmp_path)
    assert results(home, tmp_path, "--padding", "1.25") == as_trained
    assert results(home, tmp_path, "--padding", "1.6") != as_trained
    assert results(home, tmp_path, "--box-sides", "1.3", "1.1") != as_trained
    assert results(home, tmp_path, "--padding", "2.5") == results(
        home, tmp_path, "--box-sides", "2", "2", "--padding", "1.25"
    ), "both factors are of the whole box"


def test_prediction_crops_as_evaluation_does(home, tmp_path):
    image = tmp_path / "1.png"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    found = []
    for number, more in enumerate([[], ["--padding", "1.25"], ["--padding", "1.6"]]):
        out = tmp_path / str(number)
        words = ["predict", str(image), "--model", str(home / "person.safetensors"), "--whole-image", "--out", str(out)]
        assert main([*words, *more]) == 0
        found.append([row["keypoints"] for row in json.loads((out / "predictions.json").read_text())])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("flag", [["--padding", "1.1"], ["--box-sides", "1", "1.2"]])
def test_models_of_whole_images_crop_no_boxes(home, capsys, flag):
    words = [home / "scene.safetensors", "--annotations", home / "annotations.json", "--images", home / "images"]
    assert main(["evaluate", *map(str, words), *flag]) == 1
    assert f"crops no boxes of people; leave out {flag[0]}" in capsys.readouterr().err


def test_passes_are_those_of_models_that_turn_their_views_and_are_given_boxes():
    blaze, plain = blazepose("lite"), build("poise_t_coco_64x64")
    CropOptions(passes=2, padding=1.5, box_sides=(1.0, 1.2)).adjust(blaze)
    assert (blaze.preprocess.passes, blaze.preprocess.padding, blaze.preprocess.sides) == (2, 1.5, (1.0, 1.2))
    CropOptions(padding=1.1).adjust(blaze, boxes=False)
    assert blaze.preprocess.padding == 1.1
    refused = [
        (plain, CropOptions(passes=2), {}, "turns no views; leave out --passes"),
        (blaze, CropOptions(passes=1), {"boxes": False}, "leave out --passes"),
        (blaze, CropOptions(passes=1), {"video": True}, "leave out --passes"),
        (blaze, CropOptions(box_sides=(1.0, 1.2)), {"boxes": False}, "leave out --box-sides"),
    ]
    for model, options, how, said in refused:
        with pytest.raises(InputError, match=said):
            options.adjust(model, **how)
    assert main(["evaluate", "x.safetensors", "--annotations", "x.json", "--passes", "3"]) == 1


def test_factors_that_cannot_be_are_refused():
    model = build("poise_t_coco_64x64")
    with pytest.raises(InputError, match="above 0"):
        CropOptions(box_sides=(0.0, 1.0)).adjust(model)
    assert main(["evaluate", "x.safetensors", "--annotations", "x.json", "--padding", "0"]) == 1
