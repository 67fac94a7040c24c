"""Backbones that detectors can stand on, by name: ResNets, ResNeXts, HRNets, any of timm, and small ones."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from torch import nn

from poise.errors import InputError, UnknownName, unknown
from poise.nn.backbones.cspnext import CSPNeXt
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.litehrnet import LiteHRNet
from poise.nn.backbones.lpn import LPN
from poise.nn.backbones.mobilenetv2 import MobileNetV2
from poise.nn.backbones.plain import PlainNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.base import Backbone
from poise.zoo.imagenet import start_hrnet, start_resnet, start_timm
from poise.zoo.plain import BLOCKS, WIDTHS
from poise.zoo.rcnn.variants import Variant, VariantName
from poise.zoo.rtm import FACTORS, start_cspnext

NeckName = Literal["fpn", "hrfpn", "plain", "c4", "c5"]
"""Necks: an FPN (arXiv 1612.03144) or HRFPN (arXiv 1908.07919) of several maps; the finest branch of an HRNet alone
("plain"); stage 4 of a ResNet, whose last stage is in the heads ("c4"); its last stage ("c5")."""

RESNET = re.compile(r"resnet(?P<depth>\d+)|resnext(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d")
HRNET = re.compile(r"hrnet_w(?P<width>\d+)")
TIMM = re.compile(r"timm_(?P<name>.+)")
CSPNEXT = re.compile(r"cspnext_(?P<size>[a-z])")
PLAIN = re.compile(r"poise_(?P<width>[a-z])")
LITE = re.compile(r"litehrnet(?P<depth>\d+)")
LPNS = re.compile(r"lpn(?P<depth>\d+)")
MOBILE = re.compile(r"mobilenetv2")

NECKS: Mapping[re.Pattern[str], tuple[NeckName, ...]] = {
    RESNET: ("fpn", "c4", "c5"),
    HRNET: ("hrfpn", "fpn", "plain"),
    TIMM: ("fpn",),
    CSPNEXT: ("fpn",),
    PLAIN: ("fpn",),
    LITE: ("fpn",),
    LPNS: ("fpn",),
    MOBILE: ("fpn",),
}
"""Necks that a backbone can have; the first is the default."""

SMALL = r"cspnext_[a-z]|poise_[a-z]|litehrnet\d+|lpn\d+|mobilenetv2"
"""Names of the small ones, as a regular expression."""

SUCH = "resnet50, resnext101_32x8d, hrnet_w32 (any numbers), timm_NAME, cspnext_m, poise_s, litehrnet18, lpn50, mobilenetv2"
"""Examples of names, for messages."""


def necks_of(body: str) -> tuple[NeckName, ...]:
    """Necks that a body can have, the default first.

    Raises:
        UnknownName: There is no such backbone.
    """
    for pattern, necks in NECKS.items():
        if pattern.fullmatch(body):
            return necks
    raise UnknownName(f"there is no backbone {body!r} of detectors; there are {SUCH}")


def build_body(body: str, neck: NeckName, variant: Variant) -> Backbone:
    """A backbone with random weights.

    Args:
        body: Its name, such as `resnet50`.
        neck: Neck that will stand on it, which decides how many maps it gives.
        variant: Code base of the detector.

    Raises:
        InputError: A depth or width that cannot be.
        UnknownName: A size that there is not.
    """
    if found := HRNET.fullmatch(body):
        return HRNet(int(found["width"]), branches=1 if neck == "plain" else 4)
    if RESNET.fullmatch(body):
        return ResNet(stages=3 if neck == "c4" else 4, **resnet_arguments(body, variant))
    for pattern, make in _OTHERS.items():
        if found := pattern.fullmatch(body):
            return make(found)
    raise UnknownName(f"there is no backbone {body!r} of detectors; there are {SUCH}")


def _cspnext(found: re.Match[str]) -> Backbone:
    if found["size"] not in FACTORS:
        raise unknown("size of CSPNeXt", found["size"], FACTORS)
    return CSPNeXt(*FACTORS[found["size"]], stages=(1, 2, 3, 4))


def _plain(found: re.Match[str]) -> Backbone:
    if found["width"] not in WIDTHS:
        raise unknown("width of poise's own network", found["width"], WIDTHS)
    return PlainNet(WIDTHS[found["width"]], BLOCKS)


_OTHERS: Mapping[re.Pattern[str], Callable[[re.Match[str]], Backbone]] = {
    TIMM: lambda found: TimmBackbone(found["name"]),
    CSPNEXT: _cspnext,
    PLAIN: _plain,
    LITE: lambda found: LiteHRNet(int(found["depth"])),
    LPNS: lambda found: LPN(int(found["depth"])),
    MOBILE: lambda _: MobileNetV2(),
}


def resnet_arguments(body: str, variant: Variant) -> dict[str, Any]:
    """Arguments of `ResNet` and `resnet.stage` for a body such as `resnet50` or `resnext101_32x8d`."""
    found = RESNET.fullmatch(body)
    assert found is not None, "other bodies have been taken apart before"
    if found["depth"]:
        return {"depth": int(found["depth"]), "style": variant.style}
    return {"depth": int(found["deep"]), "style": "pytorch", "groups": int(found["groups"]), "group_width": int(found["wide"])}


def load_imagenet(body: nn.Module, name: str, variant: VariantName) -> None:
    """Load the ImageNet weights of torchvision, timm or OpenMMLab into a backbone, in place.

    Args:
        body: The backbone without its neck; changed in place.
        name: Its name.
        variant: Code base of the detector.

    Raises:
        InputError: Its code base starts from other weights, or there are none of this backbone.
        MissingExtra, ReadError: The weights cannot be had.
    """
    resnet, hrnet, timm, csp = (pattern.fullmatch(name) for pattern in (RESNET, HRNET, TIMM, CSPNEXT))
    known = (resnet and resnet["depth"]) or hrnet or timm or csp
    if variant not in ("poise", "torchvision") or not known:
        raise InputError(
            f"neither torchvision nor timm has the ImageNet weights that a {variant} detector on {name} starts from; "
            "take a ResNet, HRNet or timm backbone of ours (a name that begins with none of the releases'), or start without "
            "(--no-pretrained, pretrained=False)"
        )
    if resnet:
        start_resnet(cast(ResNet, body), int(resnet["depth"]), "pytorch")
    if hrnet:
        start_hrnet(cast(HRNet, body), int(hrnet["width"]))
    if timm:
        start_timm(cast(TimmBackbone, body), timm["name"])
    if csp:
        start_cspnext(cast(CSPNeXt, body), csp["size"])
