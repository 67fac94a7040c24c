import math
from dataclasses import replace

import pytest

from poise.errors import InputError, UnknownName
from poise.recipes.fields import set_codec
from poise.zoo.offset_guided import bottom_up


@pytest.fixture
def model():
    return bottom_up("t")


def test_fields_of_fields_are_set_by_words_with_dots(model):
    before = model.codec
    set_codec(model, ["cost.heat=l2", "cost.weights=(1,0,0,2,3)", "reading.peaks=dark", "maps.sigma=9", "cost.margin=-inf"])
    assert (model.codec.cost.heat, model.codec.cost.weights) == ("l2", (1.0, 0.0, 0.0, 2.0, 3.0))
    assert (model.codec.reading.peaks, model.codec.maps.sigma, model.codec.cost.margin) == ("dark", 9.0, -math.inf)
    assert model.codec == replace(before, cost=model.codec.cost, reading=model.codec.reading, maps=model.codec.maps)
    assert model.codec.cost.gamma == before.cost.gamma


def test_every_stack_gets_the_new_values_and_keeps_its_own():
    model = bottom_up("t")
    model.deep = (replace(model.codec, cost=replace(model.codec.cost, weight=0.25)),)
    set_codec(model, ["cost.gamma=2"])
    assert [codec.cost.gamma for codec in (*model.deep, model.codec)] == [2.0, 2.0]
    assert model.deep[0].cost.weight == 0.25


@pytest.mark.parametrize(
    ("word", "message", "error"),
    [
        ("cost", "name=value", InputError),
        ("cost=l2", r"cost\.heat", InputError),
        ("sigmas.x=1", "has no fields", InputError),
        ("cots.heat=l2", "did you mean 'cost'", UnknownName),
        ("cost.heta=l2", "did you mean 'heat'", UnknownName),
        ("cost.heat=l3", "focal", InputError),
        ("maps.jitter=True", "another network", InputError),
        ("keypoints=3", "field of OffsetGuided", UnknownName),
    ],
)
def test_words_that_cannot_be_are_refused_and_change_nothing(model, word, message, error):
    before = model.codec
    with pytest.raises(error, match=message):
        set_codec(model, [word])
    assert model.codec == before
