"""Pyramids of other forms: RetinaNet's P3 to P7 in two ways, norms and ReLU; and HRNet under Detectron2's names."""

import re

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from poise import zoo
from poise.errors import CheckpointError, InputError, UnknownName
from poise.nn.necks.fpn import FPN
from poise.zoo.importing import import_checkpoint, official_state
from poise.zoo.rcnn.backbones import BackboneSpec, Pyramid
from poise.zoo.rcnn.renames import to_maskrcnn_names, with_pyramid
from poise.zoo.rcnn.variants import variant_of


def shapes(name):
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in official_state(zoo.build(name), name).items()}


@pytest.mark.parametrize(("ending", "norm"), [("c5", None), ("p5", None), ("c5", nn.BatchNorm2d)])
@torch.no_grad()
def test_retinanets_body_is_torchvisions_in_both_ways(ending, norm):
    torch.manual_seed(0)
    last = LastLevelP6P7({"c5": 512, "p5": 256}[ending], 256)
    theirs = _resnet_fpn_extractor(resnet18(weights=None), 5, [2, 3, 4], last, norm_layer=norm).eval()
    head = {"head.classification_head.cls_logits.weight": torch.zeros(1)}
    found = import_checkpoint("torchvision_resnet18_fpn", {f"backbone.{k}": v for k, v in theirs.state_dict().items()} | head)
    assert found.model.card.name == f"torchvision_resnet18_fpn_{ending}p6p7{'_bn' if norm else ''}_eps"
    assert "the 1 weights of its other parts were left aside: head.classification_head" in found.description
    image = torch.randn(1, 3, 64, 96)
    ours = found.model.network
    assert ours.strides == (8, 16, 32, 64, 128)
    for expected, map_ in zip(theirs(image).values(), ours.eval()(image), strict=True):
        assert torch.equal(map_, expected)


def as_detectron2(key):
    """Detectron2's name of a backbone's weight, from maskrcnn-benchmark's."""
    key = re.sub(r"^body\.stem\.bn1\.", "body.stem.conv1.norm.", key)
    key = re.sub(r"^body\.layer(\d)\.", lambda m: f"body.res{int(m[1]) + 1}.", key).replace(".downsample.1.", ".shortcut.norm.")
    key = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", key).replace(".downsample.0.", ".shortcut.")
    for ours, theirs in (("inner", "lateral"), ("layer", "output")):
        key = re.sub(rf"^fpn\.fpn_{ours}(\d)\.", lambda m, theirs=theirs: f"fpn_{theirs}{int(m[1]) + 1}.", key)
    key = re.sub(r"^(fpn_\w+\d)\.0\.", r"\1.", key)
    key = re.sub(r"^(fpn_\w+\d)\.1\.", r"\1.norm.", key)
    return "backbone." + re.sub(r"^body\.", "bottom_up.", key).replace("fpn.top_blocks.", "top_block.")


@pytest.mark.parametrize("words", ["_gn", "_c5p6p7", "_p5p6p7_gn", "_bn"])
def test_detectron2s_bodies_are_read_and_tell_their_pyramid(words):
    name = f"detectron2_r50_fpn{words}"
    needed = shapes(name)
    theirs = {as_detectron2(key): torch.empty(shape) for key, shape in needed.items()}
    if "p6p7" in words:
        assert {"backbone.top_block.p7.bias", "backbone.fpn_lateral3.weight"} <= set(theirs)
        assert not any("fpn_lateral2" in key for key in theirs)
    if "gn" in words:
        assert {"backbone.fpn_output4.norm.weight", "backbone.fpn_output4.weight"} <= set(theirs)
    found, given = to_maskrcnn_names("r50_fpn", theirs | {"head.cls_score.bias": torch.empty(9)})
    assert found == name
    inside = {key.removeprefix("backbone."): tuple(value.shape) for key, value in given.items() if key.startswith("backbone.")}
    assert inside == {key: shape for key, shape in needed.items() if not key.endswith("num_batches_tracked")}


