"""RTMPose (arXiv 2303.07399), the students of DWPose (arXiv 2307.15880), and DeepLabCut's RTMPose, which are such networks."""

from dataclasses import replace
from typing import cast

from poise.codecs.base import InstanceCodec
from poise.codecs.simcc import SimCC
from poise.dims import Size
from poise.errors import unknown
from poise.models.top_down import TopDown
from poise.nn.backbones.cspnext import CSPNeXt
from poise.nn.base import Head, Network, check_size
from poise.nn.heads.heatmap import DeconvHead
from poise.nn.heads.rtmcc import RTMCCHead
from poise.skeletons import COCO17, Skeleton
from poise.skeletons.superanimal import QUADRUPED39
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import STRIDE as MAP_STRIDE
from poise.zoo.assemble import assemble, check_codec, preprocess_for, requested_codec
from poise.zoo.family import BuildRequest, Family
from poise.zoo.official_files import official
from poise.zoo.rtm import FACTORS, STRIDE, of_deeplabcut, rtm_codec, rtm_preprocess, start_cspnext


def network(variant: str, channels: int, *, cells: Size | None = None, vectors: tuple[int, ...] = ()) -> Network:
    """The network alone, with random weights.

    Args:
        variant: t, s, m, l or x.
        channels: Channels of the codec.
        cells: Cells of the maps of stride 32 (h, w); None for maps of stride 4 in place of vectors.
        vectors: Bins along x and y; () for maps.
    """
    backbone = CSPNeXt(*FACTORS[variant])
    width = backbone.channels[-1]
    head: Head = DeconvHead(width, channels) if cells is None else RTMCCHead(width, channels, cells, vectors)
    return Network(backbone, head)


def rtmpose(
    variant: str = "m",
    *,
    skeleton: Skeleton = COCO17,
    size: Size = (256, 192),
    codec: InstanceCodec | None = None,
    preprocess: Preprocess | None = None,
    pretrained: bool = False,
    name: str | None = None,
) -> TopDown:
    """An RTMPose with random weights, or with ImageNet weights in its backbone.

    Args:
        variant: t, s, m, l or x, from the smallest to the largest.
        skeleton: The keypoints.
        size: Size of the views (h, w), multiples of 32.
        codec: Codec for views of `size`; the release's by default. One that is no `SimCC` reads maps of a quarter of `size`,
            which transposed convolutions make in place of RTMPose's head, as OpenMMLab trains its CSPNeXt first.
        preprocess: Crop rule, padding and colours; the release's by default.
        pretrained: Whether the backbone starts from OpenMMLab's ImageNet weights.
        name: Name of the model.

    Raises:
        UnknownName: Another variant.
        InputError: A size or codec that does not fit.
        ReadError: The ImageNet weights cannot be loaded or downloaded.
    """
    if variant not in FACTORS:
        raise unknown("size of RTMPose", variant, FACTORS)
    check_size(size, CSPNeXt.multiple, f"RTMPose-{variant}")
    codec = codec or rtm_codec(size, skeleton)
    bins = isinstance(codec, SimCC)
    stride = STRIDE if bins else MAP_STRIDE
    check_codec(codec, size=size, cells=(size[0] // stride, size[1] // stride), skeleton=skeleton)
    arguments = {"variant": variant, "channels": codec.channels}
    vectors = {"cells": codec.cells, "vectors": codec.vectors} if bins else {}
    built = network(**arguments, **vectors)  # type: ignore[arg-type]
    if pretrained:
        start_cspnext(cast(CSPNeXt, built.backbone), variant)
    architecture = Architecture("rtmpose:network", {**arguments, **vectors})
    preprocess = preprocess or (rtm_preprocess() if bins else preprocess_for(codec, rtm_preprocess()))
    return assemble(name or f"rtmpose_{variant}", architecture, built, codec=codec, preprocess=preprocess, skeleton=skeleton)


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `rtmpose_m`, `rtmpose_l_wholebody_384x288` or `dwpose_l`."""
    request = request.completed(data="wholebody133" if request.parts["student"] else "")
    own = request.codec in (None, SimCC.__name__)
    of_animals = own and request.skeleton is None and request.keypoints == QUADRUPED39
    return rtmpose(
        request.parts["variant"],
        skeleton=request.keypoints,
        size=request.size,
        codec=rtm_codec(request.size, request.keypoints) if own else requested_codec(request),
        preprocess=replace(rtm_preprocess(), padding=1.0) if of_animals else None,  # DeepLabCut shows the box alone
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="RTMPose (arXiv 2303.07399), DWPose (arXiv 2307.15880)",
    form="rtmpose_{t,s,m,l,x}[_KEYPOINTS][_HEIGHTxWIDTH]",
    pattern=r"(?:rtmpose|(?P<student>dwpose))_(?P<variant>[tsmlx])(?:_(?P<data>[a-z][a-z0-9_]*?))?(?:_(?P<size>\d+x\d+))?",
    build=build,
    networks={"network": network},
    releases=official("rtmpose_", "dwpose_"),
    keys=(
        ("head.final_layer.", "head.final."),
        ("head.gau.", "head.bins.gau."),
        ("head.cls_", "head.bins.cls_"),
        ("head.", "head."),
        ("backbone.", "backbone."),
    ),
    rename=lambda _, weights: of_deeplabcut(weights),
)
