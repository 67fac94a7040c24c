"""OffsetGuided (Li, Xiang, Chen, Wang; arXiv 2107.03098): bottom-up, with guiding offsets from one keypoint to the next.

The release's networks (hourglass-104, and HRNet of its branch "develop") with heads of 1x1 or 3x3 convolutions, and small ones
of our own that can be trained on a CPU.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

import torch

from poise.codecs.guiding_losses import Costs, LabelMaps
from poise.codecs.offset_guided import OffsetGuided
from poise.decoding.grouping_config import PRACTITIONER_CONFIG, RELEASE_CONFIG, GroupingConfig
from poise.errors import InputError, unknown
from poise.models.bottom_up import BottomUp
from poise.models.card import Card
from poise.nn.backbones.hourglass104 import Hourglass104
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.plain import PlainNet, Stages
from poise.nn.base import Network, check_size
from poise.nn.heads.scene_heads import PyramidSceneHeads, SceneHeads
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.skeletons.limbs import Limbs, limbs
from poise.structures import Architecture
from poise.weights.release import Release
from poise.zoo.family import BuildRequest, Family, PretrainedBackbone
from poise.zoo.imagenet import refuse_pretrained, start_hrnet

PAGE = "https://github.com/hellojialee/OffsetGuided"
FOLDER = "https://drive.google.com/drive/folders/1jG87NBm_wXKgKJh-VLkVkJTIV7vyiz1P"
FILE = "PoseNet_77_epoch.pth"
LICENCE = (
    "none named by the release; its hourglass is CornerNet's (BSD 3-clause); the weights come from COCO images, whose own "
    "terms hold"
)

Parts = Mapping[str, int]
"""Channels of each kind of map, by its name."""

WIDTHS: dict[str, Stages] = {"t": (24, 48, 96, 160), "s": (32, 64, 128, 192)}
"""Channels of the four stages of our own networks."""

BLOCKS: Stages = (1, 2, 2, 3)
"""The last stage is deep, so that the receptive field covers a person who fills a view of 512 pixels."""

RISE = {"t": 48, "s": 64}
"""Channels of the pyramid's sums."""

STACKS = {"hg52": 1, "hg104": 2}
"""Number of hourglasses of the release, by the number of their layers."""

HRNET_WIDTHS = (18, 32, 40, 48)

PAGE_COSTS = Costs(offset="instance_l1", root=True, weights=(1.0, 0.0, 0.0, 10000.0, 10.0))
"""Loss weights of the command on the release's page, whose network has scales."""

WORDS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("plain", "hmp", "hmps", "heat", "omps", "off", "offset", "offsets"), frozenset()),
    **dict.fromkeys(("bg", "bghmp", "background"), frozenset({"background"})),
    **dict.fromkeys(("jitter", "jo"), frozenset({"jitter"})),
    **dict.fromkeys(("spread", "spreads"), frozenset({"spread"})),
    **dict.fromkeys(("scale", "scales"), frozenset({"scale"})),
    "all": frozenset({"background", "jitter", "spread", "scale"}),
}
"""Words in names, and the maps they ask for in addition to heatmaps and offsets."""

KERNELS = {"heads1x1": 1, "1x1": 1, "k1": 1, "heads3x3": 3, "3x3": 3, "k3": 3}
"""Words in names for the kernel of the heads."""

UNITS = {"jitter": 4.0, "offset": 16.0, "scale": 8.0}
"""Factors on the outputs of our own networks, pixels."""

RELEASE_CANVAS = Canvas(side=640, multiple=128, place="corner", rule="offsetguided")
"""The release's canvas: long side 640, padded at the right and below."""


def hourglass(parts: Parts, stacks: int = 2, kernel: int = 1) -> Network:
    """The release's network alone, with random weights.

    Args:
        parts: Channels of each kind of map, by its name.
        stacks: Number of hourglasses; 2 are hourglass-104.
        kernel: Kernel of the heads, 1 or 3.
    """
    backbone = Hourglass104(stacks)
    return Network(backbone, SceneHeads(backbone.channels[0], parts, stacks=stacks, kernel=kernel))


def hrnet(parts: Parts, width: int = 48, kernel: int = 1) -> Network:
    """The network of the release's branch "develop" alone, with random weights.

    Args:
        parts: Channels of each kind of map, by its name.
        width: Channels of the finest branch.
        kernel: Kernel of the heads, 1 or 3.
    """
    backbone = HRNet(width)
    return Network(backbone, SceneHeads(backbone.channels[0], parts, kernel=kernel))


def small(parts: Parts, width: str, kernel: int = 1) -> Network:
    """Our own network alone, with random weights.

    Args:
        parts: Channels of each kind of map, by its name.
        width: "t" or "s".
        kernel: Kernel of the heads, 1 or 3.

    Raises:
        UnknownName: Another width.
    """
    if width not in WIDTHS:
        raise unknown("width of poise's own network", width, WIDTHS)
    backbone = PlainNet(WIDTHS[width], BLOCKS)
    units = {name: unit for name, unit in UNITS.items() if name in parts}
    return Network(backbone, PyramidSceneHeads(backbone.channels, RISE[width], parts, kernel=kernel, units=units))


