import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.errors import InputError, SkeletonMismatch
from poise.skeletons import COCO17, LSP14, QUADRUPED, Skeleton, select


@pytest.fixture
def two(fake, tmp_path):
    return CocoDataset(*fake.write(tmp_path / "a")), CocoDataset(*fake.write(tmp_path / "b", LSP14.keypoints, seed=1))


def test_keypoints_are_joined_by_name_and_missing_ones_are_not_labelled(two):
    coco, lsp = two
    joined = CombinedDataset(two)
    assert joined.skeleton.keypoints == (*COCO17.keypoints, "neck", "head_top")
    assert len(joined) == 8
    theirs, ours = lsp.labels(1), joined.labels(5)
    knee = joined.skeleton.index("left_knee"), LSP14.index("left_knee")
    assert torch.equal(ours.xy[:, knee[0]], theirs.xy[:, knee[1]])
    assert torch.equal(ours.visible[:, knee[0]], theirs.visible[:, knee[1]])
    assert not ours.visible[:, : COCO17.index("left_shoulder")].any(), "faces are not labelled there"
    assert torch.equal(joined.labels(0).visible[:, :17], coco.labels(0).visible)
    assert not joined.labels(0).visible[:, 17:].any()


def test_images_and_keys_come_from_their_own_data_set(two):
    joined = CombinedDataset(two)
    assert joined.key(0) != joined.key(4)
    assert (joined.key(0).source, joined.key(4).source) == (0, 1)
    assert torch.equal(joined.image(4), two[1].image(0))
    assert torch.equal(joined.image(-1), two[1].image(3))
    assert joined.people() == [*two[0].people(), *((i + 4, row) for i, row in two[1].people())]


def test_people_without_a_keypoint_of_the_skeleton_wanted_are_left_out(two):
    face = select(COCO17, ["left_ear", "left_shoulder"])
    joined = CombinedDataset(two, skeleton=face)
    for i, row in joined.people():
        assert (joined.labels(i).visible[row] > 0).any()
    assert len(joined.people()) < len(CombinedDataset(two).people())


def test_what_does_not_fit_is_refused(two):
    with pytest.raises(InputError, match="at least one"):
        CombinedDataset([])
    with pytest.raises(SkeletonMismatch, match="share no keypoint"):
        CombinedDataset(two, skeleton=Skeleton("tail", ("tail",), sigmas=(0.1,)))
    assert QUADRUPED.keypoints[0] == "nose"
