"""What words in names of detectors and their parts build, and which are refused."""

import pytest
import torch
from torch import nn

from poise import zoo
from poise.errors import InputError, UnknownName
from poise.nn.necks.hrfpn import HRFPN
from poise.zoo.importing import official_state
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.keypoint_rcnn import network


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


def neck(name):
    network = built(name).network
    return getattr(network, "backbone", network).neck


@pytest.mark.parametrize(
    "name",
    [
        "hrnet_maskrcnn_faster_rcnn_hrnet_w18_1x",  # the release's settings are called so, and have HRFPN
        "maskrcnn_mask_rcnn_hrnet_w18",
        "maskrcnn_mask_rcnn_hrnet_w18_1x",
        "maskrcnn_hrnetv2p_w18",
        "maskrcnn_hrnet_w18_256x320",
        "maskrcnn_faster_rcnn_hrnetv2p_w18",
        "keypoint_rcnn_hrnetv2p_w18",
    ],
)
def test_hrnets_of_the_release_and_hrnetv2p_have_hrfpn_by_average(name):
    found = neck(name)
    assert isinstance(found, HRFPN)
    assert (found.pooling, len(found.output), found.join.in_channels) == ("average", 5, 15 * 18)


@pytest.mark.parametrize("name", ["maskrcnn_hrnet_w4_plain_256x320", "keypoint_rcnn_hrnet_w4_plain", "keypoint_rcnn_hrnet_w4"])
def test_of_a_plain_hrnet_the_finest_branch_is_read_alone(name):
    assert neck(name) is None


@pytest.mark.parametrize(
    ("name", "trunk"),
    [
        ("maskrcnn_mask_rcnn_hrnet_w4", "hrnet_w4_hrfpn"),
        ("maskrcnn_hrnet_w4_256x320", "hrnet_w4_hrfpn"),
        ("maskrcnn_hrnetv2p_w4_256x320_max", "hrnetv2p_w4_hrfpn_max"),
        ("keypoint_rcnn_hrnet_w4", "hrnet_w4_plain"),
        ("keypoint_rcnn_hrnet_w4_fpn", "hrnet_w4_fpn"),
    ],
)
def test_what_a_file_will_say_of_a_trunk_names_its_neck(name, trunk):
    assert built(name).card.architecture.arguments["trunk"] == trunk


@pytest.mark.parametrize("trunk", ["hrnet_w4", "hrnetv2p_w4"])
def test_a_file_of_an_earlier_version_that_names_no_neck_has_none(trunk):
    with torch.device("meta"):
        found = network(trunk=trunk, manner="hrnet", heads={"channels": 0, "classes": 0})  # as files say it
    assert found.backbone.neck is None


def test_the_way_of_shrinking_may_stand_before_or_after_the_size():
    ways = {"max": "max", "maxpool": "max", "avg": "average", "avgpool": "average", "average": "average"}
    for word, pooling in ways.items():
        for name in (f"maskrcnn_hrnetv2p_w4_hrfpn_{word}_256x320", f"maskrcnn_hrnetv2p_w4_hrfpn_256x320_{word}"):
            assert neck(name).pooling == pooling, name
    assert neck("maskrcnn_hrnetv2p_w4_maxpool").pooling == "max"
    with pytest.raises(UnknownName, match="no backbone 'r18fpn_max'"):
        built("maskrcnn_r18fpn_256x320_max")
    with pytest.raises(UnknownName, match="no backbone"):
        BackboneSpec.parse("hrnet_w4_plain_max")


def test_norms_that_add_nothing_add_a_little_where_the_name_says_so():
    for name, added in (
        ("maskrcnn_r50fpn_256x320", 0),
        ("maskrcnn_r50fpn_eps_256x320", 1e-5),
        ("torchvision_r50fpn_eps", 1e-5),
    ):
        assert built(name).network.body.bn1._eps == added
    # The release of HRNet keeps what it adds among the weights; that stays.
    assert len(official_state(built("maskrcnn_hr_r50fpn_eps"), "maskrcnn_hr_r50fpn_eps")) == 334


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("maskrcnn_hr_rpn_head", "maskrcnn_rpn_head"),
        ("maskrcnn_hr_box_head_after_pooler_2cls", "maskrcnn_box_head_after_pooler_2cls"),
        ("hrnet_maskrcnn_keypoint_head_after_pooler", "maskrcnn_keypoint_head_after_pooler"),
        ("maskrcnn_keypoint_head_16kp", "maskrcnn_keypoint_head_16j"),
        ("maskrcnn_keypoint_head_maps64x48", "maskrcnn_keypoint_head_64x48"),
        ("maskrcnn_keypoint_head_16x12_maps64x48", "maskrcnn_keypoint_head_maps64x48"),
        ("maskrcnn_rpn_head_15a", "maskrcnn_rpn_head_15anchors"),
        ("maskrcnn_rpn_head_256x320_keys", "maskrcnn_rpn_head"),
        ("maskrcnn_box_head_c4_after_pooler_2cls", "maskrcnn_box_head_after_pooler_2cls_c4"),
        ("maskrcnn_r50fpn_keypoint_rcnn_keys", "maskrcnn_keypoint_rcnn_r50fpn_keys"),
        ("maskrcnn_keypoint_rcnn_r50fpn_17kp", "maskrcnn_keypoint_rcnn_r50fpn"),
    ],
)
def test_names_that_say_the_same_are_the_same(name, like):
    one, other = built(name), built(like)
    assert str(one.network) == str(other.network)
    shapes = [
        {key: value.shape for key, value in official_state(each, of).items()} for each, of in ((one, name), (other, like))
    ]
    assert list(shapes[0].items()) == list(shapes[1].items())


