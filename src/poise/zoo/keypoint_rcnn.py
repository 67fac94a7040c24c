"""Keypoint R-CNN (He et al., ICCV 2017, arXiv 1703.06870), on ResNets, ResNeXts and backbones of timm.

The names of weights are those of maskrcnn-benchmark; the ResNets of HRNet-MaskRCNN-Benchmark (`maskrcnn_hr_...`) have the same.
Checkpoints of torchvision and Detectron2 get them first (`zoo/rcnn_names.py`). Detectors without keypoints find boxes alone,
and parts of a detector have names too.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast

from torch import nn

from poise.errors import InputError
from poise.models.box_detector import BoxDetector
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.part import Part
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.frozen import Norm
from poise.nn.heads.roi import box_head, keypoint_head, mask_head
from poise.nn.heads.rpn import Levels
from poise.nn.necks.trunk import Trunk
from poise.nn.rcnn import RCNN
from poise.skeletons import COCO17
from poise.structures import Architecture
from poise.zoo.imagenet import start_hrnet, start_resnet
from poise.zoo.rcnn_model import MANNERS, canvas_of, codec_in_box, detecting_of, joined
from poise.zoo.rcnn_parts import HRNET, RESNET, Heads, detector, dialect
from poise.zoo.rcnn_parts import trunk as trunk_of
from poise.zoo.release import Family, Wish

DIALECT = {"maskrcnn_hr": "hrnet", "hrnet_maskrcnn": "hrnet"}
"""Of first words of names; the others are names of dialects. Without one a model is ours."""

TRUNK = r"(?:r|resnet)_?\d+_?(?:fpn|c4|c5)|x_?\d+_\d+x\d+d_?(?:fpn|c4|c5)|timm_.+?_fpn"
"""What this family's trunks are called."""

WORD = r"\d+(?:cls|j|anchors|ch)|\d+x\d+|maps\d+x\d+|shared|eps|coco|\dx|keys"
"""Words at the end of a name: how many classes (with the background), keypoints, anchors a cell, channels; maps of a head; maps
of a detector; its keypoint head reads the box head's features; 1e-5 is added to its norms' variance; the rest say nothing."""

KINDS: Mapping[str, Heads] = {
    "keypointmaskrcnn": Heads(masks=True),
    "keypointrcnn": Heads(),
    "maskrcnn": Heads(classes=81, channels=0, masks=True),
    "fasterrcnn": Heads(classes=81, channels=0),
    "rpn": Heads(classes=0, channels=0),
}
"""Which heads a detector has, by what it is called but for `_`."""


def forms(trunk: str) -> str:
    """The names of a family whose trunks are called so, as a regular expression."""
    first = r"maskrcnn_hr|hrnet_maskrcnn|maskrcnn|torchvision|detectron2|poise"
    kind = r"keypoint_?(?:mask_?)?rcnn|mask_rcnn|(?<=_)maskrcnn|faster_?rcnn|rpn"  # alone `maskrcnn` is a release
    whole = rf"(?:(?P<first>{first})_)?(?P<kind>{kind})_(?P<body>{trunk})(?P<words>(?:_(?:{WORD}))*)"
    return rf"(?i){whole}|(?P<by>{first})_(?P<trunk>{trunk})(?:_\d+x\d+)?"


PROPOSALS = "a region proposal network alone, whose boxes are of anything and not of people"
NAMELESS = "a detector whose keypoints have no names (zoo.build takes a skeleton)"
"""Detectors that are parts here."""

PART = rf"(?:maskrcnn|poise)_(?P<part>rpn_head|box_head|keypoint_head|mask_head)(?:_after_pooler)?(?P<rest>(?:_(?:{WORD}))*)"
"""Heads by themselves, for features that are cut out already."""


def network(trunk: str, manner: str, heads: Mapping[str, Any], norm: Norm | None = None) -> RCNN:
    """The network of a detector alone, with random weights.

    Args:
        trunk: `r50_fpn` and others (`rcnn_parts.trunk`).
        manner: Name of a dialect (`rcnn_parts.DIALECTS`).
        heads: Fields of `rcnn_parts.Heads`.
        norm: Of the trunk, if another than the dialect's.
    """
    return detector(trunk, dialect(manner, norm), Heads(**heads))


