import pytest
import torch

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.part import Part, hold_out
from poise.errors import InputError


@pytest.fixture
def whole(fake, tmp_path):
    return CocoDataset(*fake.write(tmp_path))


def test_a_part_has_the_images_asked_for_in_that_order(whole):
    part = Part(whole, [2, 0])
    assert [part.key(i) for i in range(len(part))] == [whole.key(2), whole.key(0)]
    assert torch.equal(part.image(0), whole.image(2))
    assert torch.equal(part.labels(1).xy, whole.labels(0).xy)
    assert part.people() == Dataset.people(part)
    assert len(part.people()) == 3


def test_held_out_images_are_never_trained_on_and_the_seed_decides(whole):
    train, val = hold_out(whole, share=0.5, seed=1)
    assert len(train) == len(val) == 2
    assert {*train.rows, *val.rows} == {0, 1, 2, 3}
    assert hold_out(whole, share=0.5, seed=1)[1].rows == val.rows
    assert any(hold_out(whole, share=0.5, seed=seed)[1].rows != val.rows for seed in range(2, 6))


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_that_empties_a_part_is_refused(whole, share):
    with pytest.raises(InputError, match="leaves one part empty"):
        hold_out(whole, share=share, seed=0)
