"""Our own small detectors with keypoints: a plain backbone, an FPN and slim heads, made to be trained on a plain CPU.

The same slim heads stand on any other backbone too (`poise_rcnn_t_hrnet_w10_hrfpn_coco_320x320`), whose batch norms then learn:
they start from nothing, and batches are large.
"""

from dataclasses import dataclass, replace
from typing import Any, cast, final

from poise.codecs.roi import RoICodec
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import Learning, RCNNConfig
from poise.nn.anchors import AnchorGenerator
from poise.nn.backbones.plain import PlainNet, Stages
from poise.nn.base import check_size
from poise.nn.heads.roi import MAP_CELLS, box_head, keypoint_head, pooled_cells_for
from poise.nn.heads.rpn import build_rpn
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.necks.fpn import FPN
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RCNN, RoIBranch
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture
from poise.weights.release import Release
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.presets import assemble_keypoint_rcnn, coloured_for
from poise.zoo.rcnn.roi_codecs import gaussian_roi_codec, roi_codec
from poise.zoo.rcnn.variants import variant_of


@final
@dataclass(frozen=True)
class Widths:
    """Channels of the network's layers, and the depth of its keypoint head.

    Attributes:
        stages: Channels of the four backbone stages.
        pyramid: Channels of the pyramid maps that heads read.
        features: Channels of the fully connected layers of the box head.
        keypoints: Channels of the keypoint-head convolutions.
        convolutions: Number of keypoint-head convolutions.
    """

    stages: Stages
    pyramid: int
    features: int
    keypoints: int
    convolutions: int = 4


WIDTHS: dict[str, Widths] = {
    "t": Widths((24, 48, 96, 160), 64, 128, 64),
    "s": Widths((32, 64, 128, 192), 96, 256, 128),
}
"""Channels of the tiny and the small network."""

BLOCKS: Stages = (1, 2, 2, 3)
PROPOSALS = (500, 200)
"""Number of proposals of each map before non-maximum suppression, and of an image after it: in training, in inference.

Drawings of 320 pixels contain fewer people than that.
"""

PYRAMID_FROM = 4
"""Stride of the finest map of a pyramid, where nothing else is asked for."""

ANCHOR = 6
"""Square root of the area of anchors on each map, in strides: 24 to 192 pixels."""

LEARNING = Learning(per_image=64, posed=16)


def network(width: str, channels: int, cells: Size = MAP_CELLS, trunk: str | None = None) -> RCNN:
    """The network alone, with random weights.

    Args:
        width: "t" or "s".
        channels: Channels that the codec reads.
        cells: Size of its maps (h, w), cells; 4 or more a side.
        trunk: Another backbone with its neck, as `BackboneSpec.parse` reads it; its pyramid is as wide as ours.

    Raises:
        UnknownName: There is no such width or backbone.
        InputError: Maps of less than 4 cells a side, or a backbone without a pyramid.
    """
    own = widths_of(width)
    backbone = slim_backbone(own, trunk)
    sizes = tuple((ANCHOR * stride,) for stride in backbone.strides)
    rpn = build_rpn(own.pyramid, AnchorGenerator(backbone.strides, sizes=sizes), post_nms_top_n=PROPOSALS)
    box = RoIBranch(RoIPooler(backbone.strides, (7, 7)), box_head(own.pyramid, width=own.features))
    widths = (own.keypoints,) * own.convolutions
    head = keypoint_head(own.pyramid, channels, cells=cells, widths=widths)
    return RCNN(backbone, rpn, box=box, keypoint=RoIBranch(RoIPooler(backbone.strides, pooled_cells_for(cells)), head))


def widths_of(width: str) -> Widths:
    """Channels of a network of ours.

    Raises:
        UnknownName: There is no such width.
    """
    if width not in WIDTHS:
        raise unknown("width of poise's own network", width, WIDTHS)
    return WIDTHS[width]