def build(wish: Wish) -> KeypointRCNN | BoxDetector | Part:
    """The detector, trunk or head of a name."""
    wish = replace(wish, parts={key: value.lower() for key, value in wish.parts.items()})
    parts = wish.parts
    if parts.get("part"):
        return _head(wish, parts["part"], _numbers(parts["rest"]))
    manner = _manner(parts["first"] or parts["by"], parts["body"] or parts["trunk"])
    return _trunk(wish, manner) if parts["trunk"] else _detector(wish, manner)


def _manner(first: str, trunk: str) -> str:
    """The dialect of a name; an HRNet of maskrcnn's is of the release that added HRNet to it."""
    if first == "maskrcnn" and HRNET.fullmatch(trunk):
        return "hrnet"
    return DIALECT.get(first, first) or "poise"


def _trunk(wish: Wish, manner: str) -> Part:
    if wish.pretrained:
        raise InputError(f"{wish.name!r} is a detector's part; take a whole detector, or start without (pretrained=False)")
    made = Architecture("keypoint_rcnn:trunk", {"trunk": wish.parts["trunk"], "manner": manner})
    return Part(trunk_of(wish.parts["trunk"], dialect(manner)), Card(wish.name, made))


def _detector(wish: Wish, manner: str) -> KeypointRCNN | BoxDetector | Part:
    """A model of keypoints, where somebody named them; of boxes, where there are no keypoints; else its network alone."""
    name, words = wish.parts["body"], wish.parts["words"]
    heads = _heads(wish, manner)
    if not heads.channels and (wish.skeleton or wish.codec):
        raise InputError(
            f"{wish.name!r} has no keypoint head, so it takes no skeleton and no codec; take keypoint_rcnn_{name}, or leave "
            "them out"
        )
    named = wish.skeleton or (COCO17 if heads.channels == len(COCO17) else None)
    codec = None
    if heads.channels and named:
        codec = codec_in_box(wish.codec, heads.cells, len(named), published=MANNERS[manner].published)
        heads = replace(heads, channels=codec.channels)
    norm: Norm | None = "frozen" if "_eps" in words else None
    made = Architecture("keypoint_rcnn:network", {"trunk": name, "manner": manner, "heads": asdict(heads), "norm": norm})
    built = detector(name, dialect(manner, norm), heads, pretrained=wish.pretrained)  # timm starts its own backbones
    if wish.pretrained:
        start(built.backbone, name, manner)
    card = Card(wish.name, made, licence="of whoever trains it")
    if not heads.classes or (heads.channels and named is None):
        return Part(built, card, NAMELESS if heads.channels else PROPOSALS)
    how, canvas = detecting_of(MANNERS[manner], codec), canvas_of(MANNERS[manner], cast(Trunk, built.backbone))
    if codec is None or named is None:
        return BoxDetector(built, canvas, card, how)
    return joined(wish.name, made, built, codec=codec, canvas=canvas, skeleton=named, detecting=how)


def _heads(wish: Wish, manner: str) -> Heads:
    """The heads of a detector's name; torchvision counts 91 classes in COCO, the others 81."""
    words = wish.parts["words"]
    numbers, usual = _numbers(words), KINDS[wish.parts["kind"].replace("_", "")]
    coco = 91 if manner == "torchvision" and usual.classes == 81 else usual.classes
    keypoints = len(wish.skeleton) if wish.skeleton else numbers.get("j", usual.channels)
    return replace(
        usual,
        classes=numbers.get("cls", coco) if usual.classes else 0,
        channels=keypoints if usual.channels else 0,
        cells=_cells(words, "maps", usual.cells),
        shared="_shared" in words,
    )


def start(trunk: nn.Module, name: str, manner: str) -> None:
    """Load the ImageNet weights of torchvision or timm into the backbone of a trunk of ours.

    Raises:
        InputError: The trunk is of a release whose ImageNet weights neither has.
        MissingExtra, ReadError: The weights cannot be had.
    """
    body = cast(Trunk, trunk).body
    resnet, hrnet = RESNET.fullmatch(name), HRNET.fullmatch(name)
    if manner not in ("poise", "torchvision") or (resnet and not resnet["depth"]):
        raise InputError(
            f"neither torchvision nor timm has the ImageNet weights that a {manner} detector on {name} starts from; take a "
            "ResNet, HRNet or timm backbone of ours (a name that begins with none of the releases'), or start without "
            "(--no-pretrained, pretrained=False)"
        )
    if resnet:
        start_resnet(cast(ResNet, body), int(resnet["depth"]), "pytorch")
    if hrnet:
        start_hrnet(cast(HRNet, body), int(hrnet["width"]))


