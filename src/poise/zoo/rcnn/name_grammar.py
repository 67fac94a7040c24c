"""Names of detectors' releases and of their parts, and what they say: `maskrcnn_keypoint_rcnn_r50_fpn_17j_256x320`.

A name is a code base (none for ours), a type of detector and a backbone, in either order, then options. A backbone alone and a
head alone have names too (`maskrcnn_r50_fpn`, `maskrcnn_box_head_2cls`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast, final

from poise.dims import Size
from poise.errors import InputError
from poise.nn.frozen import Norm
from poise.zoo.family import BuildRequest
from poise.zoo.rcnn.backbones import HRNET_NAME, PYRAMID_WORDS, BackboneSpec
from poise.zoo.rcnn.bodies import SMALL
from poise.zoo.rcnn.heads import MIN_CLASSES
from poise.zoo.rcnn.variants import VARIANTS, VariantName, variant_of

Detector = Literal["keypointmaskrcnn", "keypointrcnn", "maskrcnn", "fasterrcnn", "rpn"]
"""Types of detectors, as names call them but for `_`."""

PREFIX = r"maskrcnn_hr|hrnet_maskrcnn|maskrcnn|torchvision|detectron2|poise"
"""How names begin."""

PREFIX_VARIANTS: Mapping[str, VariantName] = {"maskrcnn_hr": "hrnet", "hrnet_maskrcnn": "hrnet", "": "poise"}
"""Beginnings of names that are not the name of a variant."""

BACKBONE = rf"(?:(?:r|resnet)_?\d+_?(?:fpn|c4|c5)|x_?\d+_\d+x\d+d_?(?:fpn|c4|c5)|(?:timm_.+?|{SMALL})_fpn){PYRAMID_WORDS}"
"""ResNets, ResNeXts, backbones of timm and small ones with their necks, in names."""

OPTIONS: Mapping[str, tuple[str, str]] = {
    "classes": (r"\d+(?:cls|classes)", "81cls"),
    "keypoints": (r"\d+(?:j|kps?|keypoints)", "17j"),
    "anchors": (r"\d+(?:a|anchors)", "15anchors"),
    "channels": (r"\d+ch", "1024ch"),
    "maps": (r"maps\d+x\d+", "maps64x48"),
    "size": (r"\d+x\d+", "256x320"),
    "pooling": (r"(?:avg|average|max)(?:pool)?", "maxpool"),
    "shared": ("shared", "shared"),
    "eps": ("eps", "eps"),
    "last stage": ("c4", "c4"),
    "pooled": ("after_pooler", "after_pooler"),
    "data": ("coco", "coco"),
    "schedule": (r"\dx", "1x"),
    "list": ("keys", "keys"),
}
"""How an option is written, and an example.

`classes` counts the background; `maps` are the cells of a keypoint head's maps; `size` is that of images, in the name of a head
that of the features it reads; `pooling` is HRFPN's; with `shared` the keypoint head reads the box head's features; with `eps`
norms add 1e-5 to the variance; with `last stage` a head stands on a ResNet's last stage. `pooled`, `data`, `schedule` and
`list` change nothing.
"""

IGNORED = ("data", "schedule", "list")
"""Options that change no network."""

OPTION = "|".join(form for form, _ in OPTIONS.values())
"""Any of them, as a regular expression."""

DETECTOR_OPTIONS: Mapping[Detector, tuple[str, ...]] = {
    "keypointmaskrcnn": ("size", "pooling", "eps", "classes", "keypoints", "maps", "shared"),
    "keypointrcnn": ("size", "pooling", "eps", "classes", "keypoints", "maps", "shared"),
    "maskrcnn": ("size", "pooling", "eps", "classes", "shared"),
    "fasterrcnn": ("size", "pooling", "eps", "classes"),
    "rpn": ("size", "pooling", "eps"),
}
"""Options of each type of detector."""

BACKBONE_OPTIONS = ("size", "pooling", "eps")
"""Options of a backbone."""

Head = Literal["rpn_head", "box_head", "keypoint_head", "mask_head"]

HEAD_OPTIONS: Mapping[Head, tuple[str, ...]] = {
    "rpn_head": ("pooled", "anchors", "channels", "size"),
    "box_head": ("pooled", "classes", "channels", "size", "last stage", "eps"),
    "keypoint_head": ("pooled", "keypoints", "channels", "size", "maps"),
    "mask_head": ("pooled", "classes", "channels", "size", "last stage", "eps"),
}
"""Options of each head.

