"""The trunks of two-stage detectors by name: a backbone, and the neck that stands on it."""

import re
from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from poise.errors import InputError, UnknownName
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.base import Backbone
from poise.nn.frozen import replace_norms
from poise.nn.necks.base import BackboneWithNeck, pyramid_levels
from poise.nn.necks.fpn import FPN
from poise.nn.necks.hrfpn import HRFPN, Pooling
from poise.zoo.imagenet import start_hrnet, start_resnet, start_timm
from poise.zoo.rcnn.variants import Dialect

HRNET = re.compile(
    r"hrnet(?:(?P<pyramid>v2p)|v2)?_?w(?P<width>\d+)(?:_(?P<neck>hrfpn|fpn|plain))?(?:_(?P<pooling>avg|average|max)(?:pool)?)?"
)
RESNET = re.compile(r"(?:(?:r|resnet)_?(?P<depth>\d+)|x_?(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d)_?(?P<form>fpn|c4|c5)")
TIMM = re.compile(r"timm_(?P<backbone>.+)_fpn")


def resolved(name: str, dialect: Dialect) -> str:
    """A trunk's name with what stands on an HRNet, where a model's name leaves that to its release.

    Args:
        name: Of the trunk.
        dialect: Of the release.

    >>> from poise.zoo.rcnn.variants import DIALECTS
    >>> resolved("hrnetv2p_w18_max", DIALECTS["poise"]), resolved("hrnet_w18", DIALECTS["poise"])
    ('hrnetv2p_w18_hrfpn_max', 'hrnet_w18_plain')
    """
    found = HRNET.fullmatch(name)
    if found is None or found["neck"]:
        return name
    neck, end = "hrfpn" if found["pyramid"] or dialect.hrfpn else "plain", found.end("width")
    return f"{name[:end]}_{neck}{name[end:]}"


def trunk(name: str, dialect: Dialect) -> BackboneWithNeck:
    """A trunk by name, with random weights.

    Args:
        name: `r50_fpn`, `r101_c4` (its last stage is in the heads), `r50_c5`, `x101_32x8d_fpn`, `hrnet_w32_hrfpn`,
            `hrnet_w32_hrfpn_max`, `hrnet_w32_fpn`, `hrnet_w32_plain` (the finest branch alone; so is `hrnet_w32`, as files of
            earlier versions say), `timm_BACKBONE_fpn`.
        dialect: Style and norms.

    Raises:
        UnknownName: There is no such trunk.
        InputError: A depth or width that cannot be.
    """
    for pattern, build in ((RESNET, _resnet), (HRNET, _hrnet), (TIMM, _timm)):
        found = pattern.fullmatch(name)
        parts = None if found is None else _with_form(found.groupdict())
        if parts is not None:
            body = build(parts, dialect)
            replace_norms(body, dialect.norm)
            return _joined(body, parts)
    raise UnknownName(
        f"there is no trunk {name!r}; there are r50_fpn, r50_c4, r50_c5, x101_32x8d_fpn, hrnet_w32_hrfpn, hrnet_w32_hrfpn_max, "
        "hrnet_w32_fpn, hrnet_w32_plain with any depth and width, and timm_BACKBONE_fpn"
    )


def _with_form(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parts of a trunk's name with what stands on its backbone; None where that cannot be shrunk as the name says."""
    form = parts.get("form") or (parts["neck"] or "plain" if "width" in parts else "fpn")
    return None if parts.get("pooling") and form != "hrfpn" else {**parts, "form": form}


def _joined(body: Backbone, parts: Mapping[str, Any]) -> BackboneWithNeck:
    form = parts["form"]
    if form not in ("fpn", "hrfpn"):
        return BackboneWithNeck(body, keep=(len(body.channels) - 1,))
    keep = pyramid_levels(body.strides)
    channels, strides = tuple(body.channels[i] for i in keep), tuple(body.strides[i] for i in keep)
    if form == "hrfpn":
        pooling: Pooling = "max" if parts["pooling"] == "max" else "average"
        return BackboneWithNeck(body, HRFPN(channels, strides, pooling=pooling), keep=keep)
    return BackboneWithNeck(body, FPN(channels, strides), keep=keep)


def _resnet(parts: Mapping[str, Any], dialect: Dialect) -> Backbone:
    return ResNet(stages=3 if parts["form"] == "c4" else 4, **resnet_arguments(parts, dialect))


def resnet_arguments(parts: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """What a ResNet or one of its stages is built from, by the parts that `RESNET` finds in a trunk's name."""
    if parts["depth"]:
        return {"depth": int(parts["depth"]), "style": dialect.style}
    return {"depth": int(parts["deep"]), "style": "pytorch", "groups": int(parts["groups"]), "group_width": int(parts["wide"])}


def _hrnet(parts: Mapping[str, Any], dialect: Dialect) -> Backbone:
    return HRNet(int(parts["width"]), branches=1 if parts["form"] == "plain" else 4)


def _timm(parts: Mapping[str, Any], dialect: Dialect) -> Backbone:
    return TimmBackbone(parts["backbone"])


def start(trunk: nn.Module, name: str, dialect: str) -> None:
    """Load the ImageNet weights of torchvision or timm into the backbone of a trunk.

    Args:
        trunk: What `trunk` made ...
        name: ... of this name.
        dialect: Name of the release's.

    Raises:
        InputError: The trunk is of a release whose ImageNet weights neither has.
        MissingExtra, ReadError: The weights cannot be had.
    """
    body = cast(BackboneWithNeck, trunk).body
    resnet, hrnet, timm = (pattern.fullmatch(name) for pattern in (RESNET, HRNET, TIMM))
    if dialect not in ("poise", "torchvision") or (resnet and not resnet["depth"]):
        raise InputError(
            f"neither torchvision nor timm has the ImageNet weights that a {dialect} detector on {name} starts from; take a "
            "ResNet, HRNet or timm backbone of ours (a name that begins with none of the releases'), or start without "
            "(--no-pretrained, pretrained=False)"
        )
    if resnet:
        start_resnet(cast(ResNet, body), int(resnet["depth"]), "pytorch")
    if hrnet:
        start_hrnet(cast(HRNet, body), int(hrnet["width"]))
    if timm:
        start_timm(cast(TimmBackbone, body), timm["backbone"])
