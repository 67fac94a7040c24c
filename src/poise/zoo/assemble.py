"""Joins a network, a codec and a way to cut views into a model, so that any of them fits any other."""

from dataclasses import fields, replace
from typing import Any

from poise.codecs.base import InstanceCodec
from poise.codecs.registry import codec_types
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.architecture import with_readout
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.nn.base import Network
from poise.skeletons import Skeleton
from poise.structures import Architecture, CropRule, Preprocess
from poise.zoo.family import BuildRequest

CUTS: dict[str, CropRule] = {
    "Gaussian": "hrnet", "SoftArgmax": "hrnet", "Dark": "dark", "UDPGaussian": "udp", "UDPOffset": "udp",
    "Hourglass": "hourglass", "Megvii": "mspn", "MegviiUDP": "udp",
}  # fmt: skip
"""How the releases of a codec cut views; those of all other codecs are cut without bias."""


def assemble(
    name: str,
    made: Architecture,
    network: Network,
    *,
    codec: InstanceCodec,
    cut: Preprocess,
    skeleton: Skeleton,
    deep: tuple[InstanceCodec, ...] = (),
) -> TopDown:
    """A model that is yet to be trained.

    Args:
        name: Of the model.
        made: Which builder made the network, and from what.
        network: What it made; its initial weights stay.
        codec: Reads the network's last answer.
        cut: How views are cut and normalised.
        skeleton: The keypoints; without mirror pairs the model is tested without mirrored views, unless it is told to.
        deep: Codecs of the earlier answers; a codec that reads vectors has none, for the network then gives only the last.

    Raises:
        InputError: Codec and skeleton count keypoints differently.
    """
    whole = replace(made, cells=codec.cells, vectors=codec.vectors) if codec.vectors else made
    built = with_readout(network, whole)
    card = Card(name, whole, licence="of whoever trains it")
    cut = cut if skeleton.mirror else replace(cut, flip_test=False)
    return TopDown(built, codec, cut, skeleton, card, deep=() if codec.vectors else deep)


def named_codec(name: str, size: Size, cells: Size, *, keypoints: int) -> InstanceCodec:
    """A codec by the name of its class, its bumps as wide as the releases make them at this size.

    A codec whose `sigma` is by default another than the 2 cells of views of 256x192 keeps its own: None finds the width by
    itself, and the hourglass' labels are 1 cell wide.

    Raises:
        UnknownName: There is no such codec.
    """
    if name not in codec_types():
        raise unknown("codec", name, codec_types())
    kind = codec_types()[name]
    follows = any(f.name == "sigma" and f.default == usual_sigma((256, 192)) for f in fields(kind))
    width: dict[str, Any] = {"sigma": usual_sigma(size)} if follows else {}
    return kind(size=size, cells=cells, keypoints=keypoints, **width)


def usual_sigma(size: Size) -> float:
    """Deviation of a bump in cells of stride 4, as the releases set it: 1 for 128x96, 2 for 256x192, 3 for 384x288."""
    short = min(size)
    return 1.0 if short < 160 else 2.0 if short < 288 else 3.0


def requested_codec(wish: BuildRequest, *, stride: int = 4) -> InstanceCodec | None:
    """The codec a name is wanted with, for maps of `stride`; None for the name's own."""
    cells = (wish.size[0] // stride, wish.size[1] // stride)
    return None if wish.codec is None else named_codec(wish.codec, wish.size, cells, keypoints=len(wish.keypoints))


def preprocess_for(codec: InstanceCodec, cut: Preprocess) -> Preprocess:
    """A release's preprocessing, its views cut as the codec expects."""
    return replace(cut, crop=CUTS.get(type(codec).__name__, "unbiased"))


def check_codec(codec: InstanceCodec, *, size: Size, cells: Size, skeleton: Skeleton) -> None:
    """Refuse a codec for other views, maps or keypoints.

    Raises:
        InputError: It does not fit.
    """
    found = (codec.size, codec.cells, codec.keypoints)
    if found != (size, cells, len(skeleton)):
        raise InputError(
            f"the codec is for views of {found[0]}, maps of {found[1]} and {found[2]} keypoints; this network needs views of "
            f"{size}, maps of {cells} and the {len(skeleton)} keypoints of {skeleton.name!r}"
        )
