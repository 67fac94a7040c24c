"""The parts of two-stage detectors by name: trunks, heads, and what each release does its own way with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from poise.dims import Size
from poise.errors import InputError, UnknownName, unknown
from poise.nn.anchors import AnchorRule, Anchors
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet, stage
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.base import Backbone
from poise.nn.blocks import Style
from poise.nn.frozen import Norm, with_norm
from poise.nn.heads.roi import (
    BoxReader,
    Convolutions,
    FullyConnected,
    LastStage,
    MapReader,
    MaskReader,
    RoIHead,
    cut_for_maps,
    mask_head,
)
from poise.nn.heads.rpn import proposals
from poise.nn.necks.fpn import FPN
from poise.nn.necks.hrfpn import HRFPN, Pooling
from poise.nn.necks.trunk import Trunk, levels
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RCNN, RoIBranch

HRNET = re.compile(
    r"hrnet(?:(?P<pyramid>v2p)|v2)?_?w(?P<width>\d+)(?:_(?P<neck>hrfpn|fpn|plain))?(?:_(?P<pooling>avg|average|max)(?:pool)?)?"
)
RESNET = re.compile(r"(?:(?:r|resnet)_?(?P<depth>\d+)|x_?(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d)_?(?P<form>fpn|c4|c5)")
TIMM = re.compile(r"timm_(?P<backbone>.+)_fpn")

LAST_STAGE = 4
"""Of a ResNet; the C4 form has it in its heads."""

MASKED = 256
"""Channels that a mask head on a last stage reads masks off."""


@dataclass(frozen=True)
class Reading:
    """How many boxes are proposed, and how they are read off the maps.

    Attributes:
        sampling: Points a cell of a box is averaged from, along each side; 0 for as many as there are cells below.
        looked: How many boxes of each map are looked at, the surest: in training, in testing.
        kept: How many of an image are kept: in training, in testing.
        shared: How many of these a batch keeps in training for each of its images, the surest of all; None for all of them.
    """

    sampling: int = 2
    looked: tuple[int, int] = (2000, 1000)
    kept: tuple[int, int] = (2000, 1000)
    shared: int | None = None


SHARED = Reading(shared=1000)
"""Of maskrcnn-benchmark where there are several maps: on a device with 2 images, as it trains, 2000 of both together."""

ALONE = Reading(0, looked=(12000, 6000))
"""Of maskrcnn-benchmark and Detectron2 where there is one map (C4)."""


@dataclass(frozen=True)
class Dialect:
    """What releases of Keypoint R-CNN do each in its own way.

    Attributes:
        style: Where bottlenecks stride; ResNeXt's stride as "pytorch" says in all of them.
        norm: What the trunk's batch norms are.
        anchors: By which rule anchors are made.
        pyramid: How boxes are proposed and read where there are several maps ...
        alone: ... and where there is one.
        aligned: Whether the middle of a map's first cell is at half a stride when boxes are cut out.
        inclusive: Whether heads read boxes without their last row and column.
        smooth: Up to where errors of proposals count by their square; of boxes, `Learning.smooth` says it.
        hrfpn: Whether an HRNet has one where a model's name says nothing of a neck (`resolved`).
        inside: Whether proposals learn only from anchors that nowhere reach over the image's border.
        by_size: Whether a cell's anchors stand size by size, which shows where there is one map; else ratio by ratio.
    """

    style: Style = "pytorch"
    norm: Norm = "frozen"
    anchors: AnchorRule = "exact"
    pyramid: Reading = Reading()
    alone: Reading = Reading()
    aligned: bool = True
    inclusive: bool = False
    smooth: float = 1 / 9
    hrfpn: bool = False
    inside: bool = False
    by_size: bool = False

    def reading(self, trunk: Trunk) -> Reading:
        """How boxes are proposed and read on a trunk."""
        return self.pyramid if len(trunk.strides) > 1 else self.alone


DIALECTS: Mapping[str, Dialect] = {
    "poise": Dialect(),
    "maskrcnn": Dialect("caffe", "bare", "legacy", SHARED, ALONE, aligned=False, inclusive=True, inside=True),
    "hrnet": Dialect("caffe", "kept", "legacy", SHARED, ALONE, aligned=False, inclusive=True, inside=True, hrfpn=True),
    "torchvision": Dialect("pytorch", "bare", "rounded", aligned=False),
    "detectron2": Dialect("caffe", "frozen", "exact", Reading(0, kept=(1500, 1000)), ALONE, smooth=0.0, by_size=True),
}
"""Ours and those of maskrcnn-benchmark, HRNet-MaskRCNN-Benchmark, torchvision (its COCO_V1 weights) and Detectron2."""


def dialect(name: str, norm: Norm | None = None) -> Dialect:
    """By name; with other norms if asked for.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in DIALECTS:
        raise unknown("dialect of detectors", name, DIALECTS)
    return DIALECTS[name] if norm is None else replace(DIALECTS[name], norm=norm)


