"""BlazePose in the form of its paper (arXiv 2006.10204, section 2.3): heatmaps and offsets teach, coordinates are read.

An encoder and decoder learn heatmaps and offsets. A second encoder reads their maps, through connections that stop gradients,
and gives x, y and the visibility of each keypoint; the layer of the heatmaps is not run outside of training. Trunk and blocks
are those of the third party's network (`blazepose_wang`), for the paper does not say what its blocks hold. With a codec of maps
(`--codec UDPOffset`) the network is the first branch alone: what the first stages of its training learn.
"""

from typing import Any

from poise.codecs.base import InstanceCodec
from poise.codecs.regression import Regression
from poise.codecs.udp_offset import UDPOffset
from poise.dims import Size
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.nn.backbones.blazepose_wang import WangTrunk
from poise.nn.base import Network, check_size
from poise.nn.heads.blazepose import BlazeHeatmapHead, BlazePoseHead
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture, Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.blazepose_wang import SKELETONS
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

COARSE = 32
"""Stride of the maps that the numbers are read off, pixels."""

VISIBILITY_WEIGHT = 0.01
"""Factor of the loss of the visibility; it makes it about as long as that of the coordinates."""


def network(channels: int) -> Network:
    """The first branch, with random weights.

    Args:
        channels: Channels of the codec of heatmaps.
    """
    return Network(WangTrunk(), BlazeHeatmapHead(channels))


def regression_network(heatmaps: int, keypoints: int, numbers: int, cells: Size, detached: bool = True) -> Network:
    """The whole network, with random weights.

    Args:
        heatmaps: Channels of the codec of heatmaps.
        keypoints: Number of keypoints.
        numbers: Numbers of each keypoint.
        cells: Size of the maps of stride 32 (h, w).
        detached: Whether the gradients of the numbers stop at the first branch.
    """
    head = BlazePoseHead(heatmaps, keypoints, numbers, cells, detached=detached)
    return Network(WangTrunk(), head)


def blazepose_paper(
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 256),
    codec: InstanceCodec | None = None,
    heatmaps: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    detached: bool = True,
    name: str = "blazepose_paper",
) -> TopDown:
    """BlazePose of the paper with random weights.

    Args:
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: `Regression`, by default with visibility; or a codec of maps of a quarter of `size`, for the first branch alone.
        heatmaps: Codec of the maps that teach the first branch beside a regression; by default heatmaps and offsets.
        preprocess: Crop rule, padding and colours; by default unbiased, or as the given codec of maps expects.
        detached: Whether the gradients of the regression stop at the first branch.
        name: Name of the model.

    Raises:
        InputError: A size or codec that does not fit.
    """
    check_size(size, WangTrunk.multiple, "this BlazePose")
    fine, coarse = ((size[0] // stride, size[1] // stride) for stride in (STRIDE, COARSE))
    codec = codec or Regression(size, fine, len(skeleton), visibility_weight=VISIBILITY_WEIGHT)
    check_codec(codec, size=size, cells=fine, skeleton=skeleton)
    if not isinstance(codec, Regression):
        views = preprocess or preprocess_for(codec, Preprocess())
        architecture = Architecture("blazepose_paper:network", {"channels": codec.channels})
        return assemble(name, architecture, network(codec.channels), codec=codec, preprocess=views, skeleton=skeleton)
    heatmaps = heatmaps or UDPOffset(size, fine, len(skeleton))
    check_codec(heatmaps, size=size, cells=fine, skeleton=skeleton)
    values: dict[str, Any] = {
        "heatmaps": heatmaps.channels,
        "keypoints": len(skeleton),
        "numbers": sum(codec.vectors),
        "cells": coarse,
        "detached": detached,
    }
    card = Card(name, Architecture("blazepose_paper:regression_network", values), licence="of whoever trains it")
    views = preprocess or Preprocess(flip_test=bool(skeleton.mirrors))
    return TopDown(regression_network(**values), codec, views, skeleton, card, deep=(heatmaps,))


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `blazepose_paper_17j_256x256`."""
    refuse_pretrained(request.pretrained, "the paper's BlazePose")
    skeleton = request.skeleton or SKELETONS[request.parts["joints"]]
    named = BuildRequest(request.name, request.parts, skeleton, codec=request.codec)
    codec = None if request.codec == Regression.__name__ else requested_codec(named)
    return blazepose_paper(skeleton=skeleton, size=request.size, codec=codec, name=request.name)


FAMILY = Family(
    paper="BlazePose (arXiv 2006.10204), in the form of the paper",
    form="blazepose_paper_{16,17,33}j_HEIGHTxWIDTH",
    pattern=r"blazepose_paper_(?P<joints>16|17|33)j_(?P<size>\d+x\d+)",
    build=build,
    networks={"network": network, "regression_network": regression_network},
    releases=(Release(name="blazepose_paper_17j_256x256", licence="Apache-2.0 (code)"),),
)
