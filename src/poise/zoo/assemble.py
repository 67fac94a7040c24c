"""Joins a network, a codec and a way to cut views into a model, so that any of them fits any other."""

from dataclasses import replace

from poise.codecs.base import InstanceCodec
from poise.codecs.registry import codec_types
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.architecture import with_readout
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.nn.base import Network
from poise.skeletons import Skeleton
from poise.structures import Architecture, Preprocess
from poise.zoo.family import BuildRequest


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
    """A codec by the name of its class, with the values that are usual at this size (`InstanceCodec.for_size`).

    Raises:
        UnknownName: There is no such codec.
    """
    if name not in codec_types():
        raise unknown("codec", name, codec_types())
    return codec_types()[name].for_size(size, cells, keypoints)


def requested_codec(wish: BuildRequest, *, stride: int = 4) -> InstanceCodec | None:
    """The codec a name is wanted with, for maps of `stride`; None for the name's own."""
    cells = (wish.size[0] // stride, wish.size[1] // stride)
    return None if wish.codec is None else named_codec(wish.codec, wish.size, cells, keypoints=len(wish.keypoints))


def preprocess_for(codec: InstanceCodec, cut: Preprocess) -> Preprocess:
    """A release's preprocessing, with the crop rule of the codec."""
    return replace(cut, crop=codec.crop_rule)


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
