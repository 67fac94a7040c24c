import pytest
import torch

from poise.codecs.udp import UDPGaussian
from poise.errors import CheckpointError
from poise.skeletons import COCO17, LSP14, QUADRUPED
from poise.zoo.carry import carry_head
from poise.zoo.simple_baselines import poseresnet

SIZE = (64, 64)


@pytest.fixture(scope="module")
def start():
    return poseresnet(18, skeleton=COCO17, size=SIZE)


def rows(model, name):
    final, place = model.network.head.final, model.skeleton.index(name)
    return final.weight[place], final.bias[place]


def test_rows_of_keypoints_both_know_are_copied_and_others_start_anew(start):
    with torch.no_grad():
        start.network.head.final.bias.normal_()
    target = poseresnet(18, skeleton=LSP14, size=SIZE)
    before = target.network.head.final.weight.clone()
    carried = carry_head(start, target)
    assert set(carried.kept) == set(COCO17.keypoints) & set(LSP14.keypoints)
    assert set(carried.new) == set(LSP14.keypoints) - set(COCO17.keypoints)
    assert carried.kept
    for name in carried.kept:
        assert all(torch.equal(a, b) for a, b in zip(rows(start, name), rows(target, name), strict=True))
    for name in carried.new:
        place = LSP14.index(name)
        assert torch.equal(target.network.head.final.weight[place], before[place])
    old, new = start.network.state_dict(), target.network.state_dict()
    assert all(torch.equal(old[k], new[k]) for k in new if not k.startswith("head.final"))
    assert carried.new[0] in str(carried)


def test_nothing_in_common_keeps_the_backbone_alone(start):
    animal = poseresnet(18, skeleton=QUADRUPED, size=SIZE)
    shared = set(COCO17.keypoints) & set(QUADRUPED.keypoints)
    assert set(carry_head(start, animal).kept) == shared


def test_another_codec_with_one_map_per_keypoint_keeps_the_rows(start):
    codec = UDPGaussian(size=SIZE, cells=(16, 16), keypoints=17)
    assert len(carry_head(start, poseresnet(18, size=SIZE, codec=codec)).kept) == 17


def test_another_backbone_is_refused_with_the_reason(start):
    with pytest.raises(CheckpointError, match=r"another one; weights: .*backbone"):
        carry_head(start, poseresnet(34, size=SIZE))
