"""Keypoint R-CNN (He et al., ICCV 2017, arXiv 1703.06870), on ResNets, ResNeXts and backbones of timm.

The names of weights are those of maskrcnn-benchmark; the ResNets of HRNet-MaskRCNN-Benchmark (`maskrcnn_hr_...`) have the same.
Checkpoints of torchvision and Detectron2 get them first (`zoo/rcnn/renames.py`). Detectors without keypoints find boxes alone,
and parts of a detector have names too.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any, cast

from torch import nn

from poise.dims import Size
from poise.errors import InputError
from poise.models.box_detector import BoxDetector
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.network_part import NetworkPart
from poise.nn.frozen import Norm
from poise.nn.heads.roi import (
    MAP_CELLS,
    BoxPredictor,
    LastStage,
    MaskPredictor,
    RoIHead,
    box_head,
    keypoint_head,
    mask_head,
    pooled_cells_for,
)
from poise.nn.heads.rpn import StandaloneRPNHead
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.rcnn import RCNN
from poise.skeletons import COCO17
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.rcnn.backbones import HRNET, resolved, start
from poise.zoo.rcnn.backbones import trunk as trunk_of
from poise.zoo.rcnn.heads import MASKED, Heads, detector, last_stage
from poise.zoo.rcnn.keys import PYRAMID, keys, order, twice
from poise.zoo.rcnn.name_grammar import WORD, Words, read
from poise.zoo.rcnn.presets import PRESENTATIONS, VIEW, canvas_of, detecting_of, joined, roi_codec
from poise.zoo.rcnn.variants import dialect_of

DIALECT = {"maskrcnn_hr": "hrnet", "hrnet_maskrcnn": "hrnet"}
"""Of first words of names; the others are names of dialects. Without one a model is ours."""

TRUNK = r"(?:r|resnet)_?\d+_?(?:fpn|c4|c5)|x_?\d+_\d+x\d+d_?(?:fpn|c4|c5)|timm_.+?_fpn"
"""What this family's trunks are called."""

KINDS: Mapping[str, Heads] = {
    "keypointmaskrcnn": Heads(masks=True),
    "keypointrcnn": Heads(),
    "maskrcnn": Heads(classes=81, channels=0, masks=True),
    "fasterrcnn": Heads(classes=81, channels=0),
    "rpn": Heads(classes=0, channels=0),
}
"""Which heads a detector has, by what it is called but for `_`."""

FIRST = r"maskrcnn_hr|hrnet_maskrcnn|maskrcnn|torchvision|detectron2|poise"
"""First words of names."""


def forms(trunk: str) -> str:
    """The names of a family whose trunks are called so, as a regular expression; a trunk may also stand before the kind."""
    kind = r"keypoint_?(?:mask_?)?rcnn|mask_rcnn|(?<=_)maskrcnn|faster_?rcnn|rpn"  # alone `maskrcnn` is a release
    what = rf"(?:(?P<kind>{kind})_(?P<body>{trunk})|(?P<before>{trunk})_(?P<after>{kind}))"
    whole = rf"(?:(?P<first>{FIRST})_)?{what}(?P<words>(?:_(?:{WORD}))*)"
    return rf"(?i){whole}|(?P<by>{FIRST})_(?P<trunk>{trunk})(?P<more>(?:_(?:{WORD}))*)"


