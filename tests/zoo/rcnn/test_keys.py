"""Weights that maskrcnn-benchmark's checkpoints hold twice, because two heads read the same features."""

import pytest
import torch

from poise import zoo
from poise.errors import CheckpointError
from poise.zoo.importing import official_state
from poise.zoo.rcnn.renames import to_maskrcnn_names

SHARED = "keypoint_rcnn_r18_c4_shared"


def shapes(name):
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in official_state(zoo.build(name), name).items()}


def layers(found, head):
    beginning = f"roi_heads.{head}.feature_extractor."
    return [(key.removeprefix(beginning), shape) for key, shape in found.items() if key.startswith(beginning)]


@pytest.mark.parametrize("name", ["maskrcnn_keypoint_rcnn_r50_fpn_shared", "maskrcnn_keypoint_rcnn_hrnet_w18_shared"])
def test_a_shared_keypoint_head_has_the_box_heads_convolutions_under_official_names(name):
    found = shapes(name)
    expected = [(f"conv_fcn{n}.{what}", None) for n in range(1, 9) for what in ("weight", "bias")]
    assert [key for key, _ in layers(found, "box")] == [key for key, _ in expected]
    assert layers(found, "keypoint") == layers(found, "box")
    assert list(found)[-2:] == [f"roi_heads.keypoint.predictor.kps_score_lowres.{what}" for what in ("weight", "bias")]
    assert all(key.startswith(("backbone.", "rpn.", "roi_heads.")) for key in found)


def test_the_mask_head_of_c4_reads_the_last_stage_as_in_the_release():
    found = shapes("maskrcnn_mask_rcnn_r50_c4")
    assert layers(found, "box")[0] == ("head.layer4.0.downsample.0.weight", (2048, 1024, 1, 1))
    assert layers(found, "mask") == layers(found, "box")
    assert len(layers(found, "mask")) == (3 * 3 + 1) * 5
    assert list(found.items())[-4:] == [
        ("roi_heads.mask.predictor.conv5_mask.weight", (2048, 256, 2, 2)),
        ("roi_heads.mask.predictor.conv5_mask.bias", (256,)),
        ("roi_heads.mask.predictor.mask_fcn_logits.weight", (81, 256, 1, 1)),
        ("roi_heads.mask.predictor.mask_fcn_logits.bias", (81,)),
    ]
    heads = [key.split(".")[1] for key in found if key.startswith("roi_heads.")]
    assert heads == sorted(heads)  # box, then mask


@torch.no_grad()
def test_masks_of_c4_have_twice_the_cells_of_the_last_stage():
    torch.manual_seed(0)
    network = zoo.build("mask_rcnn_r18_c4_5cls").network.eval()
    features = network(torch.randn(1, 3, 64, 64))
    boxes = [torch.tensor([[8.0, 4.0, 40.0, 60.0], [1.0, 2.0, 30.0, 30.0]])]
    assert network.mask_logits(features, boxes).shape == (2, 5, 14, 14)
    assert network.mask_logits(features, [torch.zeros(0, 4)]).shape == (0, 5, 14, 14)


@pytest.fixture(scope="module")
def checkpoint():
    torch.manual_seed(0)
    return official_state(zoo.build(SHARED), SHARED)


def test_what_a_checkpoint_holds_twice_is_read_once_and_written_twice(checkpoint):
    copies = [key for key in checkpoint if key.startswith("roi_heads.keypoint.feature_extractor.")]
    assert copies
    changed = {key: value + 1 if value.is_floating_point() else value for key, value in checkpoint.items()}
    again = official_state(zoo.import_release(SHARED, changed), SHARED)
    assert list(again) == list(checkpoint)
    assert all(torch.equal(again[key], changed[key]) for key in changed)
    single = {key: value for key, value in changed.items() if key not in copies}  # as Detectron2 holds them
    assert all(
        torch.equal(value, changed[key]) for key, value in official_state(zoo.import_release(SHARED, single), SHARED).items()
    )


def test_heads_with_layers_of_their_own_are_not_read_as_shared(checkpoint):
    torn = dict(checkpoint)
    key = "roi_heads.keypoint.feature_extractor.head.layer4.1.conv2.weight"
    torn[key] = torn[key] + 1
    with pytest.raises(CheckpointError, match=r"1 of their weights differ .*conv2\.weight"):
        zoo.import_release(SHARED, torn)


def test_a_weight_that_lacks_is_missed_though_its_copy_is_there(checkpoint):
    first = "roi_heads.box.feature_extractor.head.layer4.1.conv2.weight"
    with pytest.raises(CheckpointError, match=r"1 missing: roi_heads\.box"):
        zoo.import_release(SHARED, {key: value for key, value in checkpoint.items() if key != first})


def test_detectron2s_mask_rcnn_of_c4_has_the_same_layers():
    theirs = {
        "proposal_generator.rpn_head.conv.weight": torch.zeros(1),
        "roi_heads.res5.0.shortcut.weight": torch.zeros(2048, 1024, 1, 1),
        "roi_heads.mask_head.deconv.weight": torch.zeros(2048, 256, 2, 2),
        "roi_heads.mask_head.predictor.weight": torch.zeros(80, 256, 1, 1),
    }
    name, given = to_maskrcnn_names("mask_rcnn_R_50_C4_3x", theirs)
    needed = shapes(name)
    assert {needed[key] for key in given if key.startswith("roi_heads.")} == {
        tuple(value.shape) for key, value in given.items() if key.startswith("roi_heads.")
    }
