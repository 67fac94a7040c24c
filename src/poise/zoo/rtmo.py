"""RTMO (Lu et al.; CVPR 2024; arXiv 2312.07526): everybody in an image and their keypoints in one stage."""

from collections.abc import Mapping

from poise.codecs.dynamic_bins import RTMOBins
from poise.errors import InputError
from poise.models.card import Card
from poise.models.one_stage import OneStage
from poise.nn.backbones.csp_darknet import CSPDarknet
from poise.nn.base import check_size
from poise.nn.rtmo.network import RTMONet
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official

FACTORS: Mapping[str, tuple[float, float, int]] = {
    "t": (0.375, 0.33, 192),
    "s": (0.5, 0.33, 256),
    "m": (0.75, 0.67, 384),
    "l": (1.0, 1.0, 512),
}
"""Factors on channels and blocks, and values of a pose vector, by the letter of a size."""

USUAL: Mapping[str, int] = {"t": 416, "s": 640, "m": 640, "l": 640}
"""Side of the square views of a name without a size, as the releases test, pixels."""

GREY = (114.0, 114.0, 114.0)
"""Colour around the image."""


def network(variant: str, keypoints: int) -> RTMONet:
    """The network alone, with random weights.

    Args:
        variant: t, s, m or l.
        keypoints: Number of keypoints.
    """
    width, depth, channels = FACTORS[variant]
    return RTMONet(keypoints, width=width, depth=depth, channels=channels)


def rtmo_canvas(side: int) -> Canvas:
    """The releases' canvas: the image in a square of grey; blue, green, red from 0 to 255; no flip test.

    Args:
        side: Side of the square, pixels.
    """
    return Canvas(
        channels="bgr",
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        fill=GREY,
        side=side,
        multiple=CSPDarknet.multiple,
        place="middle",
        rule="mmpose",
        flip_test=False,
    )


def rtmo(variant: str = "m", *, skeleton: Skeleton = COCO17, side: int | None = None, name: str | None = None) -> OneStage:
    """An RTMO with random weights.

    Args:
        variant: t, s, m or l, from the smallest to the largest.
        skeleton: The keypoints.
        side: Side of the square views, pixels, a multiple of 32; the release's by default.
        name: Name of the model.

    Raises:
        InputError: A side that does not fit.
    """
    side = side or USUAL[variant]
    check_size((side, side), CSPDarknet.multiple, f"RTMO-{variant}")
    arguments = {"variant": variant, "keypoints": len(skeleton)}
    card = Card(name or f"rtmo_{variant}", Architecture("rtmo:network", arguments), "of whoever trains it")
    return OneStage(network(**arguments), RTMOBins(len(skeleton)), rtmo_canvas(side), skeleton, card)  # type: ignore[arg-type]


def build(request: BuildRequest) -> OneStage:
    """The model of a name such as `rtmo_m` or `rtmo_s_crowdpose14_640x640`; of two sides the longer is that of the square."""
    variant = request.parts["variant"]
    refuse_pretrained(request.pretrained, f"RTMO-{variant} that can be downloaded")
    if request.codec not in (None, RTMOBins.__name__):
        raise InputError(f"{request.name!r} takes the codec {RTMOBins.__name__} only, not {request.codec!r}; leave --codec out")
    side = max(request.size) if request.parts["size"] else None
    return rtmo(variant, skeleton=request.keypoints, side=side, name=request.name)


FAMILY = Family(
    paper="RTMO (arXiv 2312.07526)",
    form="rtmo_{t,s,m,l}[_KEYPOINTS][_HEIGHTxWIDTH]",
    pattern=r"rtmo_(?P<variant>[tsml])(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"network": network},
    releases=official("rtmo_"),
    keys=(("head.", "head."), ("neck.", "neck."), ("backbone.", "backbone.")),
    unused_keys=r"neck\.sincos_pos_enc\.dim_t|head\.dcc\.([xy]_bins|spe\.dim_t)|head\.loss_oks\.sigmas",
)