PROPOSALS = "a region proposal network alone, whose boxes are of anything and not of people"
NAMELESS = "a detector whose keypoints have no names (zoo.build takes a skeleton)"
"""Detectors that are parts here."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "rpn_head": ("cut", "anchors", "channels", "size"),
    "box_head": ("cut", "classes", "channels", "size", "last stage", "eps"),
    "keypoint_head": ("cut", "keypoints", "channels", "size", "maps"),
    "mask_head": ("cut", "classes", "channels", "size", "last stage", "eps"),
}
"""What words tell of each head. The size is that of what a box head reads, and of the maps of a keypoint head, or where `maps`
tells those of what it reads. The others are made of convolutions alone: they read what has the size that their name says, and
all else, as trunks do."""

PART = rf"(?P<maker>maskrcnn_hr|hrnet_maskrcnn|maskrcnn|poise)_(?P<part>{'|'.join(PARTS)})(?P<rest>(?:_(?:{WORD}))*)"
"""Heads by themselves, for features that are cut out already."""

LAST = {"depth": "50"}
"""A ResNet whose last stage is that of all deeper ones."""


def network(trunk: str, manner: str, heads: Mapping[str, Any], norm: Norm | None = None) -> RCNN:
    """The network of a detector alone, with random weights.

    Args:
        trunk: `r50_fpn` and others (`rcnn_trunks.trunk`).
        manner: Name of a dialect (`rcnn_dialects.DIALECTS`).
        heads: Fields of `rcnn_parts.Heads`.
        norm: Of the trunk, if another than the dialect's.
    """
    return detector(trunk, dialect_of(manner, norm), Heads(**heads))


def build(wish: BuildRequest) -> KeypointRCNN | BoxDetector | NetworkPart:
    """The detector, trunk or head of a name."""
    wish = replace(wish, parts={key: value.lower() for key, value in wish.parts.items()})
    parts = wish.parts
    if parts.get("part"):
        return _head(wish)
    dialect = _dialect(parts["first"] or parts["by"], parts["body"] or parts["before"] or parts["trunk"])
    return _trunk(wish, dialect) if parts["trunk"] else _detector(wish, dialect)


def _dialect(first: str, trunk: str) -> str:
    """The dialect of a name; an HRNet of maskrcnn's is of the release that added HRNet to it."""
    if first == "maskrcnn" and HRNET.fullmatch(trunk):
        return "hrnet"
    return DIALECT.get(first, first) or "poise"


def _trunk(wish: BuildRequest, dialect: str) -> NetworkPart:
    if wish.pretrained:
        raise InputError(f"{wish.name!r} is a detector's part; take a whole detector, or start without (pretrained=False)")
    words = _words(wish, wish.parts["more"], ("size", "pooling", "eps"), "a trunk")
    name, norm = _whole(wish.parts["trunk"], words, dialect), _norm(words, dialect)
    made = Architecture("keypoint_rcnn:trunk", {"trunk": name, "manner": dialect, "norm": norm})
    return NetworkPart(trunk_of(name, dialect_of(dialect, norm)), Card(wish.name, made))


def _whole(trunk: str, words: Words, dialect: str) -> str:
    """A trunk's name with its neck, and with how that shrinks, where the name of the whole says it further on."""
    return resolved(f"{trunk}_{words.said['pooling']}" if "pooling" in words else trunk, dialect_of(dialect))


def _detector(wish: BuildRequest, dialect: str) -> KeypointRCNN | BoxDetector | NetworkPart:
    """A model of keypoints, where somebody named them; of boxes, where there are no keypoints; else its network alone."""
    words, heads = _heads(wish, dialect)
    name = _whole(wish.parts["body"] or wish.parts["before"], words, dialect)
    if not heads.channels and (wish.skeleton or wish.codec):
        raise InputError(
            f"{wish.name!r} has no keypoint head, so it takes no skeleton and no codec; take keypoint_rcnn_{name}, or leave "
            "them out"
        )
    named = wish.skeleton or (COCO17 if heads.channels == len(COCO17) else None)
    codec = None
    if heads.channels and named:
        codec = roi_codec(wish.codec, heads.cells, len(named), score=PRESENTATIONS[dialect].score)
        heads = replace(heads, channels=codec.channels)
    norm = _norm(words, dialect)
    made = Architecture("keypoint_rcnn:network", {"trunk": name, "manner": dialect, "heads": asdict(heads), "norm": norm})
    built = detector(name, dialect_of(dialect, norm), heads)
    if wish.pretrained:
        start(built.backbone, name, dialect)
    card = Card(wish.name, made, licence="of whoever trains it")
    if not heads.classes or (heads.channels and named is None):
        return NetworkPart(built, card, NAMELESS if heads.channels else PROPOSALS)
    how = detecting_of(PRESENTATIONS[dialect], codec)
    canvas = canvas_of(PRESENTATIONS[dialect], cast(BackboneWithNeck, built.backbone), words.size("size", VIEW))
    if codec is None or named is None:
        return BoxDetector(built, canvas, card, how)
    return joined(wish.name, made, built, codec=codec, canvas=canvas, skeleton=named, config=how)


