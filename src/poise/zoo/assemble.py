"""Joins a network, a codec and a preprocessing into a `TopDown` model, so that any codec fits any network.

Also what Simple Baselines and HRNet share: maps of stride 4, their Gaussian codec, their preprocessing.
"""

from dataclasses import replace
from typing import Literal

from poise.codecs.base import InstanceCodec
from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import usual_sigma
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
    architecture: Architecture,
    network: Network,
    *,
    codec: InstanceCodec,
    preprocess: Preprocess,
    skeleton: Skeleton,
    deep: tuple[InstanceCodec, ...] = (),
) -> TopDown:
    """A model that is yet to be trained.

    Args:
        name: Of the model.
        architecture: Which builder made the network, and from what.
        network: What it made; its initial weights stay.
        codec: Reads the network's last answer.
        preprocess: How views are cut and normalised.
        skeleton: The keypoints; without mirror pairs the model is tested without mirrored views, unless it is told to.
        deep: Codecs of the earlier answers; a codec that reads vectors has none, for the network then gives only the last.

    Raises:
        InputError: Codec and skeleton count keypoints differently.
    """
    whole = replace(architecture, cells=codec.cells, vectors=codec.vectors) if codec.vectors else architecture
    built = with_readout(network, whole)
    card = Card(name, whole, licence="of whoever trains it")
    preprocess = preprocess if skeleton.mirror else replace(preprocess, flip_test=False)
    return TopDown(built, codec, preprocess, skeleton, card, deep=() if codec.vectors else deep)


def named_codec(name: str, size: Size, cells: Size, *, keypoints: int) -> InstanceCodec:
    """A codec by the name of its class, with the values that are usual at this size (`InstanceCodec.for_size`).

    Raises:
        UnknownName: There is no such codec.
    """
    if name not in codec_types():
        raise unknown("codec", name, codec_types())
    return codec_types()[name].for_size(size, cells, keypoints)


def requested_codec(request: BuildRequest, *, stride: int = 4) -> InstanceCodec | None:
    """The codec a name is wanted with, for maps of `stride`; None for the name's own."""
    cells = (request.size[0] // stride, request.size[1] // stride)
    return None if request.codec is None else named_codec(request.codec, request.size, cells, keypoints=len(request.keypoints))


def preprocess_for(codec: InstanceCodec, preprocess: Preprocess) -> Preprocess:
    """A release's preprocessing, with the crop rule of the codec."""
    return replace(preprocess, crop=codec.crop_rule)


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


STRIDE = 4


def gaussian_codec(size: Size, skeleton: Skeleton) -> Gaussian:
    """The releases' codec: Gaussians on whole cells, flipped maps shifted by one cell.

    The deviation is 2 cells for views of 256x192 and 256x256 and 3 for 384x288 and 384x384, as the releases set it, and 1 for
    128x96, as DARK (arXiv 1910.06278) does.
    """
    return gaussian_codec_on(size, (size[0] // STRIDE, size[1] // STRIDE), skeleton)


def gaussian_codec_on(size: Size, cells: Size, skeleton: Skeleton) -> Gaussian:
    """The same codec on maps of `cells`."""
    return Gaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size), shift_flipped=True)


def heatmap_preprocess(channels: Literal["rgb", "bgr"]) -> Preprocess:
    """The releases' views: box grown by a quarter to the aspect of the view, ImageNet's mean and deviation."""
    return Preprocess(crop="hrnet", padding=1.25, channels=channels)