def resolved(name: str, manner: Dialect) -> str:
    """A trunk's name with what stands on an HRNet, where a model's name leaves that to its release.

    Args:
        name: Of the trunk.
        manner: Of the release.

    >>> resolved("hrnetv2p_w18_max", DIALECTS["poise"]), resolved("hrnet_w18", DIALECTS["poise"])
    ('hrnetv2p_w18_hrfpn_max', 'hrnet_w18_plain')
    """
    found = HRNET.fullmatch(name)
    if found is None or found["neck"]:
        return name
    neck, end = "hrfpn" if found["pyramid"] or manner.hrfpn else "plain", found.end("width")
    return f"{name[:end]}_{neck}{name[end:]}"


def trunk(name: str, manner: Dialect, *, pretrained: bool = False) -> Trunk:
    """A trunk by name.

    Args:
        name: `r50_fpn`, `r101_c4` (its last stage is in the heads), `r50_c5`, `x101_32x8d_fpn`, `hrnet_w32_hrfpn`,
            `hrnet_w32_hrfpn_max`, `hrnet_w32_fpn`, `hrnet_w32_plain` (the finest branch alone; so is `hrnet_w32`, as files of
            earlier versions say), `timm_BACKBONE_fpn`.
        manner: Style and norms.
        pretrained: Start a timm backbone from the weights timm has.

    Raises:
        UnknownName: There is no such trunk.
        InputError: A depth or width that cannot be.
    """
    for pattern, build in ((RESNET, _resnet), (HRNET, _hrnet), (TIMM, _timm)):
        found = pattern.fullmatch(name)
        parts = None if found is None else _with_form(found.groupdict())
        if parts is not None:
            body = build(parts, manner, pretrained)
            with_norm(body, manner.norm)
            return _joined(body, parts)
    raise UnknownName(
        f"there is no trunk {name!r}; there are r50_fpn, r50_c4, r50_c5, x101_32x8d_fpn, hrnet_w32_hrfpn, hrnet_w32_hrfpn_max, "
        "hrnet_w32_fpn, hrnet_w32_plain with any depth and width, and timm_BACKBONE_fpn"
    )


