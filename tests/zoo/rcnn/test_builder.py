"""Detectors from typed arguments: the same as the names of releases say, and whatever no name says."""

import json

import jaxtyping
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from poise import zoo
from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot
from poise.codecs.registry import codec_types
from poise.codecs.roi_adapter import RoIAdapter
from poise.errors import InputError, PoiseError, UnknownName
from poise.models.rcnn_config import RCNNConfig
from poise.skeletons import LSP14
from poise.weights.model_file import load, save
from poise.zoo.rcnn.backbones import BackboneSpec

SMALL = {"backbone": "hrnet_w4", "convolutions": 1, "width": 8, "box_width": 8, "size": (64, 96)}


def parts(model):
    """Everything a detector is beside its weights and its name."""
    kept = ("preprocess", "config", "codec", "skeleton")
    found = {name: getattr(model, name) for name in kept if hasattr(model, name)}
    shapes = {key: value.shape for key, value in model.network.state_dict().items()}
    return type(model), found, model.card.architecture, shapes, str(model.network)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("keypoint_rcnn_r50_fpn", {}),
        ("maskrcnn_keypoint_rcnn_r50_fpn", {"variant": "maskrcnn"}),
        ("keypoint_rcnn_r50_c4_shared", {"neck": "c4", "shared_features": True}),
        ("keypoint_rcnn_r101_c5", {"backbone": "resnet101", "neck": "c5"}),
        ("detectron2_keypoint_rcnn_x101_32x8d_fpn", {"backbone": "resnext101_32x8d", "variant": "detectron2"}),
        ("keypoint_rcnn_hrnet_w4_hrfpn", {"backbone": "hrnet_w4"}),
        (
            "hrnet_maskrcnn_keypoint_rcnn_hrnet_w4_hrfpn_max",
            {"backbone": "hrnet_w4", "hrfpn_pooling": "max", "variant": "hrnet"},
        ),
        ("keypoint_rcnn_hrnet_w4_plain_256x320", {"backbone": "hrnet_w4", "neck": "plain", "size": (256, 320)}),
        ("keypoint_rcnn_hrnet_w4_fpn_3cls", {"backbone": "hrnet_w4", "neck": "fpn", "classes": 3}),
        ("keypoint_rcnn_r18_fpn_maps64x48", {"backbone": "resnet18", "maps": (64, 48)}),
        ("keypoint_mask_rcnn_r18_fpn", {"backbone": "resnet18", "masks": True}),
        ("torchvision_keypoint_rcnn_r50_fpn_eps", {"variant": "torchvision", "norm": "frozen"}),
    ],
)
def test_a_release_and_its_arguments_are_the_same_detector(name, arguments):
    with torch.device("meta"):
        assert parts(zoo.keypoint_rcnn(**arguments)) == parts(zoo.build(name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("faster_rcnn_r50_fpn", {}),
        ("torchvision_faster_rcnn_r50_fpn", {"variant": "torchvision"}),
        ("maskrcnn_mask_rcnn_hrnet_w4", {"backbone": "hrnet_w4", "variant": "hrnet", "masks": True}),
        ("faster_rcnn_r18_fpn_2cls_256x320", {"backbone": "resnet18", "classes": 2, "size": (256, 320)}),
        ("mask_rcnn_r50_c4_shared", {"neck": "c4", "masks": True, "shared_features": True}),
    ],
)
def test_a_release_of_boxes_alone_and_its_arguments_are_the_same_detector(name, arguments):
    with torch.device("meta"):
        assert parts(zoo.faster_rcnn(**arguments)) == parts(zoo.build(name))


def test_a_backbone_of_timm_is_taken_by_its_name():
    pytest.importorskip("timm")
    with torch.device("meta"):
        built = zoo.keypoint_rcnn("timm_resnet10t", convolutions=1)
        assert built.card.architecture.arguments["trunk"] == "timm_resnet10t_fpn"
        assert built.card.name == "keypoint_rcnn_timm_resnet10t_fpn"


@pytest.mark.parametrize("variant", ["poise", "maskrcnn", "hrnet", "torchvision", "detectron2"])
def test_the_name_a_detector_gets_by_itself_is_that_of_a_release(variant):
    with torch.device("meta"):
        model = zoo.keypoint_rcnn(variant=variant)
        again = zoo.build(model.card.name)
    assert again.card == model.card


@pytest.mark.parametrize("name", codec_types())
def test_a_codec_for_views_of_one_person_stands_in_the_boxes_with_its_own_weight(name):
    codec = codec_types()[name]((32, 24), (32, 24), 17)
    model = zoo.keypoint_rcnn(**SMALL, codec=codec)
    assert model.codec == RoIAdapter.of(codec, weight=codec.roi_weight)
    found = model.eval().predict(torch.zeros(1, 3, 64, 64), flip=False)
    assert found[0].xy.shape[1:] == (17, 2)


