"""Detectors of the zoo as whole models: their release's preprocessing and scores, their files."""

import pytest
import torch
from torch import nn

from poise import zoo
from poise.codecs.one_hot import OneHot
from poise.codecs.roi_adapter import RoIAdapter
from poise.errors import InputError, UnknownName
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.nn.backbones import timm
from poise.skeletons import ANIMAL18, MPII16
from poise.weights.model_file import load, save
from poise.zoo.cost import view_size_of
from poise.zoo.rcnn.backbones import BackboneSpec


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


@pytest.mark.parametrize(
    ("name", "channels", "rule", "smooth", "score"),
    [
        ("maskrcnn_keypoint_rcnn_r50_fpn", "bgr", "pillow", 1.0, "logit"),
        ("maskrcnn_keypoint_rcnn_hrnet_w18_hrfpn", "rgb", "pillow", 1.0, "logit"),
        ("torchvision_keypoint_rcnn_r50_fpn", "rgb", "torchvision", 1 / 9, "logit"),
        ("detectron2_keypoint_rcnn_r50_fpn", "bgr", "detectron2", 0.5, "share"),
    ],
)
def test_releases_keep_what_they_are_shown_and_how_they_are_scored(name, channels, rule, smooth, score):
    model = built(name)
    canvas, how = model.preprocess, model.config
    assert (canvas.side, canvas.most, canvas.fit, canvas.multiple) == (800, 1333, "short", 32)
    assert (canvas.channels, canvas.rule, canvas.flip_test) == (channels, rule, False)
    assert model.codec == OneHot((56, 56), 17, score=score)
    assert (how.keypoint_score, how.rating, how.learning.smooth) == ("raw", "box", smooth)


def test_our_detectors_are_scored_by_boxes_and_keypoints():
    model = built("keypoint_rcnn_hrnet_w4_hrfpn")
    assert (model.codec.score, model.config.rating, model.preprocess.rule) == ("mass", "product", "unbiased")


def test_a_keypoint_head_takes_any_codec():
    assert isinstance(built("keypoint_rcnn_hrnet_w4", codec="UDPGaussian").codec, RoIAdapter)
    offsets = built("poise_rcnn_t_coco_320x320", codec="UDPOffset")
    assert offsets.network.keypoint.head.reader.final.out_channels == 51
    assert built("poise_rcnn_t_coco_320x320", codec="SimCC").network.readout is not None
    with pytest.raises(UnknownName, match="did you mean 'UDPGaussian'"):
        built("keypoint_rcnn_hrnet_w4", codec="UDPGausian")


def test_keypoints_are_those_of_a_skeleton():
    assert built("keypoint_rcnn_hrnet_w4", skeleton=ANIMAL18).codec.keypoints == 18
    assert built("poise_rcnn_s_mpii_256x320").skeleton == MPII16
    with pytest.raises(InputError, match="multiples of 32"):
        built("poise_rcnn_t_coco_300x320")
    with pytest.raises(InputError, match="there are no ImageNet weights of poise's own networks"):
        built("poise_rcnn_t_coco_320x320", pretrained=True)


@pytest.mark.parametrize(("name", "codec"), [("poise_rcnn_t_coco_64x64", None), ("poise_rcnn_t_coco_64x64", "SimCC")])
def test_a_file_holds_all_that_a_detector_is(name, codec, tmp_path):
    torch.manual_seed(0)
    model = zoo.build(name, codec=codec).eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    assert isinstance(again, KeypointRCNN)
    for part in ("codec", "preprocess", "skeleton", "config", "card"):
        assert getattr(again, part) == getattr(model, part)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (one,), (other,) = (each.predict(images, flip=False) for each in (model, again))
    assert torch.equal(one.xy, other.xy)


@pytest.mark.parametrize("name", ["maskrcnn_rpn_head", "rpn_hrnet_w4", "keypoint_rcnn_hrnet_w4_18j"])
def test_what_is_no_whole_model_cannot_be_kept(name, tmp_path):
    with pytest.raises(InputError, match="kept in a model file by itself; take a whole model"):
        save(built(name), tmp_path / "part.safetensors")


