"""One-stage detectors with keypoints in CenterMask2's manner (arXiv 1911.06667, 1904.01355), on any backbone of detectors.

No weights were published for keypoints; these are trained from ImageNet's, or the slim ones (`poise_fcos_t_coco_320x320`) from
nothing.
"""

from dataclasses import replace
from functools import partial
from typing import Any, cast

from torchvision.models.detection.fcos import FCOSHead

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.dims import Size
from poise.errors import InputError
from poise.models.keypoint_fcos import KeypointFCOS
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import RCNNConfig
from poise.nn.backbones.plain import PlainNet
from poise.nn.base import check_size
from poise.nn.fcos import FCOS
from poise.nn.frozen import Norm
from poise.nn.heads.roi import MAP_CELLS, keypoint_head, pooled_cells_for
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RoIBranch
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture
from poise.weights.release import Release
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.rcnn.backbones import PYRAMID_WORDS, BackboneSpec, Pyramid
from poise.zoo.rcnn.bodies import LITE, SMALL, NeckName, load_imagenet
from poise.zoo.rcnn.builder import made_codec
from poise.zoo.rcnn.poise_rcnn import LEARNING, PYRAMID_FROM, slim_backbone, widths_of
from poise.zoo.rcnn.presets import PRESETS, SIZE, assemble_keypoint_rcnn, canvas_for, coloured_for, config_for
from poise.zoo.rcnn.roi_codecs import gaussian_roi_codec, roi_codec
from poise.zoo.rcnn.variants import variant_of

NMS = 0.6
"""IoU above which two boxes are duplicates, in FCOS's release and CenterMask2's."""

POOLED_MAPS = 3
"""Finest maps that keypoints are read from: P3 to P5 in CenterMask."""

SLIM_TOWERS = 2
"""Convolutions of each half of the slim networks' head; 4 in the releases."""

GROUPS = 32
"""Groups of the norms in FCOS's head, which divide its channels."""

assembled = partial(assemble_keypoint_rcnn, kind=KeypointFCOS)
"""A model that is yet to be trained."""


def network(
    trunk: str,
    channels: int,
    cells: Size = MAP_CELLS,
    convolutions: int = 8,
    width: int = 512,
    towers: int = 4,
    norm: Norm | None = None,
) -> FCOS:
    """The network alone, with random weights.

    Args:
        trunk: Backbone with its neck, as `BackboneSpec.parse` reads it.
        channels: Channels that the codec reads.
        cells: Size of its maps (h, w), cells; 4 or more a side.
        convolutions: Number of convolutions of the keypoint branch.
        width: Their channels.
        towers: Number of convolutions of each half of the box head.
        norm: Batch norms of the backbone; by default frozen.

    Raises:
        UnknownName: There is no such backbone.
        InputError: Channels of the pyramid that are no multiple of 32, or maps of less than 4 cells a side.
    """
    backbone = BackboneSpec.parse(trunk).build(variant_of("poise", norm))
    return _network(backbone, channels, cells, widths=(width,) * convolutions, towers=towers)


def slim(width: str, channels: int, cells: Size = MAP_CELLS, trunk: str | None = None, finest: int = PYRAMID_FROM) -> FCOS:
    """The network of a slim detector alone, with random weights.

    Args:
        width: "t" or "s".
        channels: Channels that the codec reads.
        cells: Size of its maps (h, w), cells; 4 or more a side.
        trunk: Another backbone with its neck than the plain one.
        finest: Stride of the finest map of the plain one's pyramid.

    Raises:
        UnknownName: There is no such width or backbone.
        InputError: As `network`, or a backbone without a pyramid.
    """
    own = widths_of(width)
    widths = (own.keypoints,) * own.convolutions
    return _network(slim_backbone(own, trunk, finest=finest), channels, cells, widths=widths, towers=SLIM_TOWERS)