def test_a_box_head_reads_as_many_cells_as_its_name_says():
    body = built("maskrcnn_box_head_after_pooler_2cls_14x14").network.body
    assert body.fc6.in_features == 256 * 14 * 14


@pytest.mark.parametrize(
    ("name", "given", "answered"),
    [
        ("poise_r18fpn_250x310", (1, 3, 250, 310), (1, 256, 63, 78)),
        ("poise_rpn_head_9x7", (1, 256, 9, 7), (1, 3, 9, 7)),
        ("maskrcnn_mask_head_99x12", (2, 256, 99, 12), (2, 256, 99, 12)),
        ("poise_box_head_c4_3x3", (2, 1024, 3, 3), (2, 2048, 2, 2)),
    ],
)
def test_what_is_made_of_convolutions_reads_what_has_the_size_in_its_name(name, given, answered):
    assert built(name).network(torch.zeros(given, device="meta"))[0].shape == answered


def test_the_last_stage_is_a_head_of_its_own():
    torch.manual_seed(0)
    network = zoo.build("maskrcnn_box_head_c4_after_pooler_2cls").network.eval()
    with torch.no_grad():
        features, logits, moves = network(torch.randn(2, 1024, 14, 14))
    assert (features.shape, logits.shape, moves.shape) == ((2, 2048, 7, 7), (2, 2), (2, 8))
    keys = list(official_state(built("maskrcnn_box_head_c4"), "maskrcnn_box_head_c4"))
    assert keys[0] == "feature_extractor.head.layer4.0.downsample.0.weight"
    assert keys[-1] == "predictor.bbox_pred.bias"
    # 3 blocks of 3 convolutions with norms of 4 values, a shortcut, and two layers.
    assert len(keys) == (3 * 3 + 1) * 5 + 4
    assert len(official_state(built("maskrcnn_hr_box_head_c4"), "maskrcnn_hr_box_head_c4")) == (3 * 3 + 1) * 6 + 4
    masks = built("maskrcnn_mask_head_c4").network(torch.zeros(2, 1024, 14, 14, device="meta"))[-1]
    assert masks.shape == (2, 81, 14, 14)


@pytest.mark.parametrize(
    ("name", "word", "known"),
    [
        ("maskrcnn_box_head_9anchors", "9anchors", "81cls"),
        ("maskrcnn_rpn_head_17j", "17j", "15anchors"),
        ("maskrcnn_rpn_head_2cls", "2cls", "15anchors"),
        ("maskrcnn_keypoint_head_eps_shared", "eps", "17j"),
        ("maskrcnn_keypoint_head_shared", "shared", "maps64x48"),
        ("maskrcnn_mask_head_17j", "17j", "81cls"),
        ("maskrcnn_r50fpn_2cls", "2cls", "256x320"),
        ("faster_rcnn_r50_fpn_17j", "17j", "81cls"),
        ("faster_rcnn_r50_fpn_shared", "shared", "81cls"),
        ("keypoint_rcnn_r50_fpn_9anchors", "9anchors", "maps64x48"),
        ("rpn_r50_fpn_2cls", "2cls", "eps"),
    ],
)
def test_words_that_a_part_does_not_know_are_refused_with_those_it_knows(name, word, known):
    with pytest.raises(InputError, match=f"says '{word}', of which .* has no use; words for it look like: .*{known}"):
        built(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("maskrcnn_box_head_2cls_81cls", "both '2cls' and '81cls'"),
        ("maskrcnn_rpn_head_0a", "a number above 0"),
        ("maskrcnn_box_head_1cls", "at least 2 classes, of which the background is one"),
        ("faster_rcnn_r50_fpn_1cls", "at least 2 classes"),
        ("maskrcnn_box_head_eps", "without 'c4' has no norms"),
        ("maskrcnn_keypoint_head_14x14", "which is four times that of what they are read off; say maps14x14"),
        ("maskrcnn_keypoint_head_maps3x8", "at least 4 cells a side, not 3x8"),
        ("maskrcnn_box_head_c4_1024ch", "a last stage reads 1024 channels"),
        ("poise_keypoint_head_14x14_maps64x48", "both 'maps64x48' and '14x14'; .* cut out on 16x12 cells"),
        ("mask_rcnn_r50_fpn_shared", "leave out 'shared'"),
    ],
)
def test_words_that_cannot_be_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        built(name)


def test_a_box_head_is_not_changed_for_a_head_that_is_not_there():
    assert isinstance(built("mask_rcnn_r50_fpn").network.box.head.body.fc6, nn.Linear)