def _head(wish: Wish, part: str, numbers: Mapping[str, int]) -> Part:
    width, classes = numbers.get("ch", 256), numbers.get("cls", 81)
    if part == "rpn_head":
        built: nn.Module = Levels(width, numbers.get("anchors", 3))
    elif part == "box_head":
        built = box_head(width, classes=classes)
    elif part == "mask_head":
        built = mask_head(width, classes=classes)
    else:
        joints = len(wish.skeleton) if wish.skeleton else numbers.get("j", 17)
        built = keypoint_head(width, joints, cells=_cells(wish.parts["rest"], "", (56, 56)))
    return Part(built, Card(wish.name, Architecture(f"keypoint_rcnn:{part}", dict(numbers))))


def _numbers(words: str) -> dict[str, int]:
    """Numbers in the words of a name, by what follows them.

    >>> _numbers("_2cls_17j")
    {'cls': 2, 'j': 17}
    """
    return {what: int(number) for number, what in re.findall(r"(?<=_)(\d+)(cls|j|anchors|ch)(?=_|$)", words)}


def _cells(words: str, before: str, usual: tuple[int, int]) -> tuple[int, int]:
    found = re.search(rf"_{before}(\d+)x(\d+)", words)
    return usual if found is None else (int(found[1]), int(found[2]))


def keys(trunk: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Beginnings of weight names, official and ours, of whole detectors and of parts.

    Args:
        trunk: Those of the family's trunks.
    """
    box = (
        ("feature_extractor.fc", "body.fc"),
        ("feature_extractor.head.layer4.", "body.stage."),
        ("predictor.cls_score.", "reader.cls_score."),
        ("predictor.bbox_pred.", "reader.bbox_pred."),
    )
    keypoint = (*_convolutions("conv_fcn", "body.conv"), ("predictor.kps_score_lowres.", "reader.final."))
    mask = (
        *_convolutions("mask_fcn", "body.0.conv"),
        ("predictor.conv5_mask.", "reader.deconv."),
        ("predictor.mask_fcn_logits.", "reader.logits."),
    )
    return (
        *((f"backbone.{a}", f"backbone.{b}") for a, b in trunk),
        *((f"rpn.{a}", f"rpn.{b}") for a, b in _RPN),
        *((f"roi_heads.box.{a}", f"box.head.{b}") for a, b in box),
        *((f"roi_heads.keypoint.{a}", f"keypoint.head.{b}") for a, b in keypoint),
        *((f"roi_heads.mask.{a}", f"mask.head.{b}") for a, b in mask),
        *(pair for pairs in (trunk, _RPN, box, keypoint, mask) for pair in pairs),
    )


def _convolutions(official: str, ours: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"feature_extractor.{official}{number + 1}.", f"{ours}.{number}.") for number in range(16))


_PYRAMID = tuple(
    (f"fpn.fpn_{official}{level + 1}.", f"neck.{ours}.{level}.")
    for official, ours in (("inner", "lateral"), ("layer", "output"))
    for level in range(4)
)
_RPN = (("anchor_generator.cell_anchors.", "anchor_generator.cell"), ("head.conv.", "head.conv.0.0."))


def order(official: str) -> tuple[int, ...]:
    """Ranks official names as the official networks hold them."""
    for rank, beginning in enumerate(("rpn.", "roi_heads.box.", "roi_heads.mask.", "roi_heads.keypoint."), 3):
        if official.startswith(beginning):
            return (rank,)
    pyramid = re.search(r"fpn_(inner|layer)(\d)", official)
    if pyramid is not None:
        return (2, int(pyramid[2]), int(pyramid[1] == "layer"))
    # The shortcut of a block comes first in ResNets; HRNet's blocks have the usual order (`hrnet_rcnn`).
    block = re.search(r"body\.layer(\d)\.(\d+)\.(downsample)?", official)
    return (0,) if block is None else (1, int(block[1]), int(block[2]), int(block[3] is None))


FAMILY = Family(
    paper="Keypoint R-CNN (arXiv 1703.06870), detectors of boxes alone and parts: maskrcnn-benchmark, torchvision, Detectron2",
    form="[maskrcnn_|torchvision_|detectron2_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_{r50,r101,x101_32x8d}_{fpn,c4,c5}",
    pattern=f"{forms(TRUNK)}|{PART}",
    build=build,
    networks={"network": network},
    keys=keys((("body.stem.conv1.", "body.conv1."), ("body.stem.bn1.", "body.bn1."), *_PYRAMID)),
    order=order,
)
