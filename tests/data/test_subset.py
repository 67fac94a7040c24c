import pytest
import torch

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.subset import Subset, hold_out, without
from poise.errors import InputError


@pytest.fixture
def whole(fake, tmp_path):
    return CocoDataset(*fake.write(tmp_path))


def test_a_part_has_the_images_asked_for_in_that_order(whole):
    part = Subset(whole, [2, 0])
    assert [part.key(i) for i in range(len(part))] == [whole.key(2), whole.key(0)]
    assert torch.equal(part.image(0), whole.image(2))
    assert torch.equal(part.labels(1).xy, whole.labels(0).xy)
    assert part.people() == Dataset.people(part)
    assert len(part.people()) == 3


def test_held_out_images_are_never_trained_on_and_the_seed_decides(whole):
    train, val = hold_out(whole, share=0.5, seed=1)
    assert len(train) == len(val) == 2
    assert {*train.indices, *val.indices} == {0, 1, 2, 3}
    assert hold_out(whole, share=0.5, seed=1)[1].indices == val.indices
    assert any(hold_out(whole, share=0.5, seed=seed)[1].indices != val.indices for seed in range(2, 6))


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_share_that_empties_a_part_is_refused(whole, share):
    with pytest.raises(InputError, match="leaves no image for"):
        hold_out(whole, share=share, seed=0)


@pytest.mark.parametrize("share", [2.0, -0.5, 1.0, 0.0, float("nan")])
def test_what_is_no_share_is_refused(whole, share):
    with pytest.raises(InputError, match=r"is not a share of the images .* between 0 and 1"):
        hold_out(whole, share=share, seed=0)


def test_images_of_one_file_are_held_out_together(whole, fake, tmp_path):
    (tmp_path / "linked").symlink_to(whole.files.root, target_is_directory=True)
    again = CocoDataset(whole.annotations, tmp_path / "linked")
    both = CombinedDataset([whole, again])
    for seed in range(4):
        train, val = hold_out(both, share=0.5, seed=seed)
        assert len(train) == len(val) == 4
        assert {train.file_path(i) for i in range(4)}.isdisjoint({val.file_path(i) for i in range(4)})
        assert hold_out(whole, share=0.5, seed=seed)[1].indices == val.indices[:2]


def test_images_of_another_data_set_are_left_out_by_their_files(whole):
    val = Subset(whole, [1, 3])
    left = without(whole, val)
    assert [left.key(i) for i in range(len(left))] == [whole.key(0), whole.key(2)]
    assert without(left, val) is left
    with pytest.raises(InputError, match=r"all images of .* are held out"):
        without(val, whole)