def _network(backbone: BackboneWithNeck, channels: int, cells: Size, *, widths: tuple[int, ...], towers: int) -> FCOS:
    pyramid = backbone.channels[0]
    if pyramid % GROUPS or not widths or towers < 1:
        raise InputError(
            f"FCOS's head has norms of {GROUPS} groups and 1 and more convolutions; found a pyramid of {pyramid} channels, "
            f"{towers} convolutions and {len(widths)} in the keypoint branch"
        )
    head = keypoint_head(pyramid, channels, cells=cells, widths=widths, attention=True)
    pooler = RoIPooler(backbone.strides[:POOLED_MAPS], pooled_cells_for(cells), rule="share")
    return FCOS(backbone, FCOSHead(pyramid, 1, 1, towers), RoIBranch(pooler, head))


def keypoint_fcos(
    backbone: str | BackboneSpec = "resnet50",
    *,
    neck: NeckName | None = None,
    pyramid: Pyramid | None = None,
    norm: Norm | None = None,
    skeleton: Skeleton = COCO17,
    codec: str | InstanceCodec | RoICodec | None = None,
    maps: Size | None = None,
    convolutions: int = 8,
    width: int = 512,
    towers: int = 4,
    size: Size = SIZE,
    pretrained: bool = False,
    config: RCNNConfig | None = None,
    name: str | None = None,
) -> KeypointRCNN:
    """A one-stage detector with keypoints, with random weights: FCOS's boxes, and a keypoint branch with spatial attention.

    Args:
        backbone: Name of the trunk: `resnet50`, `hrnet_w32`, `timm_NAME`, ... (`BackboneSpec.body`).
        neck: "fpn", or "hrfpn" on HRNets; by default HRFPN for HRNets and FPN for all others.
        pyramid: Options of an FPN; by default P3 to P7 with P6 from P5, as in FCOS and CenterMask2, on backbones with maps of
            strides 8 and more.
        norm: Batch norms of the backbone; by default frozen.
        skeleton: The keypoints.
        codec: Codec of the keypoint branch, as for `keypoint_rcnn`.
        maps: Cells of its maps (h, w); 56x56 by default.
        convolutions: Number of convolutions of the keypoint branch.
        width: Their channels.
        towers: Number of convolutions of each half of the box head.
        size: Length of the short side of images, and largest length of the long side, pixels.
        pretrained: Load ImageNet weights into the backbone.
        config: Configuration of post-processing and training; by default NMS at 0.6.
        name: Name of the model.

    Raises:
        UnknownName: There is no such backbone or codec.
        InputError: Arguments that do not go together, or a number that cannot be.
        ReadError: The ImageNet weights cannot be had.
    """
    spec = BackboneSpec.of(backbone, neck, pyramid=pyramid) if isinstance(backbone, str) else backbone
    spec = spec if pyramid or not isinstance(backbone, str) or spec.neck != "fpn" else _with_p7(spec)
    head_codec = made_codec(codec, maps, skeleton)
    arguments: dict[str, Any] = {"trunk": spec.name, "channels": head_codec.channels, "cells": head_codec.cells}
    arguments |= {"convolutions": convolutions, "width": width, "towers": towers, "norm": norm}
    built = network(**arguments)
    body = cast(BackboneWithNeck, built.backbone)
    if pretrained:
        load_imagenet(body.body, spec.body, "poise")
    canvas = canvas_for(PRESETS["poise"], body, size)
    usual = config_for(PRESETS["poise"], head_codec)
    return assembled(
        name or f"keypoint_fcos_{spec.name}",
        Architecture("keypoint_fcos:network", arguments),
        built,
        codec=head_codec,
        canvas=canvas,
        skeleton=skeleton,
        config=config or replace(usual, nms=NMS),
    )