def parts_of(codec: OffsetGuided) -> dict[str, int]:
    """The maps that a codec decodes: channels of each kind by its name, in the order of an output."""
    maps = codec.maps
    there = {"heat": True, "background": maps.background, "jitter": maps.jitter, "offset": True}
    names = [name for name, wanted in (there | {"spread": maps.spread, "scale": maps.scale}).items() if wanted]
    return dict(zip(names, codec.parts, strict=True))


def bottom_up(
    backbone: str = "hg104",
    *,
    skeleton: Skeleton = COCO17,
    codec: OffsetGuided | None = None,
    kernel: int = 1,
    canvas: Canvas | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> BottomUp:
    """A bottom-up model with random weights, or with ImageNet weights in HRNet.

    Args:
        backbone: "hg104" (187.7 million parameters), "hg52" (one hourglass), "hrnet18", "hrnet32", "hrnet48" and other widths;
            or our own "t" (1.8 million) and "s" (2.7 million), which can be trained on a CPU.
        skeleton: The keypoints.
        codec: Codec for these keypoints; by default heatmaps and offsets along the skeleton's usual limbs.
        kernel: Kernel of the heads, 1 or 3.
        canvas: How images are resized and padded; the release's by default, for our own networks 320 pixels, unbiased.
        pretrained: Whether an HRNet starts from timm's ImageNet weights.
        name: Name of the model.

    Raises:
        InputError: A codec of other keypoints or without limbs, no such kernel, or ImageNet weights for another network than
            HRNet.
        UnknownName: There is no such backbone.
        MissingExtra, ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    ours = backbone in WIDTHS
    codec = codec or build_codec(skeleton, reading=PRACTITIONER_CONFIG if ours else RELEASE_CONFIG)
    if not codec.limbs:
        raise InputError(
            f"skeleton {skeleton.name!r} has {len(skeleton)} keypoint and so no limbs, by which a bottom-up model joins "
            "keypoints to people; take a detector such as poise_rcnn_t, or a top-down model such as poise_t"
        )
    architecture = _architecture(backbone, parts_of(codec), kernel)
    network = FAMILY.networks[architecture.builder.partition(":")[2]](**architecture.arguments)
    if pretrained:
        refuse_pretrained("hrnet" not in backbone, "hourglasses and poise's own networks")
        start_hrnet(cast(HRNet, network.backbone), int(architecture.arguments["width"]))
    trunk = cast(PlainNet | HRNet | Hourglass104, network.backbone)
    canvas = canvas or (Canvas(side=320, multiple=trunk.multiple) if ours else RELEASE_CANVAS)
    if canvas.multiple % trunk.multiple:
        raise InputError(
            f"{backbone} takes views whose height and width are multiples of {trunk.multiple}, and the canvas makes multiples "
            f"of {canvas.multiple}; set its multiple to {trunk.multiple}"
        )
    stacks = int(architecture.arguments.get("stacks", 1))
    codec = replace(codec, cost=replace(codec.cost, weight=codec.cost.weight / stacks))
    canvas = canvas if skeleton.mirrors else replace(canvas, flip_test=False)
    own = f"poise_scene_{backbone}" if ours else f"offsetguided_{backbone}"
    card = Card(name or own, architecture, licence="of whoever trains it")
    return BottomUp(network, codec, canvas, skeleton, card, deep=(codec,) * (stacks - 1))


def build_codec(
    skeleton: Skeleton, *, which: str | None = None, maps: LabelMaps | None = None, reading: GroupingConfig = RELEASE_CONFIG
) -> OffsetGuided:
    """The codec of these keypoints; loss weights are the release's defaults, with scales those of its page's command.

    Args:
        skeleton: The keypoints.
        which: Set of limbs (`skeletons.limbs`); the usual one by default.
        maps: Kinds of maps; heatmaps and offsets by default.
        reading: Settings of decoding.

    Raises:
        UnknownName: There is no such set of limbs.
    """
    maps = maps or LabelMaps()
    cost = PAGE_COSTS if maps.scale else Costs()
    return OffsetGuided(
        keypoints=len(skeleton),
        limbs=_limbs(skeleton, which),
        maps=maps,
        cost=replace(cost, offset="laplace", root=False) if maps.spread else cost,
        reading=reading,
        sigmas=skeleton.sigmas,
    )


def _limbs(skeleton: Skeleton, which: str | None) -> Limbs:
    """Limbs that follow a rule are computed from values, also if the network is built without any ("meta")."""
    with torch.device("cpu"):
        return limbs(skeleton, which)


def _architecture(backbone: str, parts: Parts, kernel: int) -> Architecture:
    """The builder of a network, by the name of its backbone."""
    heads = {"parts": dict(parts), "kernel": kernel}
    if backbone in WIDTHS:
        return Architecture("offset_guided:small", heads | {"width": backbone})
    if backbone in STACKS:
        return Architecture("offset_guided:hourglass", heads | {"stacks": STACKS[backbone]})
    width = backbone.removeprefix("hrnet").removeprefix("_").removeprefix("w")
    if not backbone.startswith("hrnet") or not width.isdigit():
        raise unknown("backbone of OffsetGuided", backbone, (*WIDTHS, *STACKS, *(f"hrnet{w}" for w in HRNET_WIDTHS)))
    return Architecture("offset_guided:hrnet", heads | {"width": int(width)})


def build(request: BuildRequest) -> BottomUp:
    """The model of a name such as `offsetguided_hg104_scale_512x512` or `poise_scene_t_coco_320x320`."""
    if request.codec not in (None, OffsetGuided.__name__):
        raise InputError(
            f"{request.name!r} is bottom-up and takes the codec {OffsetGuided.__name__} only, not {request.codec!r}; its "
            "name says which maps and limbs it has"
        )
    ours = request.parts["ours"]
    backbone = ours or request.parts["net"]
    maps, which, kernel = _read_words(request.parts["words"].split("_"), request.name)
    codec = build_codec(request.keypoints, which=which, maps=maps, reading=PRACTITIONER_CONFIG if ours else RELEASE_CONFIG)
    model = bottom_up(
        backbone,
        skeleton=request.keypoints,
        codec=codec,
        kernel=kernel,
        canvas=Canvas(side=max(request.size), multiple=PlainNet.multiple) if ours else None,
        pretrained=request.pretrained,
        name=request.name,
    )
    trunk = cast(PlainNet | HRNet | Hourglass104, model.network.backbone)
    check_size(request.size, trunk.multiple, f"{'poise_scene_' if ours else 'offsetguided_'}{backbone}")
    return model


def _read_words(words: Iterable[str], name: str) -> tuple[LabelMaps, str | None, int]:
    """The maps, limbs and kernel that the words of a name ask for.

    Raises:
        UnknownName: There is no such option.
    """
    asked: set[str] = set()
    which, kernel = None, 1
    for word in filter(None, words):
        kind, number = word.rstrip("0123456789"), word[len(word.rstrip("0123456789")) :]
        if word in WORDS:
            asked |= WORDS[word]
        elif word in KERNELS:
            kernel = KERNELS[word]
        elif kind in ("omp", "limbs"):
            which = number or None
        elif kind not in ("hmp", "hmps") or not number:
            raise unknown(f"option of {name!r} called", word, (*WORDS, *KERNELS, "omp16", "omp31", "omp44"))
    return LabelMaps(**dict.fromkeys(sorted(asked), True)), which, kernel


def _release(stem: str, **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP"}
    found = {names[key]: value for key, value in scores.items()}
    return Release(f"offsetguided_{stem}", file=FILE if scores else "", page=PAGE, folder=FOLDER, licence=LICENCE, scores=found)


_HEADS = (
    ("0.hp_convs.", "heat."), ("0.bghp_convs.", "background."), ("0.jitter_convs.", "jitter."), ("1.reg_convs.", "offset."),
    ("1.spread_convs.", "spread."), ("1.scale_convs.", "scale."),
)  # fmt: skip

FAMILY = Family(
    paper="OffsetGuided (arXiv 2107.03098), and poise's own networks for it",
    form=(
        "offsetguided_{hg104,hg52,hrnet18,hrnet32,hrnet40,hrnet48}[_heads3x3][_hmp][_omp{16,19,31,44}][_bg][_jitter][_spread]"
        "[_scale][_all]_HEIGHTxWIDTH, poise_scene_{t,s}[_the same words]_{coco,mpii}_HEIGHTxWIDTH"
    ),
    pattern=(
        r"(?:poise_scene_(?P<ours>[a-z]+)|offsetguided_(?P<net>hg\d+|hrnet_?w?\d+))(?P<words>(?:_[a-z0-9]+)*?)"
        r"(?:_(?P<data>coco|mpii))?_(?P<size>\d+x\d+)"
    ),
    build=build,
    networks={"hourglass": hourglass, "hrnet": hrnet, "small": small},
    # AP on COCO val2017 of the release's page: long side 640, flip test.
    releases=(
        _release("hg104_scale_512x512", AP=0.661),
        *(_release(f"{stem}_512x512") for stem in ("hg104_hmp_omp", "hg104_all", "hg104_heads3x3_scale", "hrnet48_hmp_omp")),
        *(Release(f"poise_scene_{width}_coco_320x320", licence="Apache-2.0 (code)") for width in WIDTHS),
    ),
    keys=(("basenet.", "backbone."), *((f"headnets.{old}", f"head.maps.{new}") for old, new in _HEADS)),
    unused_keys=r"headnets\.[01]\.(bghp|jitter|spread|scale)_convs\.\d+\.0\.(weight|bias)",
    start=PretrainedBackbone(
        "an hourglass of CornerNet or CenterNet", ("pre.", "kps.", "cnvs.", "inters.", "inters_.", "cnvs_.")
    ),
)
