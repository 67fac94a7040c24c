"""The start of an adaptation: drawn animals, learnt by a network that knows photographs."""

from pathlib import Path

import pytest
import torch

from poise.data.figures import FigureSequences, write_coco
from poise.data.frames import previous_images
from poise.errors import InputError
from poise.recipes.adapt import cc_ssl, source_only
from poise.recipes.adapting import AdaptOptions, CcSslOptions
from poise.recipes.domains import open_target
from poise.recipes.drawn_animals import drawn_animals
from poise.skeletons import ANIMAL18
from poise.weights.cache import PEOPLE, shipped
from poise.weights.model_file import load

PEOPLE_FILE = shipped(PEOPLE)


@pytest.mark.skipif(PEOPLE_FILE is None, reason="poise was installed without its own models")
@pytest.mark.parametrize(("width", "from_scratch", "same"), [("t", False, True), ("t", True, False), ("s", False, False)])
def test_the_backbone_of_width_t_starts_from_people_unless_that_is_declined(width, from_scratch, same):
    check_backbone(drawn_animals(images=1, checked=1, width=width, from_scratch=from_scratch).model, same=same)


def check_backbone(model, *, same):
    assert PEOPLE_FILE is not None
    people, own = load(PEOPLE_FILE).network.state_dict(), model.network.state_dict()
    trunk = [name for name in own if name.startswith("backbone.") and own[name].ndim == 4]
    assert trunk
    found = {own[name].shape == people[name].shape and torch.equal(own[name], people[name]) for name in trunk if name in people}
    assert found == {same}


@pytest.mark.skipif(PEOPLE_FILE is None, reason="poise was installed without its own models")
@pytest.mark.parametrize("from_scratch", [False, True])
def test_so_does_the_new_model_of_an_adaptation(from_scratch, drawn):
    file = drawn / "annotations.json"
    options = AdaptOptions(source=file, target=file, size=(64, 64), from_scratch=from_scratch)
    check_backbone(source_only(options).model, same=not from_scratch)


def test_views_of_a_new_model_are_those_of_the_source_s_recipe(drawn):
    """Upright views of people cost twice the time, most of which looks above and below a four-legged animal."""
    some = {"source": Path("drawn_animals"), "source_set": ["images=2", "checked=1"], "target": drawn / "annotations.json"}
    assert source_only(AdaptOptions(**some)).model.codec.size == (128, 128)
    assert source_only(AdaptOptions(**some, size=(64, 32))).model.codec.size == (64, 32)
    assert source_only(AdaptOptions(**some | {"source": some["target"], "source_set": None})).model.codec.size == (192, 160)


def test_a_model_to_start_from_is_not_random(drawn):
    file = drawn / "annotations.json"
    with pytest.raises(InputError, match="--from-scratch begins with random weights, and --start with those of a model"):
        source_only(AdaptOptions(source=file, target=file, start=file, from_scratch=True))


def test_published_maps_are_square_which_is_said_before_anything_is_made(drawn):
    file = drawn / "annotations.json"
    with pytest.raises(InputError, match=r"16x8 cells; leave --published out"):
        cc_ssl(CcSslOptions(source=file, target=file, size=(64, 32), published=True))


@pytest.mark.parametrize(("epochs", "begin"), [(1, 0), (2, 1), (3, 1), (30, 10)])
def test_labels_are_not_those_of_an_untrained_model_where_there_is_an_epoch_to_learn_in(epochs, begin, drawn):
    file = drawn / "annotations.json"
    assert CcSslOptions(source=file, target=file, epochs=epochs).begin == begin


def test_learn_norms_is_for_a_model_to_start_from(drawn):
    file = drawn / "annotations.json"
    with pytest.raises(InputError, match="--learn-norms is for the model of --start"):
        source_only(AdaptOptions(source=file, target=file, learn_norms=True))


def test_optical_flow_asks_for_sequences_which_a_coco_file_may_have(drawn, tmp_path):
    file = drawn / "annotations.json"
    with pytest.raises(InputError, match="--temporal follows the frames of a sequence"):
        cc_ssl(CcSslOptions(source=file, target=file, temporal=True))
    video = write_coco(FigureSequences(2, frames=2, size=(64, 64), keypoints="animal18"), tmp_path)
    target = open_target(video, None, skeleton=ANIMAL18, boxes=None, categories=())
    assert target.labelled
    assert previous_images(target) == [None, 0, None, 2]
    cc_ssl(CcSslOptions(source=video, source_images=tmp_path / "images", val_share=0.5, target=video, temporal=True))
