"""RTMDet (Lyu et al.; arXiv 2212.07784): detectors of people's boxes, those that RTMPose was published with among them."""

import re
from collections.abc import Collection, Mapping

from poise.errors import InputError
from poise.models.card import Card
from poise.models.point_detector import PointDetecting, PointDetector
from poise.nn.base import check_size
from poise.nn.rtmdet import STRIDES, RTMDetNet
from poise.scenes import Canvas
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official
from poise.zoo.rtm import FACTORS as POSE_FACTORS

FACTORS: Mapping[str, tuple[float, float]] = {"nano": (0.25, 0.33), **POSE_FACTORS}
"""Factors on channels and blocks, by size; `t` is called tiny, too."""

CLASSES: Mapping[str, int] = {"": 1, "person": 1, "hand": 1, "humanart": 80, "coco": 80}
"""Number of classes by the word for the data; the first one is kept: people, but for "hand"."""

EXPONENTIAL = ("m", "l", "x")
"""Sizes whose sides are exponential functions of the last layer's output."""

GREY = (114.0, 114.0, 114.0)
"""Colour around the image."""


def network(variant: str, classes: int = 1) -> RTMDetNet:
    """The network alone, with random weights.

    Args:
        variant: nano, t, s, m, l or x.
        classes: Number of classes.
    """
    width, depth = FACTORS[variant]
    return RTMDetNet(width, depth, classes, small=variant == "nano", exponential=variant in EXPONENTIAL)


def rtmdet_canvas(side: int) -> Canvas:
    """The releases' canvas: the image in the left upper corner of a grey square; blue, green, red by ImageNet's mean.

    Args:
        side: Side of the square, pixels.
    """
    return Canvas(
        channels="bgr",
        mean=(103.53 / 255, 116.28 / 255, 123.675 / 255),
        std=(57.375 / 255, 57.12 / 255, 58.395 / 255),
        fill=GREY,
        side=side,
        multiple=side,
        rule="mmdetection",
        flip_test=False,
    )


def rtmdet(
    variant: str = "m", *, classes: int = 1, noun: str = "person", side: int | None = None, name: str | None = None
) -> PointDetector:
    """An RTMDet with random weights.

    Args:
        variant: nano, t, s, m, l or x, from the smallest to the largest.
        classes: Number of classes, of which the first one is found.
        noun: What that one is, for messages.
        side: Side of the square views, pixels, a multiple of 32; the release's by default: 320 of nano, 640 of the others.
        name: Name of the model.

    Raises:
        InputError: A side that does not fit.
    """
    side = side or (320 if variant == "nano" else 640)
    check_size((side, side), STRIDES[-1], f"RTMDet-{variant}")
    arguments = {"variant": variant, "classes": classes}
    card = Card(name or f"rtmdet_{variant}", Architecture("rtmdet:network", arguments), "of whoever trains it")
    return PointDetector(network(variant, classes), rtmdet_canvas(side), card, PointDetecting(noun=noun))


def build(request: BuildRequest) -> PointDetector:
    """The model of a name such as `rtmdet_m`, `rtmdet_nano`, `rtmdet_tiny_humanart` or `rtmdet_l_coco_640x640`."""
    variant = {"tiny": "t"}.get(request.parts["variant"], request.parts["variant"])
    refuse_pretrained(request.pretrained, f"RTMDet-{variant} that can be downloaded")
    if request.codec is not None or request.skeleton is not None:
        raise InputError(f"{request.name!r} finds boxes and no keypoints, so it has no codec and no skeleton; leave them out")
    side = max(request.size) if request.parts["size"] else None
    word = request.parts["data"]
    noun = "hand" if word == "hand" else "person"
    return rtmdet(variant, classes=CLASSES[word], noun=noun, side=side, name=request.name)


def duplicates(names: Collection[str]) -> dict[str, str]:
    """Names under which a checkpoint holds the convolutions that all maps share once more, and their first names.

    Args:
        names: Official names of the weights, each once.
    """
    first = [
        found for name in names if (found := re.fullmatch(r"(bbox_head\.(?:cls|reg)_convs\.)0(\.\d+\.conv\.weight)", name))
    ]
    every = {f"{own[1]}{level}{own[2]}": own[0] for own in first for level in range(1, len(STRIDES))}
    return {copy: own for copy, own in every.items() if copy not in names}


FAMILY = Family(
    paper="RTMDet (arXiv 2212.07784)",
    form="rtmdet_{nano,t,s,m,l,x}[_{humanart,hand,coco}][_HEIGHTxWIDTH]",
    pattern=r"rtmdet_(?P<variant>nano|tiny|[tsmlx])(?:_(?P<data>person|hand|humanart|coco))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"network": network},
    releases=official("rtmdet_"),
    keys=(("bbox_head.", "head."), ("neck.", "neck."), ("backbone.", "backbone.")),
    duplicates=duplicates,
    unused_keys=r"data_preprocessor\.(mean|std)",
)