def test_only_detectron2s_resnext_has_its_deviation_in_the_colours():
    grouped = built("detectron2_keypoint_rcnn_x101_32x8d_fpn").preprocess
    assert [round(255 * value, 3) for value in grouped.std] == [57.375, 57.12, 58.395]
    for name in ("detectron2_keypoint_rcnn_r50_fpn", "maskrcnn_keypoint_rcnn_x101_32x8d_fpn"):
        assert [255 * value for value in built(name).preprocess.std] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("name", "looked", "kept", "sampling"),
    [
        ("maskrcnn_keypoint_rcnn_r50_c4", (12000, 6000), (2000, 1000), 0),
        ("maskrcnn_keypoint_rcnn_r50_fpn", (2000, 1000), (2000, 1000), 2),
        ("detectron2_keypoint_rcnn_r50_fpn", (2000, 1000), (1500, 1000), 0),
        ("keypoint_rcnn_r50_fpn", (2000, 1000), (2000, 1000), 2),
    ],
)
def test_as_many_boxes_are_proposed_and_points_read_as_in_the_release(name, looked, kept, sampling):
    network = built(name).network
    assert tuple(network.rpn._pre_nms_top_n.values()) == looked
    assert tuple(network.rpn._post_nms_top_n.values()) == kept
    assert network.box.pooler.sampling == network.keypoint.pooler.sampling == sampling


def test_heads_of_maskrcnn_benchmark_answer_for_boxes_from_first_to_last_pixel():
    boxes = torch.tensor([[10.0, 20.0, 50.0, 100.0], [5.0, 5.0, 5.5, 9.0]])
    for name in ("maskrcnn_keypoint_rcnn_r50_fpn", "maskrcnn_keypoint_rcnn_r50_c4_shared"):
        framed = built(name).network.keypoint_pooler.pooled_boxes(boxes)
        assert framed.tolist() == [[10, 20, 49, 99], [5, 5, 5, 8]]
    assert built("torchvision_keypoint_rcnn_r50_fpn").network.keypoint_pooler.pooled_boxes(boxes) is boxes


def test_backbones_of_timm_are_shown_their_own_colours_in_views_that_they_can_take():
    pytest.importorskip("timm")
    canvas = built("keypoint_rcnn_timm_mobilevit_xxs_fpn").preprocess
    assert (canvas.mean, canvas.std, canvas.multiple) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 32)
    assert built("keypoint_rcnn_timm_vit_small_patch14_dinov2_fpn").preprocess.multiple == 224


def test_backbones_of_timm_start_from_timms_own_weights(monkeypatch):
    pytest.importorskip("timm")
    create = timm._create

    def trained(name, options):
        model = create(name, options | {"pretrained": False})
        for weight in model.parameters() if options["pretrained"] else ():
            nn.init.constant_(weight, 0.5)
        return model

    monkeypatch.setattr(timm, "_create", trained)
    weights = zoo.build("rpn_timm_resnet10t_fpn", pretrained=True).network.backbone.body.state_dict()
    assert all(bool((value == 0.5).all()) for key, value in weights.items() if "running_" not in key)
    with pytest.raises(InputError, match="a detectron2 detector on timm_resnet10t"):
        zoo.build("detectron2_rpn_timm_resnet10t_fpn", pretrained=True)


@pytest.mark.parametrize(
    "name", ["torchvision_faster_rcnn_r18_fpn_320x256", "maskrcnn_keypoint_rcnn_r50fpn_256x320", "keypoint_rcnn_r18_c5_256x320"]
)
def test_a_detector_is_shown_images_of_the_size_in_its_name(name):
    canvas = built(name).preprocess
    assert (canvas.fit, canvas.side, canvas.most, canvas.multiple) == ("short", 256, 320, 32)
    assert view_size_of(name) == (256, 320)


@pytest.mark.parametrize("width", [32, 48])
def test_hrnets_of_the_usual_widths_are_detectors_with_hrfpn(width):
    model = built(f"keypoint_rcnn_hrnet_w{width}_hrfpn")
    assert model.network.backbone.strides == (4, 8, 16, 32, 64)
    assert model.network.backbone.neck.join.in_channels == 15 * width


def test_a_pooling_without_hrfpn_is_no_name():
    for name in ("keypoint_rcnn_hrnet_w18_max", "keypoint_rcnn_hrnet_w18_fpn_max"):
        with pytest.raises(UnknownName):
            built(name)
    with pytest.raises(UnknownName, match="no backbone"):
        BackboneSpec.parse("hrnet_w18_max")