def slim_backbone(own: Widths, trunk: str | None, *, finest: int = PYRAMID_FROM) -> BackboneWithNeck:
    """Our plain backbone with an FPN, or another one with a pyramid as wide; no maps are coarser than the backbone's.

    Args:
        own: Channels of the network.
        trunk: Another backbone with its neck, as `BackboneSpec.parse` reads it.
        finest: Stride of the finest map of the pyramid, 4, 8, 16 or 32; that of an HRFPN is its backbone's.

    Raises:
        UnknownName: There is no such backbone.
        InputError: It has no pyramid, or there is no map of that stride.
    """
    if trunk is None:
        body = PlainNet(own.stages, BLOCKS)
        if finest not in body.strides:
            raise InputError(f"the finest map has a stride of {', '.join(map(str, body.strides))}, not {finest}")
        first = body.strides.index(finest)
        return BackboneWithNeck(body, FPN(body.channels, body.strides, own.pyramid, extra=0, first=first))
    spec = BackboneSpec.parse(trunk)
    if spec.neck not in ("fpn", "hrfpn"):
        raise InputError(f"slim heads read a pyramid, of the neck fpn or hrfpn; {trunk!r} has the neck {spec.neck!r}")
    slim = replace(spec, pyramid=replace(spec.pyramid, width=own.pyramid))
    return slim.build(variant_of("poise", "batch"), coarser=False, finest=finest)


def small_detector(
    width: str = "t",
    *,
    trunk: str | None = None,
    skeleton: Skeleton = COCO17,
    size: Size = (320, 320),
    codec: RoICodec | None = None,
    config: RCNNConfig | None = None,
    name: str | None = None,
) -> KeypointRCNN:
    """A small detector with keypoints, with random weights.

    Args:
        width: "t" (2.5 million parameters) or "s" (4.9 million). On one CPU core they learn from 12 and 7 images of 320x320 a
            second, and from 16 and 10 in bfloat16.
        trunk: Another backbone with its neck in place of the plain one, such as `r18_fpn`, `hrnet_w10_hrfpn`, `timm_NAME_fpn`.
        skeleton: The keypoints.
        size: Size of the views it is trained on (h, w), pixels, multiples of 32; images are resized so that their long side is
            the larger of the two.
        codec: Codec of the keypoint head; by default Gaussians on 56x56 cells.
        config: Configuration of post-processing and training; by default from 64 proposals of an image, and
            keypoints from 16.
        name: Name of the model.

    Raises:
        InputError: A size that does not fit, or a codec of other keypoints.
        UnknownName: There is no such width.
    """
    check_size(size, PlainNet.multiple, f"poise_rcnn_{width}")
    codec = codec or gaussian_roi_codec(MAP_CELLS, len(skeleton))
    arguments: dict[str, Any] = {"width": width, "channels": codec.channels, "cells": codec.cells}
    arguments |= {} if trunk is None else {"trunk": trunk}
    built = network(**arguments)
    return assemble_keypoint_rcnn(
        name or "_".join(("poise_rcnn", width, *(() if trunk is None else (trunk,)))),
        Architecture("poise_rcnn:network", arguments),
        built,
        codec=codec,
        canvas=coloured_for(Canvas(side=max(size), multiple=PlainNet.multiple), cast(BackboneWithNeck, built.backbone)),
        skeleton=skeleton,
        config=config or RCNNConfig(learning=LEARNING),
    )


def build(request: BuildRequest) -> KeypointRCNN:
    """The model of a name such as `poise_rcnn_t_coco_320x320`."""
    refuse_pretrained(request.pretrained, "poise's own networks")
    maps, points = request.parts["maps"], len(request.keypoints)
    cells = (int(maps.split("x")[0]), int(maps.split("x")[1])) if maps else MAP_CELLS
    codec = gaussian_roi_codec(cells, points) if request.codec is None else roi_codec(request.codec, cells, points)
    return small_detector(
        request.parts["width"],
        trunk=request.parts["trunk"] or None,
        skeleton=request.keypoints,
        size=request.size,
        codec=codec,
        name=request.name,
    )


FAMILY = Family(
    paper="Keypoint R-CNN (arXiv 1703.06870) in poise's own small size",
    form="poise_rcnn_{t,s}[_TRUNK_{fpn,hrfpn}]_{coco,mpii}_HEIGHTxWIDTH[_mapsHEIGHTxWIDTH]",
    pattern=(
        r"poise_rcnn_(?P<width>[a-z]+)(?:_(?P<trunk>.+fpn.*?))?_(?P<data>coco|mpii)_(?P<size>\d+x\d+)"
        r"(?:_maps(?P<maps>\d+x\d+))?"
    ),
    build=build,
    networks={"network": network},
    releases=tuple(Release(f"poise_rcnn_{width}_coco_320x320", licence="Apache-2.0 (code)") for width in WIDTHS),
)
