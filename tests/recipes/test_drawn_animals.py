"""The start of an adaptation: drawn animals, learnt by a network that knows photographs."""

import pytest
import torch

from poise.recipes.drawn_animals import drawn_animals
from poise.weights.cache import PEOPLE, shipped
from poise.weights.model_file import load

PEOPLE_FILE = shipped(PEOPLE)


@pytest.mark.skipif(PEOPLE_FILE is None, reason="poise was installed without its own models")
@pytest.mark.parametrize(("width", "pretrained", "same"), [("t", True, True), ("t", False, False), ("s", True, False)])
def test_the_backbone_of_width_t_starts_from_people_unless_that_is_declined(width, pretrained, same):
    assert PEOPLE_FILE is not None
    people = load(PEOPLE_FILE).network.state_dict()
    own = drawn_animals(images=1, checked=1, width=width, pretrained=pretrained).model.network.state_dict()
    trunk = [name for name in own if name.startswith("backbone.") and own[name].ndim == 4]
    assert trunk
    found = {own[name].shape == people[name].shape and torch.equal(own[name], people[name]) for name in trunk if name in people}
    assert found == {same}
