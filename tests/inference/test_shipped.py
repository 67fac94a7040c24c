"""Models that come with poise: known by name, taken where none is named, and said."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import poise
from poise.cli.main import main
from poise.data.images import write_image
from poise.errors import CheckpointError, InputError
from poise.models.keypoint_fcos import KeypointFCOS
from poise.weights import cache
from poise.weights.kernels import SCALE, unpacked
from poise.weights.model_file import load, save
from poise.zoo.plain import plain
from poise.zoo.rcnn.keypoint_fcos import slim_fcos


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of models that come with poise, with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("shipped")
    save(plain("t", size=(64, 64), name=cache.PEOPLE), folder / f"{cache.PEOPLE}.safetensors", kernels="int8")
    detector = slim_fcos("t", size=(64, 64), finest=8, name=cache.PEOPLE_DETECTOR)
    torch.nn.init.constant_(detector.network.head.classification_head.cls_logits.bias, 2.0)  # so that it finds somebody
    save(detector, folder / f"{cache.PEOPLE_DETECTOR}.safetensors", kernels="float16")
    return folder


@pytest.fixture
def box(made, tmp_path, monkeypatch):
    """An installation with these models and an empty cache."""
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "SHIPPED", made)
    return made


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.jpg", np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8))
    return str(tmp_path / "photo.jpg")


def test_without_a_model_those_that_come_with_poise_find_people_and_their_boxes(box, photo, tmp_path, capsys):
    assert main(["predict", photo, "--out", str(tmp_path / "out")]) == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "no model was given: it is poise_people, which comes with poise; --model FILE|NAME takes another" in said
    assert "boxes of people are found by poise_people_detector, which comes with poise; --detector FILE|NAME takes" in said
    people = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert people
    assert len(people[0]["keypoints"]) == 51


def test_detect_without_a_detector_takes_the_one_that_comes_with_poise(box, photo, tmp_path, capsys):
    assert main(["detect", photo, "--out", str(tmp_path / "boxes.json")]) == 0
    assert "no detector was given: it is poise_people_detector, which comes with" in " ".join(capsys.readouterr().err.split())
    assert json.loads((tmp_path / "boxes.json").read_text())


def test_they_are_known_by_name_in_python_and_nothing_is_to_get(box, capsys):
    assert poise.load("poise_people").card.name == "poise_people"
    assert isinstance(load("poise_people_detector"), KeypointFCOS)
    assert main(["get", "Poise-People"]) == 0
    assert "comes with poise" in capsys.readouterr().out
    assert main(["get"]) == 0
    own, rest = capsys.readouterr().out.split("models in ")
    assert "poise_people_detector" in own
    assert "none yet" in rest


def test_no_other_file_is_taken_for_one_of_them(box, tmp_path):
    (tmp_path / "mine.safetensors").touch()
    assert cache.shipped(str(tmp_path / "mine")) is None
    assert cache.shipped(cache.PEOPLE) == box / "poise_people.safetensors"


def test_an_installation_without_them_says_what_to_do(photo, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "none")
    assert main(["predict", photo]) == 1
    assert main(["detect", photo]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "no model was given, and the default one, blazepose_full" in said
    assert "no detector was given, and poise was installed without its own; name one with --detector" in said


@pytest.mark.parametrize(("kernels", "size", "step"), [("float16", 0.52, 2**-11), ("int8", 0.27, 1 / 254)])
def test_kernels_in_fewer_bits_are_smaller_and_read_as_float32(kernels, size, step, tmp_path):
    torch.manual_seed(0)
    model = plain("t", size=(64, 64))
    whole = save(model, tmp_path / "whole.safetensors")
    assert main(["export", str(whole), "--out", str(tmp_path / "few.safetensors"), "--kernels", kernels]) == 0
    few = tmp_path / "few.safetensors"
    assert few.stat().st_size < size * whole.stat().st_size
    read = load(few).network.state_dict()
    for name, value in model.network.state_dict().items():
        assert read[name].dtype == value.dtype
        most = value.flatten(1).abs().amax(dim=1).view(-1, *[1] * (value.ndim - 1)) if value.ndim > 1 else torch.zeros(())
        assert (read[name] - value).abs().le(1.001 * step * most).all()
    assert main(["export", str(whole), "--out", str(tmp_path / "no.safetensors"), "--flip"]) == 1
    assert main(["export", str(whole), "--out", str(tmp_path / "no.onnx"), "--kernels", kernels]) == 1
    assert main(["export", str(whole), "--out", str(tmp_path / "no.safetensors"), "--kernels", "int4"]) == 1


def test_weights_beyond_float16_are_not_halved(tmp_path):
    model = plain("t", size=(64, 64))
    with torch.no_grad():
        model.network.head.final.weight[0, 0] = 1e6
    with pytest.raises(InputError, match=r"head\.final\.weight has values beyond those of float16"):
        save(model, tmp_path / "model.safetensors", kernels="float16")
    assert not (tmp_path / "model.safetensors").exists()


def test_kernels_without_their_scales_are_refused(made):
    file = made / f"{cache.PEOPLE}.safetensors"
    weights = {name: value for name, value in load_file(file).items() if not name.endswith(SCALE)}
    with pytest.raises(CheckpointError, match="do not belong together"):
        unpacked(weights)


@pytest.mark.skipif(not cache.SHIPPED.is_dir(), reason="this copy has no models of its own")
def test_the_models_of_this_package_are_small_and_say_where_they_are_from():
    files = sorted(cache.SHIPPED.glob("*.safetensors"))
    assert [file.stem for file in files] == [cache.PEOPLE, cache.PEOPLE_DETECTOR]
    assert sum(file.stat().st_size for file in files) < 8e6
    for file in files:
        model = load(file)
        assert (model.card.name, model.card.licence) == (file.stem, "Apache-2.0")
        assert "docs/people.md" in model.card.notes
