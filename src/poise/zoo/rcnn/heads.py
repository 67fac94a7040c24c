"""The heads of two-stage detectors, and the whole network on a trunk (Mask R-CNN, arXiv 1703.06870, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from poise.dims import Size
from poise.errors import InputError
from poise.nn.anchors import AnchorGenerator
from poise.nn.backbones.resnet import stage
from poise.nn.frozen import replace_norms
from poise.nn.heads.roi import (
    MAP_CELLS,
    BoxPredictor,
    ConvStack,
    KeypointPredictor,
    LastStage,
    MaskPredictor,
    RoIHead,
    box_head,
    keypoint_head,
    mask_head,
    pooled_cells_for,
)
from poise.nn.heads.rpn import build_rpn
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RCNN, RoIBranch
from poise.zoo.rcnn.backbones import RESNET, resnet_arguments, trunk
from poise.zoo.rcnn.variants import Dialect

LAST_STAGE = 4
"""Of a ResNet; the C4 form has it in its heads."""

MASKED = 256
"""Channels that a mask head on a last stage reads masks off."""


@dataclass(frozen=True)
class Heads:
    """Which heads a detector has.

    Attributes:
        classes: With the background; 0 for a region proposal network alone.
        channels: Of the codec; 0 for no keypoints.
        cells: Of the codec's maps (h, w).
        convolutions: Of the keypoint head.
        width: Of the keypoint head's convolutions.
        shared: Whether the keypoint head reads the box head's features.
        masks: Whether there is a mask head; that of the C4 form always reads the box head's features.
        features: Width of the box head's fully connected layers.
    """

    classes: int = 2
    channels: int = 17
    cells: Size = MAP_CELLS
    convolutions: int = 8
    width: int = 512
    shared: bool = False
    masks: bool = False
    features: int = 1024


def detector(name: str, dialect: Dialect, heads: Heads) -> RCNN:
    """The network of a detector, with random weights.

    Args:
        name: Of the trunk.
        dialect: Of the release.
        heads: Which heads it has.

    Raises:
        UnknownName: There is no such trunk.
        InputError: Sizes that cannot be, or features to share that there are not.
    """
    body = trunk(name, dialect)
    how = dialect.reading(body)
    anchors = AnchorGenerator(body.strides, rule=dialect.anchors, by_size=dialect.by_size)
    rpn = build_rpn(
        body.channels[0],
        anchors,
        post_nms_top_n=how.kept,
        pre_nms_top_n=how.looked,
        smooth_l1_beta=dialect.smooth,
        inside_only=dialect.inside,
        batch_post_nms_top_n=how.shared,
    )
    box = _box(name, body, dialect, heads) if heads.classes else None
    keypoint = _keypoint(body, box, dialect, heads) if heads.channels else None
    if keypoint and not box:
        raise InputError("a keypoint head reads the boxes that a box head finds; give the detector at least 2 classes")
    mask = _mask(body, box, dialect, heads) if heads.masks else None
    if heads.shared and not any(branch and branch.pooler is None for branch in (keypoint, mask)):
        raise InputError("no head of this detector can read the box head's features; leave out 'shared', or take keypoint_rcnn")
    return RCNN(body, rpn, box=box, keypoint=keypoint, mask=mask)


def _box(name: str, body: BackboneWithNeck, dialect: Dialect, heads: Heads) -> RoIBranch:
    """The box head: the last stage of the C4 form; convolutions where its features are shared; else fully connected."""
    channels, found = body.channels[0], RESNET.fullmatch(name)
    cells: Size = (7, 7)
    if found is not None and found["form"] == "c4":
        last, cells = last_stage(found.groupdict(), dialect, width=2 * channels), (14, 14)
        head = RoIHead(last, BoxPredictor(last.width, heads.classes))
    elif heads.shared:
        own, cells = ConvStack(channels, _widths(heads)), pooled_cells_for(heads.cells)
        head = RoIHead(own, BoxPredictor(own.width, heads.classes))
    else:
        head = box_head(channels, cells=cells, width=heads.features, classes=heads.classes)
    return RoIBranch(_pooler(body, cells, dialect), head)


def last_stage(parts: Mapping[str, Any], dialect: Dialect, *, width: int = 2048) -> LastStage:
    """The last stage of a ResNet, told by the parts of its name, as the body of a head that is `width` wide."""
    blocks = stage(number=LAST_STAGE, **resnet_arguments(parts, dialect))
    replace_norms(blocks, dialect.norm)
    return LastStage(blocks, width=width)


def _keypoint(body: BackboneWithNeck, box: RoIBranch | None, dialect: Dialect, heads: Heads) -> RoIBranch:
    if heads.shared and box is not None:
        return RoIBranch(None, RoIHead(nn.Identity(), KeypointPredictor(_width(box.head.body), heads.channels, heads.cells)))
    head = keypoint_head(body.channels[0], heads.channels, cells=heads.cells, widths=_widths(heads))
    return RoIBranch(_pooler(body, pooled_cells_for(heads.cells), dialect), head)


def _widths(heads: Heads) -> tuple[int, ...]:
    """Of the convolutions that make a keypoint head's features."""
    return (heads.width,) * heads.convolutions


def _mask(body: BackboneWithNeck, box: RoIBranch | None, dialect: Dialect, heads: Heads) -> RoIBranch:
    if box is not None and isinstance(box.head.body, LastStage):
        reader = MaskPredictor(box.head.body.width, heads.classes, hidden=MASKED)
        return RoIBranch(None, RoIHead(nn.Identity(), reader))
    return RoIBranch(_pooler(body, (14, 14), dialect), mask_head(body.channels[0], classes=heads.classes))


def _width(body: nn.Module) -> int:
    width = body.width
    assert isinstance(width, int), "bodies of heads say how wide they are"
    return width


def _pooler(body: BackboneWithNeck, cells: Size, dialect: Dialect) -> RoIPooler:
    sampling = dialect.reading(body).sampling
    return RoIPooler(body.strides, cells, sampling=sampling, aligned=dialect.aligned, inclusive=dialect.inclusive)
