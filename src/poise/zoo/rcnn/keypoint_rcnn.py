"""Keypoint R-CNN (He et al., ICCV 2017, arXiv 1703.06870), on ResNets, ResNeXts and backbones of timm: releases by name.

The names of weights are those of maskrcnn-benchmark; the ResNets of HRNet-MaskRCNN-Benchmark (`maskrcnn_hr_...`) have the same.
Checkpoints of torchvision and Detectron2 get them first (`zoo/rcnn/renames.py`). Detectors without keypoints find boxes alone,
and parts of a detector have names too. Whoever wants a detector of his own, and no release's, calls `zoo.keypoint_rcnn`.
"""

from collections.abc import Mapping
from typing import Any

from poise.errors import InputError
from poise.models.box_detector import BoxDetector
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.network_part import NetworkPart
from poise.nn.frozen import Norm
from poise.nn.heads.roi import MAP_CELLS
from poise.nn.rcnn import RCNN
from poise.skeletons import COCO17, Skeleton
from poise.weights.release import Release
from poise.zoo.family import BuildRequest, Family
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.builder import coco_classes, faster_rcnn, keypoint_rcnn, rcnn_network
from poise.zoo.rcnn.heads import Heads, build_network
from poise.zoo.rcnn.keys import PYRAMID, duplicates, keys, order
from poise.zoo.rcnn.name_grammar import (
    BACKBONE,
    HEAD_PATTERN,
    BackboneName,
    DetectorName,
    HeadName,
    detector_pattern,
    parse_name,
)
from poise.zoo.rcnn.parts import build_backbone, build_head
from poise.zoo.rcnn.presets import SIZE
from poise.zoo.rcnn.variants import variant_of

PROPOSALS_ONLY = "a region proposal network alone, whose boxes are of anything and not of people"
UNNAMED_KEYPOINTS = "a detector whose keypoints have no names (zoo.build takes a skeleton)"
"""Detectors that are parts here."""


def network(
    trunk: str,
    heads: Mapping[str, Any],
    variant: str = "poise",
    norm: Norm | None = None,
    manner: str | None = None,
) -> RCNN:
    """The network of a detector alone, with random weights, from what a model file says.

    Args:
        trunk: The backbone with its neck, as `BackboneSpec.parse` reads it: `r50_fpn`.
        heads: Fields of `Heads`.
        variant: The code base, one of `VARIANTS`.
        norm: Batch norms of the backbone, if other than the variant's.
        manner: The variant, in files of earlier versions.
    """
    return build_network(BackboneSpec.parse(trunk), variant_of(manner or variant, norm), Heads(**heads))


def build(request: BuildRequest) -> KeypointRCNN | BoxDetector | NetworkPart:
    """The detector, backbone or head of a name."""
    match parse_name(request):
        case HeadName() as name:
            return build_head(request, name)
        case BackboneName() as name:
            return build_backbone(request, name)
        case DetectorName() as name:
            return _detector(request, name)


def _detector(request: BuildRequest, name: DetectorName) -> KeypointRCNN | BoxDetector | NetworkPart:
    """A model of keypoints, where they have names; of boxes, where there are no keypoints; else its network alone."""
    if name.detector in ("keypointrcnn", "keypointmaskrcnn"):
        return _keypoint_detector(request, name)
    if request.skeleton or request.codec:
        raise InputError(
            f"{request.name!r} has no keypoint head, so it takes no skeleton and no codec; take "
            f"keypoint_rcnn_{name.backbone.name}, or leave them out"
        )
    if name.detector == "rpn":
        return _part(request, name, Heads(classes=0, channels=0), PROPOSALS_ONLY)
    options = name.options
    return faster_rcnn(
        name.backbone,
        variant=name.variant,
        norm=name.norm,
        classes=options.number("classes", coco_classes(name.variant)),
        masks=name.detector == "maskrcnn",
        shared_features="shared" in options,
        size=options.size("size", SIZE),
        pretrained=request.pretrained,
        name=request.name,
    )


def _keypoint_detector(request: BuildRequest, name: DetectorName) -> KeypointRCNN | NetworkPart:
    options, skeleton = name.options, _skeleton(request, name)
    classes, maps = options.number("classes", 2), options.size("maps", MAP_CELLS)
    masks, shared = name.detector == "keypointmaskrcnn", "shared" in options
    if skeleton is None:
        keypoints = options.number("keypoints", len(COCO17))
        heads = Heads(classes=classes, channels=keypoints, cells=maps, shared=shared, masks=masks)
        return _part(request, name, heads, UNNAMED_KEYPOINTS)
    return keypoint_rcnn(
        name.backbone,
        variant=name.variant,
        norm=name.norm,
        skeleton=skeleton,
        codec=request.codec,
        maps=maps,
        classes=classes,
        masks=masks,
        shared_features=shared,
        size=options.size("size", SIZE),
        pretrained=request.pretrained,
        name=request.name,
    )


