"""Networks that take views of one size say which, where torch would tell of shapes inside them."""

import pytest
import torch

from poise.errors import InputError
from poise.nn.backbones.vit import ViT
from poise.nn.base import Readout
from poise.zoo import build

FIXED = (
    "blazepose_landmark_lite",
    "blazepose_detector",
    "blazepose_paper_17j_256x256",
    "blazepose_wang_full_17j_256x256",
    "rtmpose_t_coco",
    "rtmw_m",
)


@pytest.mark.parametrize("name", FIXED)
def test_views_of_another_size_than_the_networks_are_refused_in_a_sentence(name):
    network = build(name).network.eval()
    for size in ((128, 96), (320, 320)):
        with torch.no_grad(), pytest.raises(InputError, match=r"alone \(height x width\).*cut or resize") as refused:
            network(torch.zeros(1, 3, *size))
        assert "\n" not in str(refused.value)


def test_what_was_found_and_what_was_expected_is_said():
    with pytest.raises(InputError, match=r"BlazePose's landmark network takes views of 256x256 pixels alone.*, not 128x96;"):
        build("blazepose_landmark_lite").network.keypoint_outputs(torch.zeros(2, 3, 128, 96))
    with pytest.raises(InputError, match=r"this ViT takes views of 64x32 pixels alone .*, not 32x64;"):
        ViT((64, 32), 8, 1, 2)(torch.zeros(1, 3, 32, 64))
    with pytest.raises(InputError, match=r"reads maps of 4x3 cells alone .*, and these views give 3x4;.*`model.codec.size`"):
        Readout((4, 3), (8, 6))(torch.zeros(1, 17, 3, 4))


def test_a_transformer_of_timms_says_it_too():
    pytest.importorskip("timm")
    from poise.nn.backbones.timm import TimmBackbone

    made = TimmBackbone("vit_tiny_patch16_224", (64, 64)).eval()
    with torch.no_grad(), pytest.raises(InputError, match="vit_tiny_patch16_224 takes views of 64x64 pixels alone"):
        made(torch.zeros(1, 3, 32, 32))
