"""A step of learning through trunks of every form: what learns gets a gradient, what is frozen stays as it was."""

from dataclasses import replace

import pytest
import torch

from poise.codecs.one_hot import OneHot
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import Learning, RCNNConfig
from poise.nn.frozen import FrozenNorm
from poise.scenes import SceneBatch, Scenes
from poise.skeletons import COCO17
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.heads import Heads, build_network
from poise.zoo.rcnn.poise_rcnn import small_detector
from poise.zoo.rcnn.variants import variant_of

SIDE = 96

TRUNKS = ("r18_c4", "r50_c4", "r18_c5", "x50_32x4d_fpn", "r18_fpn_c5p6p7_gn", "timm_mobilenetv4_conv_small_fpn")
"""Of the C4 form (the last stage is in the heads, of two kinds of blocks), of C5, a ResNeXt, RetinaNet's, one of timm's."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch() -> SceneBatch:
    """A view of noise with two people in it."""
    chance = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[4.0, 8.0, 60.0, 90.0], [40.0, 20.0, 92.0, 70.0]])
    share = 0.2 + 0.6 * torch.rand(2, 17, 2, generator=chance)
    scenes = Scenes(
        xy=boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2]),
        visible=torch.full((2, 17), 2),
        boxes=boxes,
        extent=torch.ones(2),
        scene=torch.tensor([0, 0]),
        ignore=torch.zeros(1, SIDE, SIDE, dtype=torch.bool),
    )
    return SceneBatch(torch.randn(1, 3, SIDE, SIDE, generator=chance), scenes, torch.eye(3)[None])


LARGE = ("r50_c4", "x50_32x4d_fpn")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.exhaustive if n in LARGE else ()) for n in TRUNKS])
def test_a_step_moves_trunk_and_heads_and_leaves_frozen_norms(name):
    if "timm" in name:
        pytest.importorskip("timm")
    torch.manual_seed(0)
    network = build_network(BackboneSpec.parse(name), variant_of("poise"), Heads(convolutions=1, width=16, features=16))
    known = small_detector("t")
    learning = replace(Learning(), per_image=16)
    codec = OneHot((56, 56), 17, score="mass")
    model = KeypointRCNN(network, codec, known.preprocess, COCO17, known.card, RCNNConfig(learning=learning)).train()
    norms = [part for part in network.modules() if isinstance(part, FrozenNorm)]
    assert norms, "detectors learn from few images at a time"
    assert not any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in network.modules())
    frozen = {key: value.clone() for key, value in network.state_dict().items() if key not in dict(network.named_parameters())}
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    loss = model.loss(batch())
    assert torch.isfinite(loss)
    loss.backward()
    for key, weight in network.named_parameters():
        assert weight.requires_grad, key
        assert weight.grad is not None, key
        assert torch.isfinite(weight.grad).all(), key
        assert weight.grad.any(), key
    optimizer.step()
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in frozen.items())
    assert not any(torch.equal(state[key], value) for key, value in before.items())
