"""Backbones of two-stage detectors with the necks on them: by their parts, and by the name that releases give both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, final, get_args

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
from poise.zoo.rcnn.variants import Variant, VariantName

NeckName = Literal["fpn", "hrfpn", "plain", "c4", "c5"]
"""Necks: an FPN (arXiv 1612.03144) or HRFPN (arXiv 1908.07919) of several maps; the finest branch of an HRNet alone
("plain"); stage 4 of a ResNet, whose last stage is in the heads ("c4"); its last stage ("c5")."""

RESNET = re.compile(r"resnet(?P<depth>\d+)|resnext(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d")
HRNET = re.compile(r"hrnet_w(?P<width>\d+)")
TIMM = re.compile(r"timm_(?P<name>.+)")

NECKS: Mapping[re.Pattern[str], tuple[NeckName, ...]] = {
    RESNET: ("fpn", "c4", "c5"),
    HRNET: ("hrfpn", "fpn", "plain"),
    TIMM: ("fpn",),
}
"""Necks that a backbone can have; the first is the default."""

RESNET_NAME = re.compile(
    r"(?:(?:r|resnet)_?(?P<depth>\d+)|x_?(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d)_?(?P<neck>fpn|c4|c5)"
)
HRNET_NAME = re.compile(
    r"hrnet(?:(?P<pyramid>v2p)|v2)?_?w(?P<width>\d+)(?:_(?P<neck>hrfpn|fpn|plain))?(?:_(?P<pooling>avg|average|max)(?:pool)?)?"
)
TIMM_NAME = re.compile(r"timm_(?P<name>.+)_fpn")


@final
@dataclass(frozen=True)
class BackboneSpec:
    """A backbone and the neck on it.

    Attributes:
        body: `resnet50`, `resnext101_32x8d`, `hrnet_w32` with any depth or width, or `timm_NAME` for a backbone of timm.
        neck: Neck on the backbone.
        pooling: Pooling by which an HRFPN shrinks its maps.
        spelling: Name in a release, if it differs from `name`.

    Raises:
        UnknownName: There is no such backbone.
        InputError: It cannot have that neck, or pooling without an HRFPN.
    """

    body: str
    neck: NeckName
    pooling: Pooling | None = None
    spelling: str | None = None

    def __post_init__(self) -> None:
        """Check that body, neck and pooling go together."""
        if self.neck not in necks_of(self.body):
            raise InputError(f"{self.body} takes the neck {' or '.join(necks_of(self.body))}, not {self.neck!r}")
        if self.pooling is not None and (self.neck != "hrfpn" or self.pooling not in get_args(Pooling)):
            raise InputError(
                f"pooling is how the neck hrfpn shrinks maps, {' or '.join(get_args(Pooling))}; found {self.pooling!r} for the "
                f"neck {self.neck}"
            )

    @classmethod
    def of(cls, body: str, neck: NeckName | None = None, pooling: Pooling | None = None) -> "BackboneSpec":
        """A backbone with the default neck of its body unless one is given: HRFPN for HRNets, FPN for others.

        Raises:
            UnknownName: There is no such backbone.
            InputError: It cannot have that neck or pooling.
        """
        return cls(body, neck or necks_of(body)[0], pooling)

    @classmethod
    def parse(cls, name: str) -> "BackboneSpec":
        """From the name of body and neck in releases and model files.

        Args:
            name: `r50_fpn`, `r101_c4`, `r50_c5`, `x101_32x8d_fpn`, `hrnet_w32_hrfpn`, `hrnet_w32_hrfpn_max`, `hrnet_w32_fpn`,
                `hrnet_w32_plain` (so is `hrnet_w32`, as files of earlier versions say), `timm_NAME_fpn`.

        Raises:
            UnknownName: There is no backbone of that name.
        """
        if found := RESNET_NAME.fullmatch(name):
            depth = found["depth"]
            body = f"resnet{depth}" if depth else f"resnext{found['deep']}_{found['groups']}x{found['wide']}d"
            return cls(body, cast(NeckName, found["neck"]), spelling=name)
        if found := HRNET_NAME.fullmatch(name):
            neck = found["neck"] or "plain"
            if neck == "hrfpn" or not found["pooling"]:
                pooling: Pooling | None = {"max": "max", None: None}.get(found["pooling"], "average")
                return cls(f"hrnet_w{found['width']}", cast(NeckName, neck), pooling, name)
        if found := TIMM_NAME.fullmatch(name):
            return cls(f"timm_{found['name']}", "fpn", spelling=name)
        raise UnknownName(
            f"there is no backbone {name!r}; there are r50_fpn, r50_c4, r50_c5, x101_32x8d_fpn, hrnet_w32_hrfpn, "
            "hrnet_w32_hrfpn_max, hrnet_w32_fpn, hrnet_w32_plain with any depth and width, and timm_NAME_fpn"
        )

    @property
    def name(self) -> str:
        """The whole as releases and model files write it, such as `r50_fpn`.

        >>> BackboneSpec.of("resnet50").name, BackboneSpec.of("hrnet_w32", pooling="max").name
        ('r50_fpn', 'hrnet_w32_hrfpn_max')
        """
        if self.spelling:
            return self.spelling
        body = re.sub(r"^resne(x)?t", lambda m: m[1] or "r", self.body)
        return f"{body}_{self.neck}" + ("_max" if self.pooling == "max" else "")

    def build(self, variant: Variant) -> BackboneWithNeck:
        """Both, with random weights.

        Raises:
            InputError: A depth or width that cannot be.
        """
        body = self._body(variant)
        replace_norms(body, variant.norm)
        if self.neck not in ("fpn", "hrfpn"):
            return BackboneWithNeck(body, keep=(len(body.channels) - 1,))
        keep = pyramid_levels(body.strides)
        channels, strides = tuple(body.channels[i] for i in keep), tuple(body.strides[i] for i in keep)
        if self.neck == "hrfpn":
            return BackboneWithNeck(body, HRFPN(channels, strides, pooling=self.pooling or "average"), keep=keep)
        return BackboneWithNeck(body, FPN(channels, strides), keep=keep)

    def _body(self, variant: Variant) -> Backbone:
        if found := HRNET.fullmatch(self.body):
            return HRNet(int(found["width"]), branches=1 if self.neck == "plain" else 4)
        if found := TIMM.fullmatch(self.body):
            return TimmBackbone(found["name"])
        return ResNet(stages=3 if self.neck == "c4" else 4, **resnet_arguments(self.body, variant))


def necks_of(body: str) -> tuple[NeckName, ...]:
    """Necks that a body can have, the default first.

    Raises:
        UnknownName: There is no such backbone.
    """
    for pattern, necks in NECKS.items():
        if pattern.fullmatch(body):
            return necks
    raise UnknownName(
        f"there is no backbone {body!r} of detectors; there are resnet50, resnext101_32x8d and hrnet_w32 with any depth and "
        "width, and timm_NAME"
    )


def resnet_arguments(body: str, variant: Variant) -> dict[str, Any]:
    """Arguments of `ResNet` and `resnet.stage` for a body such as `resnet50` or `resnext101_32x8d`."""
    found = RESNET.fullmatch(body)
    assert found is not None, "other bodies have been taken apart before"
    if found["depth"]:
        return {"depth": int(found["depth"]), "style": variant.style}
    return {"depth": int(found["deep"]), "style": "pytorch", "groups": int(found["groups"]), "group_width": int(found["wide"])}


def load_imagenet(network: nn.Module, backbone: BackboneSpec, variant: VariantName) -> None:
    """Load the ImageNet weights of torchvision or timm into a backbone, in place.

    Args:
        network: Network from `backbone.build`; changed in place.
        backbone: Specification of the backbone.
        variant: Code base of the detector.

    Raises:
        InputError: Its code base starts from other weights, which neither torchvision nor timm has.
        MissingExtra, ReadError: The weights cannot be had.
    """
    body = cast(BackboneWithNeck, network).body
    resnet, hrnet, timm = (pattern.fullmatch(backbone.body) for pattern in (RESNET, HRNET, TIMM))
    if variant not in ("poise", "torchvision") or (resnet and not resnet["depth"]):
        raise InputError(
            f"neither torchvision nor timm has the ImageNet weights that a {variant} detector on {backbone.name} starts from; "
            "take a ResNet, HRNet or timm backbone of ours (a name that begins with none of the releases'), or start without "
            "(--no-pretrained, pretrained=False)"
        )
    if resnet:
        start_resnet(cast(ResNet, body), int(resnet["depth"]), "pytorch")
    if hrnet:
        start_hrnet(cast(HRNet, body), int(hrnet["width"]))
    if timm:
        start_timm(cast(TimmBackbone, body), timm["name"])