def _heads(wish: BuildRequest, dialect: str) -> tuple[Words, Heads]:
    """The words and heads of a detector's name; torchvision counts 91 classes in COCO, the others 81."""
    kind = (wish.parts["kind"] or wish.parts["after"]).replace("_", "")
    usual = KINDS[kind]
    known = ("size", "pooling", "eps", *(("classes",) if usual.classes else ()))
    known += ("keypoints", "maps", "shared") if usual.channels else ("shared",) if usual.masks else ()
    words = _words(wish, wish.parts["words"], known, f"a detector of the kind {kind}")
    coco = 91 if dialect == "torchvision" and usual.classes == 81 else usual.classes
    keypoints = len(wish.skeleton) if wish.skeleton else words.number("keypoints", usual.channels)
    return words, replace(
        usual,
        classes=words.number("classes", coco),
        channels=keypoints if usual.channels else 0,
        cells=words.size("maps", usual.cells),
        shared="shared" in words,
    )


def _head(wish: BuildRequest) -> NetworkPart:
    """A head; of detectors on one map it stands on the last stage of a ResNet (`c4`), which reads 1024 channels."""
    part = wish.parts["part"]
    words = _words(wish, wish.parts["rest"], PARTS[part], f"the {part}")
    last = _last(wish, words) if "last stage" in words else None
    if "eps" in words and last is None:
        raise InputError(f"{wish.name!r} says 'eps', and the {part} without 'c4' has no norms; leave it out")
    if "channels" in words and last is not None:
        raise InputError(f"{wish.name!r} says 'c4', and a last stage reads 1024 channels; leave {words.said['channels']!r} out")
    classes, width = words.number("classes", 81), words.number("channels", 256)
    if part == "rpn_head":
        built: nn.Module = StandaloneRPNHead(width, words.number("anchors", 3))
    elif part == "box_head":
        cells = words.size("size", (7, 7))
        built = RoIHead(last, BoxPredictor(last.width, classes)) if last else box_head(width, cells=cells, classes=classes)
    elif part == "mask_head":
        built = RoIHead(last, MaskPredictor(last.width, classes, hidden=MASKED)) if last else mask_head(width, classes=classes)
    else:
        cells = _cells(wish, words)
        joints = len(wish.skeleton) if wish.skeleton else words.number("keypoints", 17)
        built = keypoint_head(width, joints, cells=cells)
    return NetworkPart(built, Card(wish.name, Architecture(f"keypoint_rcnn:{part}", dict(words.said))))


def _cells(wish: BuildRequest, words: Words) -> Size:
    """Of a keypoint head's maps: what `maps` says, else the size; beside `maps` that is of what is cut out for them."""
    cells = words.size("maps", words.size("size", MAP_CELLS))
    if "maps" not in words and any(side % 4 for side in cells):
        raise InputError(
            f"{wish.name!r} says {words.said['size']!r}, the size of its maps, which is four times that of what they are read "
            f"off; say maps{words.said['size']} if that is meant"
        )
    cut = pooled_cells_for(cells)
    if "maps" in words and words.size("size", cut) != cut:
        raise InputError(
            f"{wish.name!r} says both {words.said['maps']!r} and {words.said['size']!r}; those maps are read off features cut "
            f"out on {cut[0]}x{cut[1]} cells; leave one of them out"
        )
    return cells


def _last(wish: BuildRequest, words: Words) -> LastStage:
    dialect = _dialect(wish.parts["maker"], "")
    return last_stage(LAST, dialect_of(dialect, _norm(words, dialect)))


def _words(wish: BuildRequest, text: str, known: Collection[str], what: str) -> Words:
    return read(text, known, name=wish.name, what=what)


def _norm(words: Words, dialect: str) -> Norm | None:
    """Of a trunk, if another than the dialect's: norms that add nothing to the variance add 1e-5 where the name says `eps`."""
    return "frozen" if "eps" in words and dialect_of(dialect).norm == "bare" else None


FAMILY = Family(
    paper="Keypoint R-CNN (arXiv 1703.06870), detectors of boxes alone and parts: maskrcnn-benchmark, torchvision, Detectron2",
    form=(
        "[maskrcnn_|torchvision_|detectron2_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_{r50,r101,x101_32x8d}_{fpn,c4,c5}"
        "[_HEIGHTxWIDTH]"
    ),
    pattern=f"{forms(TRUNK)}|{PART}",
    build=build,
    networks={"network": network},
    keys=keys((("body.stem.conv1.", "body.conv1."), ("body.stem.bn1.", "body.bn1."), *PYRAMID)),
    order=order,
    twice=twice,
)