def slim_fcos(
    width: str = "t",
    *,
    trunk: str | None = None,
    finest: int = PYRAMID_FROM,
    skeleton: Skeleton = COCO17,
    size: Size = (320, 320),
    codec: RoICodec | None = None,
    config: RCNNConfig | None = None,
    name: str | None = None,
) -> KeypointRCNN:
    """A slim one-stage detector with keypoints, with random weights, made to be trained on a plain CPU.

    Args:
        width: "t" or "s".
        trunk: Another backbone with its neck in place of the plain one, such as `r18_fpn`.
        finest: Stride of the finest map of the plain one's pyramid: with 8 in place of 4 it takes less than half of the time,
            and learns nobody who is smaller than about 16 pixels of a view.
        skeleton: The keypoints.
        size: Size of the views it is trained on (h, w), pixels, multiples of 32.
        codec: Codec of the keypoint branch; by default Gaussians on 56x56 cells.
        config: Configuration of post-processing and training.
        name: Name of the model.

    Raises:
        InputError: A size that does not fit, or a codec of other keypoints.
        UnknownName: There is no such width or backbone.
    """
    check_size(size, PlainNet.multiple, f"poise_fcos_{width}")
    codec = codec or gaussian_roi_codec(MAP_CELLS, len(skeleton))
    arguments: dict[str, Any] = {"width": width, "channels": codec.channels, "cells": codec.cells}
    arguments |= {} if trunk is None else {"trunk": trunk}
    arguments |= {} if finest == PYRAMID_FROM else {"finest": finest}
    built = slim(**arguments)
    canvas = coloured_for(Canvas(side=max(size), multiple=PlainNet.multiple), cast(BackboneWithNeck, built.backbone))
    name = name or "_".join(("poise_fcos", width, *(() if trunk is None else (trunk,))))
    return assembled(
        name,
        Architecture("keypoint_fcos:slim", arguments),
        built,
        codec=codec,
        canvas=canvas,
        skeleton=skeleton,
        config=config or RCNNConfig(nms=NMS, learning=LEARNING),
    )


def _with_p7(spec: BackboneSpec) -> BackboneSpec:
    """P3 to P7 where the backbone has maps for it: Lite-HRNet's one has stride 4."""
    return spec if LITE.fullmatch(spec.body) else BackboneSpec(spec.body, spec.neck, pyramid=Pyramid(ending="p5"))


def build(request: BuildRequest) -> KeypointRCNN:
    """The model of a name such as `keypoint_fcos_r50_fpn` or `poise_fcos_t_coco_320x320`."""
    parts = request.parts
    cells = tuple(int(n) for n in parts["maps"].split("x")) if parts["maps"] else MAP_CELLS
    maps = (cells[0], cells[1])
    if parts["width"]:
        refuse_pretrained(request.pretrained, "poise's own networks")
        points = len(request.keypoints)
        codec = gaussian_roi_codec(maps, points) if request.codec is None else roi_codec(request.codec, maps, points)
        trunk = parts["trunk"] or None
        return slim_fcos(
            parts["width"], trunk=trunk, skeleton=request.keypoints, size=request.size, codec=codec, name=request.name
        )
    size = tuple(int(n) for n in parts["whole"].split("x")) if parts["whole"] else SIZE
    spec = BackboneSpec.parse(parts["backbone"])
    return keypoint_fcos(
        spec if spec.pyramid != Pyramid() or spec.neck != "fpn" else spec.body,
        skeleton=request.skeleton or COCO17,
        codec=request.codec,
        maps=maps,
        size=(size[0], size[1]),
        pretrained=request.pretrained,
        name=request.name,
    )


FAMILY = Family(
    paper="one-stage detectors with keypoints in CenterMask2's manner (CenterMask, arXiv 1911.06667; FCOS, arXiv 1904.01355)",
    form="keypoint_fcos_TRUNK_{fpn,hrfpn}[_HEIGHTxWIDTH][_mapsHEIGHTxWIDTH], poise_fcos_{t,s}[_TRUNK]_{coco,mpii}_HEIGHTxWIDTH",
    pattern=(
        rf"(?:keypoint_fcos_(?P<backbone>(?:r\d+|x\d+_\d+x\d+d|hrnet_w\d+|timm_.+?|{SMALL})_(?:hr)?fpn{PYRAMID_WORDS})"
        r"(?:_(?P<whole>\d+x\d+))?"
        r"|poise_fcos_(?P<width>[a-z]+)(?:_(?P<trunk>.+fpn.*?))?_(?P<data>coco|mpii)_(?P<size>\d+x\d+))"
        r"(?:_maps(?P<maps>\d+x\d+))?"
    ),
    build=build,
    networks={"network": network, "slim": slim},
    releases=(
        *(Release(f"poise_fcos_{width}_coco_320x320", licence="Apache-2.0 (code)") for width in ("t", "s")),
        Release("keypoint_fcos_r50_fpn", licence="Apache-2.0 (code)"),
    ),
)