def test_maskrcnn_benchmarks_pyramid_with_norms_and_relu_has_its_names():
    found = shapes("maskrcnn_r50_fpn_c5p6p7_gn_relu")
    pyramid = {key: shape for key, shape in found.items() if key.startswith("fpn.")}
    levels = [f"fpn.fpn_{kind}{level}" for level in (2, 3, 4) for kind in ("inner", "layer")]
    norms = [f"{layer}.{part}" for layer in levels for part in ("0.weight", "1.weight", "1.bias")]
    assert set(pyramid) == {*norms, *(f"fpn.top_blocks.{p}.{part}" for p in ("p6", "p7") for part in ("weight", "bias"))}
    assert pyramid["fpn.top_blocks.p6.weight"] == (256, 2048, 3, 3)
    assert with_pyramid("maskrcnn_r50_fpn_relu", {}) == "maskrcnn_r50_fpn_relu"  # what a name says stays


@torch.no_grad()
def test_norms_and_relu_follow_every_convolution_of_a_pyramid():
    neck = FPN((4, 8), (4, 8), 32, norm="group", relu=True, extra=0)
    maps = neck([torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4)])
    kinds = [[type(layer) for layer in unit] for unit in (*neck.lateral, *neck.output)]
    assert kinds == [[nn.Conv2d, nn.GroupNorm, nn.ReLU]] * 4
    assert min(float(m.min()) for m in maps) == 0
    assert all(unit[0].bias is None for unit in neck.lateral)
    assert neck.lateral[0][1].num_groups == 32


@pytest.mark.parametrize("neck", ["hrfpn", "fpn"])
def test_hrnet_under_detectron2s_names_becomes_a_model_of_its_variant(neck):
    name = f"detectron2_keypoint_rcnn_hrnet_w4_{neck}"
    with torch.device("meta"):
        needed = official_state(zoo.build(name), name)

    def named(key):
        key = key.replace("backbone.neck.", "backbone.").replace("rpn.head.conv.", "proposal_generator.rpn_head.conv.")
        return as_detectron2(key.removeprefix("backbone.")) if re.match(r"backbone\.(fpn|body)\.", key) else key

    # What HRNet's own blocks are called stays: only the trunk's place is Detectron2's.
    theirs = {
        re.sub(r"^backbone\.body\.", "backbone.bottom_up.", key) if key.startswith("backbone.body.") else named(key): value
        for key, value in needed.items()
    }
    assert "backbone.bottom_up.stage4.2.fuse_layers.0.1.0.weight" in theirs
    assert {"hrfpn": "backbone.reduction_conv.0.weight", "fpn": "backbone.fpn_lateral5.weight"}[neck] in theirs
    theirs["backbone.bottom_up.bn1.num_batches_tracked"] = torch.zeros(())
    found, given = to_maskrcnn_names(f"keypoint_rcnn_hrnet_w4_{neck}", theirs)
    assert found == name
    assert given.keys() == needed.keys()


def test_an_hrfpn_that_resizes_by_convolutions_is_refused():
    weights = {"backbone.bottom_up.conv1.weight": torch.zeros(1), "backbone.interp_conv.0.0.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"DensePose's HRFPN.*backbone\.interp_conv\.0\.0\.weight; only the published"):
        to_maskrcnn_names("keypoint_rcnn_hrnet_w32", weights)


@pytest.mark.parametrize("body", ["poise_t", "cspnext_t", "litehrnet18", "lpn50", "mobilenetv2"])
def test_detectors_stand_on_every_small_backbone(body):
    with torch.device("meta"):
        detector = zoo.build(f"keypoint_rcnn_{body}_fpn_gn_64wide")
    assert detector.card.architecture.arguments["trunk"] == f"{body}_fpn_gn_64wide"
    assert set(detector.network.backbone.channels) == {64}
    assert BackboneSpec.of(body, pyramid=Pyramid(64, norm="group")).name == f"{body}_fpn_gn_64wide"


def test_options_of_a_pyramid_without_one_are_refused():
    for name in ("r50_c4_gn", "hrnet_w18_hrfpn_c5p6p7", "hrnet_w18_plain_relu"):
        with pytest.raises(InputError, match="are of the neck fpn"):
            BackboneSpec.parse(name)
    with pytest.raises(InputError, match="litehrnet18 has no map of stride 8 or more"):
        BackboneSpec.parse("litehrnet18_fpn_c5p6p7").build(variant_of("poise"))
    with pytest.raises(UnknownName, match="size of CSPNeXt"):
        BackboneSpec.parse("cspnext_q_fpn").build(variant_of("poise"))
