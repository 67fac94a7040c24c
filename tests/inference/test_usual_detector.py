"""A published top-down model of people is given a detector where nobody says where to look, and it is said which."""

from dataclasses import replace

import pytest

from poise.errors import CheckpointError, ReadError
from poise.inference import usual_detector as module
from poise.inference.usual_detector import BLAZEPOSE, OURS, TORCHVISION, usual_detector
from poise.skeletons import QUADRUPED
from poise.skeletons.registry import find
from poise.weights.cache import model_place
from poise.zoo.simple_baselines import poseresnet


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("poise.weights.cache.SHIPPED", tmp_path / "none")
    monkeypatch.setattr(module, "has_weights", lambda name: False)
    monkeypatch.setattr(module, "bring_weights", _no_network)
    monkeypatch.setattr(module, "get", _no_network)


def _no_network(name, **_):
    raise ReadError(f"{name} cannot be downloaded; put it there")


@pytest.fixture(scope="module")
def model():
    return poseresnet(18, size=(64, 64), name="published")


def picked(model, file=None):
    said = []
    return usual_detector(model, file or model_place("published"), say=said.append), said


def keep(*names):
    for name in names:
        place = model_place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")


def test_a_detector_that_is_here_is_taken_the_best_first(model, monkeypatch):
    keep(BLAZEPOSE)
    assert picked(model)[0] == BLAZEPOSE
    monkeypatch.setattr(module, "has_weights", lambda name: name in TORCHVISION[1:])
    name, said = picked(model)
    assert name == TORCHVISION[1]
    assert len(said) == 1
    assert said[0].startswith(f"boxes of people are found by torchvision's {name}, which is here; --detector FILE|NAME takes")
    for name in reversed(next(iter(OURS.values()))):
        keep(name)
        assert picked(model)[0] == name


def test_else_the_usual_one_of_people_or_hands_is_got_and_named(model, monkeypatch):
    brought = []
    monkeypatch.setattr(module, "get", lambda name, say: brought.append(name))
    name, said = picked(model)
    assert said[0].startswith("boxes of people are found by rtmdet_m, which is downloaded once")
    hands = picked(poseresnet(18, size=(64, 64), skeleton=find("hand21")))
    assert hands[1][0].startswith("boxes of hands are found by rtmdet_nano_hand")
    assert brought == ["rtmdet_m", "rtmdet_nano_hand"] == [name, hands[0]]


@pytest.mark.parametrize("fault", [ReadError, CheckpointError])
def test_where_it_cannot_be_had_torchvision_s_is_downloaded_and_its_terms_are_said(model, monkeypatch, fault):
    brought = []

    def down(name, say):
        raise fault(f"{name} cannot be had")

    monkeypatch.setattr(module, "get", down)
    monkeypatch.setattr(module, "bring_weights", brought.append)
    name, said = picked(model)
    assert [name] == brought == [TORCHVISION[0]]
    assert said[1] == "rtmdet_m cannot be had"
    assert "are downloaded once; BSD-3-Clause (code); the weights come from COCO's images" in said[2]
    assert picked(poseresnet(18, size=(64, 64), skeleton=find("hand21")))[0] is None


def test_without_a_network_it_is_told_and_each_image_stays_one_box(model):
    name, said = picked(model)
    assert name is None
    assert said[-1] == f"{TORCHVISION[0]} cannot be downloaded; put it there"


def test_models_of_one_s_own_of_animals_and_of_whole_images_are_left_alone(model, tmp_path):
    assert picked(model, tmp_path / "mine.safetensors") == (None, [])
    assert picked(poseresnet(18, size=(64, 64), skeleton=QUADRUPED)) == (None, [])
    wide = poseresnet(18, size=(64, 64))
    wide.card = replace(wide.card, box_share=0.9)
    assert picked(wide) == (None, [])