def _skeleton(request: BuildRequest, name: DetectorName) -> Skeleton | None:
    """The one asked for, or COCO's for as many keypoints as it has."""
    coco = name.options.number("keypoints", len(COCO17)) == len(COCO17)
    return request.skeleton or (COCO17 if coco else None)


def _part(request: BuildRequest, name: DetectorName, heads: Heads, words: str) -> NetworkPart:
    network, architecture = rcnn_network(name.backbone, name.variant, heads, norm=name.norm, pretrained=request.pretrained)
    return NetworkPart(network, Card(request.name, architecture, licence="of whoever trains it"), words)


_TORCHVISION = "https://download.pytorch.org/models"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2"


def _torchvision(name: str, file: str, *, box: float, keypoints: float | None = None) -> Release:
    """A checkpoint of torchvision; its file's name ends in the first digits of its sha256."""
    return Release(
        f"torchvision_{name}",
        file=file,
        page="https://docs.pytorch.org/vision/stable/models.html",
        folder=_TORCHVISION,
        url=f"{_TORCHVISION}/{file}",
        sha256=file.removesuffix(".pth").rpartition("-")[2],
        licence="BSD-3-Clause (code); weights trained on COCO",
        scores=_scores(box, keypoints),
    )


def _detectron2(name: str, file: str, *, box: float, keypoints: float | None = None) -> Release:
    """A checkpoint of Detectron2, of its 3x schedule."""
    return Release(
        f"detectron2_{name}",
        file=file,
        page="https://github.com/facebookresearch/detectron2/blob/main/MODEL_ZOO.md",
        folder=f"{_DETECTRON2}/{file.rpartition('/')[0]}",
        url=f"{_DETECTRON2}/{file}",
        licence="CC BY-SA 3.0 (weights), Apache-2.0 (code)",
        scores=_scores(box, keypoints),
    )


def _scores(box: float, keypoints: float | None) -> dict[str, float]:
    """AP on COCO val2017, of keypoints first, without the flip test."""
    return ({} if keypoints is None else {"coco-val2017/AP": keypoints}) | {"coco-val2017/box AP": box}


RELEASES = (
    _torchvision("keypoint_rcnn_r50_fpn", "keypointrcnn_resnet50_fpn_coco-fc266e95.pth", box=0.546, keypoints=0.650),
    _detectron2(
        "keypoint_rcnn_r50_fpn",
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x/137849621/model_final_a6e10b.pkl",
        box=0.554,
        keypoints=0.655,
    ),
    _detectron2(
        "keypoint_rcnn_r101_fpn",
        "COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x/138363331/model_final_997cc7.pkl",
        box=0.564,
        keypoints=0.661,
    ),
    _detectron2(
        "keypoint_rcnn_x101_32x8d_fpn",
        "COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x/139686956/model_final_5ad38f.pkl",
        box=0.573,
        keypoints=0.660,
    ),
    Release(
        "maskrcnn_keypoint_rcnn_r50_fpn",
        page="https://github.com/facebookresearch/maskrcnn-benchmark/blob/main/MODEL_ZOO.md",
        licence="MIT (code)",
        scores=_scores(0.537, 0.643),
    ),
    _torchvision("faster_rcnn_r50_fpn", "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", box=0.370),
    _torchvision("mask_rcnn_r50_fpn", "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", box=0.379),
)
"""Published detectors, by the names that build them. Others of the same networks can be imported from a file."""

FAMILY = Family(
    paper="Keypoint R-CNN (arXiv 1703.06870), detectors of boxes alone and parts: maskrcnn-benchmark, torchvision, Detectron2",
    form=(
        "[maskrcnn_|torchvision_|detectron2_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_{r50,r101,x101_32x8d}_{fpn,c4,c5}"
        "[_c5p6p7|_p5p6p7][_gn|_bn][_relu][_HEIGHTxWIDTH]"
    ),
    pattern=f"{detector_pattern(BACKBONE)}|{HEAD_PATTERN}",
    build=build,
    networks={"network": network},
    releases=RELEASES,
    keys=keys((("body.stem.conv1.", "body.conv1."), ("body.stem.bn1.", "body.bn1."), *PYRAMID)),
    order=order,
    duplicates=duplicates,
)