def test_codecs_are_given_by_name_or_made_and_bring_their_cells_and_keypoints():
    with torch.device("meta"):
        assert zoo.keypoint_rcnn(**SMALL).codec == OneHot((56, 56), 17, score="mass", reading="blurred")
        assert zoo.keypoint_rcnn(**SMALL, codec="Gaussian", maps=(32, 24)).codec.codec == Gaussian((32, 24), (32, 24), 17)
        codec = OneHot((24, 32), len(LSP14))
        model = zoo.keypoint_rcnn(**SMALL, codec=codec, skeleton=LSP14)
    assert (model.codec, model.skeleton, model.network.keypoint.head.reader.cells) == (codec, LSP14, (24, 32))


def test_how_people_are_read_can_be_given():
    config = RCNNConfig(nms=0.6, rating="keypoints")
    with torch.device("meta"):
        made = zoo.keypoint_rcnn(**SMALL, config=config)
        boxes = zoo.faster_rcnn("hrnet_w4", box_width=8, config=config)
    for model in (made, boxes):
        assert model.config == config


def test_a_detector_of_arguments_survives_its_file(tmp_path):
    torch.manual_seed(0)
    model = zoo.keypoint_rcnn(**SMALL, codec="SimCC", skeleton=LSP14, classes=4, masks=True, norm="batch", name="mine").eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    assert parts(again) == parts(model)
    assert again.card == model.card
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        (one,), (other,) = (each.predict(images, flip=False) for each in (model, again))
    assert torch.equal(one.xy, other.xy)


@pytest.mark.parametrize("lost", [(), ("norm",)])
@pytest.mark.parametrize("variant", ["poise", "maskrcnn", "detectron2"])
def test_a_file_of_an_earlier_version_loads(variant, lost, tmp_path):
    """It calls the variant a manner; the first ones said nothing of norms."""
    torch.manual_seed(0)
    model = zoo.keypoint_rcnn(**(SMALL | {"backbone": "resnet50"}), variant=variant).eval()
    path = save(model, tmp_path / "model.safetensors")
    with safe_open(path, framework="pt") as file:
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
        metadata = json.loads(file.metadata()["poise"])
    arguments = metadata["card"]["architecture"]["arguments"]
    assert arguments.pop("variant") == variant
    arguments["manner"] = variant
    for key in lost:
        del arguments[key]
    old = tmp_path / "old.safetensors"
    save_file(weights, old, metadata={"poise": json.dumps(metadata)})
    again = load(old)
    assert str(again.network) == str(model.network)
    assert again.network.rpn.anchor_generator.rule == model.network.rpn.anchor_generator.rule
    assert again.network.box.pooler.aligned == model.network.box.pooler.aligned
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        (one,), (other,) = (each.predict(images, flip=False) for each in (model, again))
    assert torch.equal(one.xy, other.xy)
    assert load(save(again, tmp_path / "again.safetensors")).card == again.card


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (UnknownName, "no backbone 'resnet-50' of detectors; there are resnet50, .* timm_NAME", {"backbone": "resnet-50"}),
        (InputError, "no ResNet-51; the depths are 18, ", {"backbone": "resnet51"}),
        (InputError, "resnet50 takes the neck fpn or c4 or c5, not 'hrfpn'", {"neck": "hrfpn"}),
        (InputError, "hrnet_w4 takes the neck hrfpn or fpn or plain, not 'c4'", {"backbone": "hrnet_w4", "neck": "c4"}),
        (InputError, "pooling is how the neck hrfpn shrinks maps, .*for the neck fpn", {"hrfpn_pooling": "max"}),
        (InputError, "average or max; found 'min'", {"backbone": "hrnet_w4", "hrfpn_pooling": "min"}),
        (InputError, "says its neck already", {"backbone": BackboneSpec.of("resnet50"), "neck": "c4"}),
        (UnknownName, "no variant of detectors 'detectron'; did you mean 'detectron2'", {"variant": "detectron"}),
        (InputError, "norm is batch or frozen or bare or kept, .* found 'frosen'", {"norm": "frosen"}),
        (UnknownName, "no codec for boxes 'Gausian'; did you mean 'Gaussian'", {"codec": "Gausian"}),
        (InputError, "at least 4 cells a side, not 3x8", {"maps": (3, 8)}),
        (InputError, "has 2 classes or more, .* found 1", {"classes": 1}),
        (InputError, "convolutions of a detector is at least 1, not 0", {"convolutions": 0}),
        (InputError, "box_width of a detector is at least 1, not -1", {"box_width": -1}),
        (InputError, r"long side at most, such as \(800, 1333\); found \(0, 5\)", {"size": (0, 5)}),
        (InputError, "14 keypoints, and the skeleton 'coco17' has 17", {"codec": OneHot((56, 56), 14)}),
        (
            InputError,
            r"maps of \(28, 28\) cells, and \(56, 56\) are asked for",
            {"codec": OneHot((28, 28), 17), "maps": (56, 56)},
        ),
        (InputError, "neither torchvision nor timm has .* a maskrcnn detector", {"variant": "maskrcnn", "pretrained": True}),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(error, words, arguments, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users have no hook that refuses the wrong word first
    with torch.device("meta"), pytest.raises(error, match=words) as caught:
        zoo.keypoint_rcnn(**arguments)
    assert isinstance(caught.value, PoiseError)


def test_masks_of_a_pyramid_share_no_features():
    with torch.device("meta"), pytest.raises(InputError, match="leave out 'shared'"):
        zoo.faster_rcnn(masks=True, shared_features=True)