The size is that of the features a box head reads; for a keypoint head that of its maps or, beside `maps`, of the features. The
other heads are convolutions and take features of any size.
"""


def detector_pattern(backbone: str) -> str:
    """Names of whole detectors and of backbones alone, as a regular expression.

    Args:
        backbone: Names of the backbones, as a regular expression.
    """
    detector = r"keypoint_?(?:mask_?)?rcnn|mask_rcnn|(?<=_)maskrcnn|faster_?rcnn|rpn"  # `maskrcnn` alone is a code base
    either = (
        rf"(?:(?P<detector>{detector})_(?P<backbone>{backbone})|(?P<backbone_first>{backbone})_(?P<detector_last>{detector}))"
    )
    whole = rf"(?:(?P<prefix>{PREFIX})_)?{either}(?P<options>(?:_(?:{OPTION}))*)"
    alone = rf"(?P<alone_prefix>{PREFIX})_(?P<alone>{backbone})(?P<alone_options>(?:_(?:{OPTION}))*)"
    return rf"(?i){whole}|{alone}"


HEAD_PATTERN = (
    r"(?P<head_prefix>maskrcnn_hr|hrnet_maskrcnn|maskrcnn|poise)_"
    rf"(?P<head>{'|'.join(HEAD_OPTIONS)})(?P<head_options>(?:_(?:{OPTION}))*)"
)
"""Names of heads alone, as a regular expression."""


@final
@dataclass(frozen=True)
class NameOptions:
    """The options of a name.

    Attributes:
        values: Text of each option, by its name in `OPTIONS`.
    """

    values: Mapping[str, str]

    def __contains__(self, option: str) -> bool:
        """Whether the name has this option."""
        return option in self.values

    def number(self, option: str, default: int) -> int:
        """The number of an option, or the default without it."""
        return self._numbers(option)[0] if option in self.values else default

    def size(self, option: str, default: Size) -> Size:
        """The two numbers (h, w) of an option, or the default without it."""
        if option not in self.values:
            return default
        height, width = self._numbers(option)
        return height, width

    def _numbers(self, option: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", self.values[option])]


@final
@dataclass(frozen=True)
class DetectorName:
    """The parts of a whole detector's name.

    Attributes:
        variant: The code base.
        detector: Type of the detector.
        backbone: Backbone with its neck.
        norm: Batch norms of the backbone, if other than the variant's.
        options: Options at the end of the name.
    """

    variant: VariantName
    detector: Detector
    backbone: BackboneSpec
    norm: Norm | None
    options: NameOptions


@final
@dataclass(frozen=True)
class BackboneName:
    """The parts of a backbone's name; the attributes are those of `DetectorName`."""

    variant: VariantName
    backbone: BackboneSpec
    norm: Norm | None


@final
@dataclass(frozen=True)
class HeadName:
    """The parts of a head's name; the other attributes are those of `DetectorName`.

    Attributes:
        head: Type of the head.
    """

    variant: VariantName
    head: Head
    norm: Norm | None
    options: NameOptions


