"""Detectors of the zoo as whole models: their release's preprocessing and scores, their files."""

import pytest
import torch

from poise import zoo
from poise.codecs.in_box import InBox
from poise.codecs.one_hot import OneHot
from poise.errors import InputError, UnknownName
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.skeletons import ANIMAL18, MPII16
from poise.zoo.file import load, save


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


@pytest.mark.parametrize(
    ("name", "channels", "rule", "smooth"),
    [
        ("maskrcnn_keypoint_rcnn_r50_fpn", "bgr", "pillow", 1.0),
        ("maskrcnn_keypoint_rcnn_hrnet_w18_hrfpn", "rgb", "pillow", 1.0),
        ("torchvision_keypoint_rcnn_r50_fpn", "rgb", "torchvision", 1 / 9),
        ("detectron2_keypoint_rcnn_r50_fpn", "bgr", "pillow", 0.0),
    ],
)
def test_releases_keep_what_they_are_shown_and_how_they_are_scored(name, channels, rule, smooth):
    model = built(name)
    canvas, how = model.preprocess, model.detecting
    assert (canvas.side, canvas.most, canvas.fit, canvas.multiple) == (800, 1333, "short", 32)
    assert (canvas.channels, canvas.rule, canvas.flip_test) == (channels, rule, False)
    assert model.codec == OneHot((56, 56), 17, score="logit")
    assert (how.keypoint_score, how.rating, how.learning.smooth) == ("raw", "box", smooth)


def test_our_detectors_are_scored_by_boxes_and_keypoints():
    model = built("keypoint_rcnn_hrnet_w4_hrfpn")
    assert (model.codec.score, model.detecting.rating, model.preprocess.rule) == ("mass", "product", "unbiased")


def test_a_keypoint_head_takes_any_codec():
    assert isinstance(built("keypoint_rcnn_hrnet_w4", codec="UDPGaussian").codec, InBox)
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
    with pytest.raises(InputError):
        built("poise_rcnn_t_coco_320x320", pretrained=True)


@pytest.mark.parametrize(("name", "codec"), [("poise_rcnn_t_coco_64x64", None), ("poise_rcnn_t_coco_64x64", "SimCC")])
def test_a_file_holds_all_that_a_detector_is(name, codec, tmp_path):
    torch.manual_seed(0)
    model = zoo.build(name, codec=codec).eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    assert isinstance(again, KeypointRCNN)
    for part in ("codec", "preprocess", "skeleton", "detecting", "card"):
        assert getattr(again, part) == getattr(model, part)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (one,), (other,) = (each.predict(images, flip=False) for each in (model, again))
    assert torch.equal(one.xy, other.xy)


@pytest.mark.parametrize("name", ["maskrcnn_rpn_head", "faster_rcnn_hrnet_w4", "keypoint_rcnn_hrnet_w4_18j"])
def test_what_is_no_whole_model_cannot_be_kept(name, tmp_path):
    with pytest.raises(InputError, match="only whole models"):
        save(built(name), tmp_path / "part.safetensors")
