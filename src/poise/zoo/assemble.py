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
from poise.models.card import Card, with_readout
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
    """A model with its initial weights, to be trained.

    Args:
        name: Name of the model.
        architecture: The builder of the network and its arguments.
        network: The network; its weights are kept.
        codec: Codec of the network's last output.
        preprocess: Crop rule, padding and colours.
        skeleton: The keypoints; without mirror pairs the flip test is off, unless it is asked for.
        deep: Codecs of the earlier outputs; ignored if the codec decodes vectors, for then the network has only the last
            output.

    Raises:
        InputError: Codec and skeleton have different numbers of keypoints.
    """
    read_off = bool(codec.vectors) and not network.head.makes_vectors
    whole = replace(architecture, cells=codec.cells, vectors=codec.vectors) if read_off else architecture
    built = with_readout(network, whole)
    card = Card(name, whole, licence="of whoever trains it")
    preprocess = preprocess if skeleton.mirrors else replace(preprocess, flip_test=False)
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
    """The codec that a request asks for by name; None for that of the paper.

    Args:
        request: The request.
        stride: Stride of the network's maps, pixels.
    """
    cells = (request.size[0] // stride, request.size[1] // stride)
    return None if request.codec is None else named_codec(request.codec, request.size, cells, keypoints=len(request.keypoints))


def preprocess_for(codec: InstanceCodec, preprocess: Preprocess) -> Preprocess:
    """A release's preprocessing with the crop rule of the codec.

    Args:
        codec: The codec.
        preprocess: The release's preprocessing.
    """
    return replace(preprocess, crop=codec.crop_rule)


def check_codec(codec: InstanceCodec, *, size: Size, cells: Size, skeleton: Skeleton) -> None:
    """Refuse a codec for other views, maps or keypoints.

    Args:
        codec: The codec.
        size: Size of the views (h, w).
        cells: Cells of the maps (h, w).
        skeleton: The keypoints.

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
    """The codec of Simple Baselines and HRNet: Gaussians centred on whole cells, flipped maps shifted by one cell.

    Sigma is 2 cells for views of 256x192 and 256x256 and 3 for 384x288 and 384x384, as in the releases, and 1 for 128x96, as in
    DARK (arXiv 1910.06278).

    Args:
        size: Size of the views (h, w).
        skeleton: The keypoints.
    """
    return gaussian_codec_on(size, (size[0] // STRIDE, size[1] // STRIDE), skeleton)


def gaussian_codec_on(size: Size, cells: Size, skeleton: Skeleton) -> Gaussian:
    """The codec of `gaussian_codec` for maps of `cells` (h, w)."""
    return Gaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size), shift_flipped=True)


def heatmap_preprocess(channels: Literal["rgb", "bgr"]) -> Preprocess:
    """The preprocessing of Simple Baselines and HRNet: box padded by a quarter, ImageNet's mean and deviation."""
    return Preprocess(crop="hrnet", padding=1.25, channels=channels)
