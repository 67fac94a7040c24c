"""RTMW (Jiang et al.; arXiv 2407.08634): RTMPose for the whole body, whose head reads two resolutions."""

from dataclasses import replace
from typing import cast

from poise.codecs.simcc import SimCC
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.cspnext import CSPNeXt
from poise.nn.base import Network, check_size
from poise.nn.heads.rtmcc import RTMWHead
from poise.skeletons import Skeleton
from poise.skeletons.wholebody import WHOLEBODY133
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import assemble, check_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.official_files import official
from poise.zoo.rtm import FACTORS, STRIDE, rtm_codec, rtm_preprocess, start_cspnext

BETA = 1.0
"""Factor on the output before its softmax; that of labels is 10, as in RTMPose."""

FACE_WEIGHT = 0.5
"""Weight of the 68 keypoints of the face in the loss, for whole-body skeletons."""

STAGES = (2, 3, 4)
"""Stages of CSPNeXt that the neck reads."""


def network(variant: str, channels: int, cells: Size, vectors: tuple[int, ...]) -> Network:
    """The network alone, with random weights.

    Args:
        variant: t, s, m, l or x.
        channels: Number of keypoints.
        cells: Cells of the maps of stride 32 (h, w).
        vectors: Bins along x and y.
    """
    backbone = CSPNeXt(*FACTORS[variant], stages=STAGES)
    return Network(backbone, RTMWHead(backbone.channels, channels, cells, vectors))


def rtmw_codec(size: Size, skeleton: Skeleton) -> SimCC:
    """RTMPose's codec with outputs as they are before the softmax, and half the weight on the keypoints of a face."""
    codec = rtm_codec(size, skeleton, beta=BETA)
    face = [name.startswith("face-") for name in skeleton.keypoints]
    weights = tuple(FACE_WEIGHT if own else 1.0 for own in face) if any(face) and not all(face) else None
    return replace(codec, joint_weights=weights)


def rtmw(
    variant: str = "l",
    *,
    skeleton: Skeleton = WHOLEBODY133,
    size: Size = (256, 192),
    codec: SimCC | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """An RTMW with random weights, or with ImageNet weights in its backbone.

    Args:
        variant: t, s, m, l or x; published are m, l and x.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size` and maps of a 32nd of it; the release's by default.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Whether the backbone starts from OpenMMLab's ImageNet weights.
        name: Name of the model.

    Raises:
        UnknownName: Another variant.
        InputError: A size or codec that does not fit.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    if variant not in FACTORS:
        raise unknown("size of RTMW", variant, FACTORS)
    check_size(size, CSPNeXt.multiple, f"RTMW-{variant}")
    codec = codec or rtmw_codec(size, skeleton)
    check_codec(codec, size=size, cells=(size[0] // STRIDE, size[1] // STRIDE), skeleton=skeleton)
    built = network(variant, codec.channels, codec.cells, codec.vectors)
    if pretrained:
        start_cspnext(cast(CSPNeXt, built.backbone), variant)
    arguments = {"variant": variant, "channels": codec.channels, "cells": codec.cells, "vectors": codec.vectors}
    architecture = Architecture("rtmw:network", arguments)
    return assemble(
        name or f"rtmw_{variant}",
        architecture,
        built,
        codec=codec,
        preprocess=preprocess or rtm_preprocess(),
        skeleton=skeleton,
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `rtmw_l` or `rtmw_x_384x288`."""
    request = request.completed(data=WHOLEBODY133.name)
    if request.codec not in (None, SimCC.__name__):
        raise InputError(f"RTMW's head makes vectors of two maps at once, for SimCC alone; {request.codec} fits RTMPose")
    return rtmw(
        request.parts["variant"],
        skeleton=request.keypoints,
        size=request.size,
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="RTMW (arXiv 2407.08634)",
    form="rtmw_{t,s,m,l,x}[_KEYPOINTS][_HEIGHTxWIDTH]",
    pattern=r"rtmw_(?P<variant>[tsmlx])(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"network": network},
    releases=official("rtmw_"),
    keys=(
        ("neck.", "head.neck."),
        ("head.final_layer2.", "head.fine.final."),
        ("head.final_layer.", "head.final."),
        ("head.gau.", "head.bins.gau."),
        ("head.cls_", "head.bins.cls_"),
        ("head.", "head."),
        ("backbone.", "backbone."),
    ),
)