def _with_form(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parts of a trunk's name with what stands on its backbone; None where that cannot be shrunk as the name says."""
    form = parts.get("form") or (parts["neck"] or "plain" if "width" in parts else "fpn")
    return None if parts.get("pooling") and form != "hrfpn" else {**parts, "form": form}


def _joined(body: Backbone, parts: Mapping[str, Any]) -> Trunk:
    form = parts["form"]
    if form not in ("fpn", "hrfpn"):
        return Trunk(body, keep=(len(body.channels) - 1,))
    keep = levels(body.strides)
    channels, strides = tuple(body.channels[i] for i in keep), tuple(body.strides[i] for i in keep)
    if form == "hrfpn":
        pooling: Pooling = "max" if parts["pooling"] == "max" else "average"
        return Trunk(body, HRFPN(channels, strides, pooling=pooling), keep=keep)
    return Trunk(body, FPN(channels, strides), keep=keep)


def _resnet(parts: Mapping[str, Any], manner: Dialect, pretrained: bool) -> Backbone:
    return ResNet(stages=3 if parts["form"] == "c4" else 4, **_resnet_arguments(parts, manner))


def _resnet_arguments(parts: Mapping[str, Any], manner: Dialect) -> dict[str, Any]:
    if parts["depth"]:
        return {"depth": int(parts["depth"]), "style": manner.style}
    return {"depth": int(parts["deep"]), "style": "pytorch", "groups": int(parts["groups"]), "group_width": int(parts["wide"])}


def _hrnet(parts: Mapping[str, Any], manner: Dialect, pretrained: bool) -> Backbone:
    return HRNet(int(parts["width"]), branches=1 if parts["form"] == "plain" else 4)


def _timm(parts: Mapping[str, Any], manner: Dialect, pretrained: bool) -> Backbone:
    return TimmBackbone(parts["backbone"], pretrained=pretrained)


@dataclass(frozen=True)
class Heads:
    """Which heads a detector has.

    Attributes:
        classes: With the background; 0 for a region proposal network alone.
        channels: Of the codec; 0 for no keypoints.
        cells: Of the codec's maps (h, w).
        convolutions: Of the keypoint head.
        width: Of the keypoint head's convolutions.
        shared: Whether the keypoint head reads the box head's features.
        masks: Whether there is a mask head; that of the C4 form always reads the box head's features.
        features: Width of the box head's fully connected layers.
    """

    classes: int = 2
    channels: int = 17
    cells: Size = (56, 56)
    convolutions: int = 8
    width: int = 512
    shared: bool = False
    masks: bool = False
    features: int = 1024


def detector(name: str, manner: Dialect, heads: Heads, *, pretrained: bool = False) -> RCNN:
    """The network of a detector.

    Args:
        name: Of the trunk.
        manner: Of the release.
        heads: Which heads it has.
        pretrained: Start a timm backbone from the weights timm has.

    Raises:
        UnknownName: There is no such trunk.
        InputError: Sizes that cannot be, or features to share that there are not.
    """
    body = trunk(name, manner, pretrained=pretrained)
    how = manner.reading(body)
    anchors = Anchors(body.strides, rule=manner.anchors, by_size=manner.by_size)
    rpn = proposals(
        body.channels[0],
        anchors,
        kept=how.kept,
        looked=how.looked,
        smooth=manner.smooth,
        inside=manner.inside,
        shared=how.shared,
    )
    box = _box(name, body, manner, heads) if heads.classes else None
    keypoint = _keypoint(body, box, manner, heads) if heads.channels else None
    if keypoint and not box:
        raise InputError("a keypoint head reads the boxes that a box head finds; give the detector at least 2 classes")
    mask = _mask(body, box, manner, heads) if heads.masks else None
    if heads.shared and not any(branch and branch.pooler is None for branch in (keypoint, mask)):
        raise InputError("no head of this detector can read the box head's features; leave out 'shared', or take keypoint_rcnn")
    return RCNN(body, rpn, box=box, keypoint=keypoint, mask=mask)


def _box(name: str, body: Trunk, manner: Dialect, heads: Heads) -> RoIBranch:
    """The box head: the last stage of the C4 form; convolutions where its features are shared; else fully connected."""
    channels = body.channels[0]
    found = RESNET.fullmatch(name)
    if found is not None and found["form"] == "c4":
        own: nn.Module = last_stage(found.groupdict(), manner, width=2 * channels)
        cells: Size = (14, 14)
    elif heads.shared:
        own, cells = Convolutions(channels, (heads.width,) * heads.convolutions), cut_for_maps(heads.cells)
    else:
        cells = (7, 7)
        own = FullyConnected(channels, cells, heads.features)
    return RoIBranch(_pooler(body, cells, manner), RoIHead(own, BoxReader(_width(own), heads.classes)))


def last_stage(parts: Mapping[str, Any], manner: Dialect, *, width: int = 2048) -> LastStage:
    """The last stage of a ResNet, told by the parts of its name, as the body of a head that is `width` wide."""
    blocks = stage(number=LAST_STAGE, **_resnet_arguments(parts, manner))
    with_norm(blocks, manner.norm)
    return LastStage(blocks, width=width)


def _keypoint(body: Trunk, box: RoIBranch | None, manner: Dialect, heads: Heads) -> RoIBranch:
    if heads.shared and box is not None:
        return RoIBranch(None, RoIHead(nn.Identity(), MapReader(_width(box.head.body), heads.channels, heads.cells)))
    cells = cut_for_maps(heads.cells)
    own = Convolutions(body.channels[0], (heads.width,) * heads.convolutions)
    return RoIBranch(_pooler(body, cells, manner), RoIHead(own, MapReader(heads.width, heads.channels, heads.cells)))


def _mask(body: Trunk, box: RoIBranch | None, manner: Dialect, heads: Heads) -> RoIBranch:
    if box is not None and isinstance(box.head.body, LastStage):
        reader = MaskReader(box.head.body.width, heads.classes, hidden=MASKED)
        return RoIBranch(None, RoIHead(nn.Identity(), reader))
    return RoIBranch(_pooler(body, (14, 14), manner), mask_head(body.channels[0], classes=heads.classes))


def _width(body: nn.Module) -> int:
    width = body.width
    assert isinstance(width, int), "bodies of heads say how wide they are"
    return width


def _pooler(body: Trunk, cells: Size, manner: Dialect) -> RoIPooler:
    sampling = manner.reading(body).sampling
    return RoIPooler(body.strides, cells, sampling=sampling, aligned=manner.aligned, inclusive=manner.inclusive)