def parse_name(request: BuildRequest) -> DetectorName | BackboneName | HeadName:
    """The parts of a name, from the groups of `detector_pattern` and `HEAD_PATTERN`.

    Raises:
        InputError: An option that the detector, backbone or head does not have, or that cannot be.
        UnknownName: There is no such backbone.
    """
    parts = {key: value.lower() for key, value in request.parts.items()}
    if parts.get("head"):
        head = cast(Head, parts["head"])
        options = parse_options(parts["head_options"], HEAD_OPTIONS[head], name=request.name, what=f"the {head}")
        variant = _variant(parts["head_prefix"], "")
        return HeadName(variant, head, _norm(options, variant), options)
    if parts["alone"]:
        variant = _variant(parts["alone_prefix"], parts["alone"])
        options = parse_options(parts["alone_options"], BACKBONE_OPTIONS, name=request.name, what="a backbone")
        return BackboneName(variant, _backbone(parts["alone"], options, variant), _norm(options, variant))
    name = parts["backbone"] or parts["backbone_first"]
    detector = cast(Detector, (parts["detector"] or parts["detector_last"]).replace("_", ""))
    variant = _variant(parts["prefix"], name)
    options = parse_options(
        parts["options"], DETECTOR_OPTIONS[detector], name=request.name, what=f"a detector of the type {detector}"
    )
    return DetectorName(variant, detector, _backbone(name, options, variant), _norm(options, variant), options)


def split_options(text: str) -> list[tuple[str, str]]:
    """Each option of a name, and the text that sets it.

    >>> split_options("_after_pooler_2cls_14x14")
    [('pooled', 'after_pooler'), ('classes', '2cls'), ('size', '14x14')]
    """
    words = re.findall(rf"_({OPTION})(?=_|$)", text)
    return [(next(option for option, (form, _) in OPTIONS.items() if re.fullmatch(form, word)), word) for word in words]


def parse_options(text: str, known: Collection[str], *, name: str, what: str) -> NameOptions:
    """The options at the end of a name.

    Args:
        text: Options, each after a `_`.
        known: Options that are allowed, beside those that change no network.
        name: The whole name.
        what: What is named, for messages, such as "a backbone".

    Raises:
        InputError: Another option, two that contradict each other, or a number that is too small.
    """
    values: dict[str, str] = {}
    for option, word in split_options(text):
        if option not in (*known, *IGNORED):
            fit = ", ".join(OPTIONS[each][1] for each in (*known, *IGNORED))
            raise InputError(f"{name!r} says {word!r}, of which {what} has no use; words for it look like: {fit}")
        if values.get(option, word) != word:
            raise InputError(f"{name!r} says both {values[option]!r} and {word!r}; leave one of them out")
        numbers = [int(number) for number in re.findall(r"\d+", word)]
        if 0 in numbers:
            raise InputError(f"{name!r} says {word!r}; give a number above 0")
        if option == "classes" and numbers[0] < MIN_CLASSES:
            raise InputError(f"{name!r} says {word!r}; give at least {MIN_CLASSES} classes, of which the background is one")
        values[option] = word
    return NameOptions(values)


def with_neck(backbone: str, variant: VariantName) -> str:
    """The name of a backbone with the neck of an HRNet, where the name of a model leaves that to its code base.

    Args:
        backbone: Its name in the name of a model.
        variant: The code base.

    >>> with_neck("hrnetv2p_w18_max", "poise"), with_neck("hrnet_w18", "poise")
    ('hrnetv2p_w18_hrfpn_max', 'hrnet_w18_plain')
    """
    found = HRNET_NAME.fullmatch(backbone)
    if found is None or found["neck"]:
        return backbone
    hrfpn, end = found["before"] or VARIANTS[variant].hrfpn_by_default, found.end("width")
    return f"{backbone[:end]}_{'hrfpn' if hrfpn else 'plain'}{backbone[end:]}"


def _variant(prefix: str, backbone: str) -> VariantName:
    """Variant of a name; HRNets named after maskrcnn-benchmark are those of the code base that added HRNet to it."""
    if prefix == "maskrcnn" and HRNET_NAME.fullmatch(backbone):
        return "hrnet"
    return PREFIX_VARIANTS.get(prefix, cast(VariantName, prefix))


def _backbone(name: str, options: NameOptions, variant: VariantName) -> BackboneSpec:
    """The backbone of a name, with the neck of its code base and the pooling of the options."""
    pooled = f"{name}_{options.values['pooling']}" if "pooling" in options else name
    return BackboneSpec.parse(with_neck(pooled, variant))


def _norm(options: NameOptions, variant: VariantName) -> Norm | None:
    """Norms that add nothing to the variance add 1e-5 where the name says `eps`."""
    return "frozen" if "eps" in options and variant_of(variant).norm == "bare" else None
