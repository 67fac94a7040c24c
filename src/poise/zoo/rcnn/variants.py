"""How the code bases of Keypoint R-CNN build its network, each in its own way, by the name of the code base."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from poise.errors import unknown
from poise.nn.anchors import AnchorRule
from poise.nn.blocks import Style
from poise.nn.frozen import Norm
from poise.nn.necks.base import BackboneWithNeck

VariantName = Literal["poise", "maskrcnn", "hrnet", "torchvision", "detectron2"]
"""Ours, and those of maskrcnn-benchmark, HRNet-MaskRCNN-Benchmark, torchvision (its COCO_V1 weights) and Detectron2."""


@dataclass(frozen=True)
class ProposalConfig:
    """Number of proposals of the region proposal network, and pooling of features in boxes.

    Attributes:
        sampling_ratio: Points along each side that a cell of a box is averaged from (RoIAlign); 0 for as many as there are
            cells of the feature map.
        pre_nms_top_n: Boxes of each map that enter non-maximum suppression, those of highest objectness: in training, in
            testing.
        post_nms_top_n: Boxes of an image that are kept after it: in training, in testing.
        batch_post_nms_top_n: In training, boxes that a batch keeps for each of its images, the highest objectness over the
            whole batch first; None for no limit over the batch.
    """

    sampling_ratio: int = 2
    pre_nms_top_n: tuple[int, int] = (2000, 1000)
    post_nms_top_n: tuple[int, int] = (2000, 1000)
    batch_post_nms_top_n: int | None = None


MASKRCNN_PYRAMID = ProposalConfig(batch_post_nms_top_n=1000)
"""Proposals of maskrcnn-benchmark with several maps: 1000 per image over the batch, so 2000 of 2 images on one device."""

SINGLE_MAP = ProposalConfig(0, pre_nms_top_n=(12000, 6000))
"""Proposals of maskrcnn-benchmark and Detectron2 with one map (C4)."""


@dataclass(frozen=True)
class Variant:
    """Differences of the code bases of Keypoint R-CNN in its network.

    Attributes:
        style: Convolution of a bottleneck that has the stride (`resnet`); ResNeXt has that of "pytorch" in every variant.
        norm: Type of the backbone's batch norms.
        anchor_rule: How anchors are made.
        pyramid: Proposals and pooling with several maps.
        single_map: Proposals and pooling with one map.
        aligned: Whether the middle of a map's first cell is at half a stride when features are pooled (RoIAlign's `aligned`).
        inclusive_boxes: Whether heads pool features of boxes without their last row and column.
        rpn_smooth_l1_beta: Smooth L1 beta of the proposals' deltas; for boxes see `Learning.smooth`.
        hrfpn_by_default: Whether an HRNet has an HRFPN where a model's name says no neck.
        inside_anchors_only: Whether the loss of proposals leaves out anchors that cross the image's border.
        anchors_by_size: Whether a cell's anchors are ordered size by size, else ratio by ratio; it matters with one map.
    """

    style: Style = "pytorch"
    norm: Norm = "frozen"
    anchor_rule: AnchorRule = "exact"
    pyramid: ProposalConfig = ProposalConfig()
    single_map: ProposalConfig = ProposalConfig()
    aligned: bool = True
    inclusive_boxes: bool = False
    rpn_smooth_l1_beta: float = 1 / 9
    hrfpn_by_default: bool = False
    inside_anchors_only: bool = False
    anchors_by_size: bool = False

    def proposals(self, backbone: BackboneWithNeck) -> ProposalConfig:
        """Those for the number of maps that a backbone gives."""
        return self.pyramid if len(backbone.strides) > 1 else self.single_map


_MASKRCNN = Variant(
    style="caffe",
    norm="bare",
    anchor_rule="legacy",
    pyramid=MASKRCNN_PYRAMID,
    single_map=SINGLE_MAP,
    aligned=False,
    inclusive_boxes=True,
    inside_anchors_only=True,
)

VARIANTS: Mapping[VariantName, Variant] = {
    "poise": Variant(),
    "maskrcnn": _MASKRCNN,
    "hrnet": replace(_MASKRCNN, norm="kept", hrfpn_by_default=True),
    "torchvision": Variant(norm="bare", anchor_rule="rounded", aligned=False),
    "detectron2": Variant(
        style="caffe",
        pyramid=ProposalConfig(0, post_nms_top_n=(1500, 1000)),
        single_map=SINGLE_MAP,
        rpn_smooth_l1_beta=0.0,
        anchors_by_size=True,
    ),
}
"""The variants by name."""


def variant_of(name: str, norm: Norm | None = None) -> Variant:
    """A variant by name.

    Args:
        name: One of `VARIANTS`.
        norm: Batch norms of the backbone, if other than the variant's.

    Raises:
        UnknownName: There is no variant of that name.
    """
    known: Mapping[str, Variant] = {str(key): value for key, value in VARIANTS.items()}
    if name not in known:
        raise unknown("variant of detectors", name, known)
    return known[name] if norm is None else replace(known[name], norm=norm)
