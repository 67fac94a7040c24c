"""The heads of two-stage detectors, and the whole network on a backbone (Mask R-CNN, arXiv 1703.06870, section 3)."""

from dataclasses import dataclass

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
from poise.zoo.rcnn.backbones import BackboneSpec
from poise.zoo.rcnn.bodies import resnet_arguments
from poise.zoo.rcnn.variants import Variant

MIN_CLASSES = 2
"""Least number of classes of a box head: one and the background."""

LAST_STAGE = 4
"""Number of a ResNet's last stage, which is part of the heads in the C4 form."""

C4_MASK_CHANNELS = 256
"""Hidden channels of the mask predictor on a last stage."""

RETINA_ANCHOR = 4
"""Size of anchors on P3 to P7, in strides: 32 to 512 pixels, as on P2 to P6."""


@dataclass(frozen=True)
class Heads:
    """Heads of a detector; the fields are stored in model files.

    Attributes:
        classes: Number of classes with the background; 0 for a region proposal network alone.
        channels: Channels of the codec; 0 for no keypoints.
        cells: Size of the codec's maps (h, w), cells.
        convolutions: Number of convolutions of the keypoint head.
        width: Channels of the keypoint head's convolutions.
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


def build_network(backbone: BackboneSpec, variant: Variant, heads: Heads) -> RCNN:
    """The network of a detector, with random weights.

    Args:
        backbone: Backbone with its neck.
        variant: How its code base builds it.
        heads: Heads of the detector.

    Raises:
        InputError: Sizes that cannot be, or features to share that there are not.
    """
    body = backbone.build(variant)
    proposals = variant.proposals(body)
    sizes = None if backbone.pyramid.ending == "pool" else tuple((RETINA_ANCHOR * stride,) for stride in body.strides)
    anchors = AnchorGenerator(body.strides, sizes=sizes, rule=variant.anchor_rule, by_size=variant.anchors_by_size)
    rpn = build_rpn(
        body.channels[0],
        anchors,
        post_nms_top_n=proposals.post_nms_top_n,
        pre_nms_top_n=proposals.pre_nms_top_n,
        smooth_l1_beta=variant.rpn_smooth_l1_beta,
        inside_only=variant.inside_anchors_only,
        batch_post_nms_top_n=proposals.batch_post_nms_top_n,
    )
    box = _box(backbone, body, variant, heads) if heads.classes else None
    keypoint = _keypoint(body, box, variant, heads) if heads.channels else None
    if keypoint and not box:
        raise InputError("a keypoint head reads the boxes that a box head finds; give the detector at least 2 classes")
    mask = _mask(body, box, variant, heads) if heads.masks else None
    if heads.shared and not any(branch and branch.pooler is None for branch in (keypoint, mask)):
        raise InputError("no head of this detector can read the box head's features; leave out 'shared', or take keypoint_rcnn")
    return RCNN(body, rpn, box=box, keypoint=keypoint, mask=mask)


def _box(backbone: BackboneSpec, body: BackboneWithNeck, variant: Variant, heads: Heads) -> RoIBranch:
    """The box head: the last stage of the C4 form; convolutions where its features are shared; else fully connected."""
    channels = body.channels[0]
    cells: Size = (7, 7)
    if backbone.neck == "c4":
        last, cells = last_stage(backbone.body, variant, width=2 * channels), (14, 14)
        head = RoIHead(last, BoxPredictor(last.width, heads.classes))
    elif heads.shared:
        own, cells = ConvStack(channels, _widths(heads)), pooled_cells_for(heads.cells)
        head = RoIHead(own, BoxPredictor(own.width, heads.classes))
    else:
        head = box_head(channels, cells=cells, width=heads.features, classes=heads.classes)
    return RoIBranch(_pooler(body, cells, variant), head)


def last_stage(body: str, variant: Variant, *, width: int = 2048) -> LastStage:
    """The last stage of a `resnet50` or `resnext101_32x8d`, as the body of a head that gives `width` channels."""
    blocks = stage(number=LAST_STAGE, **resnet_arguments(body, variant))
    replace_norms(blocks, variant.norm)
    return LastStage(blocks, width=width)


def _keypoint(body: BackboneWithNeck, box: RoIBranch | None, variant: Variant, heads: Heads) -> RoIBranch:
    if heads.shared and box is not None:
        return RoIBranch(None, RoIHead(nn.Identity(), KeypointPredictor(_width(box.head.body), heads.channels, heads.cells)))
    head = keypoint_head(body.channels[0], heads.channels, cells=heads.cells, widths=_widths(heads))
    return RoIBranch(_pooler(body, pooled_cells_for(heads.cells), variant), head)


def _widths(heads: Heads) -> tuple[int, ...]:
    """Channels of the convolutions that make a keypoint head's features."""
    return (heads.width,) * heads.convolutions


def _mask(body: BackboneWithNeck, box: RoIBranch | None, variant: Variant, heads: Heads) -> RoIBranch:
    if box is not None and isinstance(box.head.body, LastStage):
        reader = MaskPredictor(box.head.body.width, heads.classes, hidden=C4_MASK_CHANNELS)
        return RoIBranch(None, RoIHead(nn.Identity(), reader))
    return RoIBranch(_pooler(body, (14, 14), variant), mask_head(body.channels[0], classes=heads.classes))


def _width(body: nn.Module) -> int:
    width = body.width
    assert isinstance(width, int), "bodies of heads say how wide they are"
    return width


def _pooler(body: BackboneWithNeck, cells: Size, variant: Variant) -> RoIPooler:
    sampling = variant.proposals(body).sampling_ratio
    return RoIPooler(body.strides, cells, sampling=sampling, aligned=variant.aligned, inclusive=variant.inclusive_boxes)
