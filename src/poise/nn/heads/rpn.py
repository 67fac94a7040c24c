"""The region proposal network (arXiv 1506.01497, section 3.1): torchvision's, with our anchors and losses."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers

from poise.dims import Size
from poise.nn.anchors import AnchorGenerator
from poise.nn.base import Feature


@final
class StandaloneRPNHead(nn.Module):
    """The head of a region proposal network alone, which takes maps as separate arguments.

    Args:
        channels: Channels of each map.
        anchors: Anchors of each cell.
    """

    def __init__(self, channels: int, anchors: int = 3) -> None:
        super().__init__()
        self.head = RPNHead(channels, anchors)

    def forward(self, *features: Feature) -> list[Feature]:
        """Objectness logits of every map, then anchor deltas of every map."""
        objectness, deltas = self.head(list(features))
        return [*objectness, *deltas]


@final
class Float32RPNHead(RPNHead):  # type: ignore[misc]  # torchvision has no types
    """torchvision's head with outputs in float32 under mixed precision: coordinates need more than 8 bits."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness logits and anchor deltas of every map."""
        objectness, deltas = super().forward(x)
        return [part.float() for part in objectness], [part.float() for part in deltas]


@final
class RPN(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, which also handles ignored regions, and returns losses whenever it gets ground truth.

    Attributes:
        smooth_l1_beta: Beta of the smooth L1 loss of deltas; 0 for plain L1.
        inside_only: Whether anchors that reach over the border of the view (without padding) are excluded from training.
        batch_post_nms_top_n: In training a batch keeps this many proposals times its views, those of highest objectness over
            the whole batch, so views may keep different numbers; None for no limit over the batch.
    """

    smooth_l1_beta: float = 1 / 9
    inside_only: bool = False
    batch_post_nms_top_n: int | None = None

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals of each view, by objectness, and with ground truth the losses.

        Args:
            images: Images as torchvision's detectors hold them.
            features: Feature maps by any name.
            targets: For each view "boxes", the ground truth x0 y0 x1 y1, and optionally "ignored", the integral image of its
                ignored region (`integral_image`): negatives that lie in it by more than half are not trained on; and "moved",
                for each box the one that its anchors are to move to.
        """
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        anchors_per_map = [part[0].numel() for part in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        boxes = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        kept, scores = self.filter_proposals(boxes, objectness, images.image_sizes, anchors_per_map)
        if self.training and self.batch_post_nms_top_n is not None:
            kept = top_scoring(kept, scores, self.batch_post_nms_top_n * len(kept))
        if targets is None:
            return kept, {}
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        matched = [_moved(boxes, target) for boxes, target in zip(matched, targets, strict=True)]
        for label, anchors_of_view, target, size in zip(labels, anchors, targets, images.image_sizes, strict=True):
            if self.inside_only:
                label[~inside_view(anchors_of_view, size)] = -1
            if "ignored" in target:
                label[(label == 0) & (share_in_region(anchors_of_view, target["ignored"]) > 0.5)] = -1
        if not any(bool((label >= 0).any()) for label in labels):  # no anchor to train on: a mean over none is NaN
            return kept, {"loss_objectness": objectness.sum() * 0, "loss_rpn_box_reg": deltas.sum() * 0}
        delta_targets = self.box_coder.encode(matched, anchors)
        objectness_loss, box_loss = self.compute_loss(objectness, deltas, labels, delta_targets)
        return kept, {"loss_objectness": objectness_loss, "loss_rpn_box_reg": box_loss}

    def compute_loss(
        self,
        objectness: Float[Tensor, "n 1"],
        deltas: Float[Tensor, "n 4"],
        labels: list[Tensor],
        delta_targets: Sequence[Tensor],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Losses per sampled anchor: cross-entropy of the objectness, smooth L1 of the deltas of positives.

        Args:
            objectness: Objectness logits of all anchors of all views.
            deltas: Predicted deltas (x, y, width, height) of all anchors of all views.
            labels: For each view's anchors: 1 positive, 0 negative, -1 ignored.
            delta_targets: For each view's anchors, the deltas to the matched ground-truth box.
        """
        positives, negatives = (torch.where(torch.cat(part))[0] for part in self.fg_bg_sampler(labels))
        sampled = torch.cat((positives, negatives))
        objectness_loss = functional.binary_cross_entropy_with_logits(objectness.flatten()[sampled], torch.cat(labels)[sampled])
        box_loss = functional.smooth_l1_loss(
            deltas[positives], torch.cat(list(delta_targets))[positives], beta=self.smooth_l1_beta, reduction="sum"
        )
        return objectness_loss, box_loss / len(sampled)


def _moved(matched: Float[Tensor, "n 4"], target: dict[str, Tensor]) -> Float[Tensor, "n 4"]:
    """The boxes that anchors are to move to, from those that they overlap."""
    if "moved" not in target or not len(target["boxes"]):
        return matched
    which = torch.stack([(matched == box).all(dim=1) for box in target["boxes"]], dim=1).float().argmax(dim=1)
    return target["moved"][which]


def top_scoring(
    boxes: list[Float[Tensor, "_ 4"]], score: list[Float[Tensor, " _"]], max_boxes: int
) -> list[Float[Tensor, "_ 4"]]:
    """The highest-scoring boxes over all views, at most `max_boxes`; each view keeps its order.

    Args:
        boxes: Boxes x0 y0 x1 y1 of each view.
        score: Score of each box of each view.
        max_boxes: Number of boxes to keep over all views.
    """
    all_scores = torch.cat(score)
    kept = torch.zeros_like(all_scores, dtype=torch.bool)
    kept[all_scores.argsort(descending=True, stable=True)[:max_boxes]] = True
    kept_by_view = torch.split(kept, [len(own) for own in boxes])
    return [own[mask] for own, mask in zip(boxes, kept_by_view, strict=True)]


def inside_view(boxes: Float[Tensor, "n 4"], size: Size) -> Bool[Tensor, " n"]:
    """Whether boxes x0 y0 x1 y1 lie inside a view of `size` (h, w)."""
    return (boxes[:, :2] >= 0).all(dim=1) & (boxes[:, 2:] <= boxes.new_tensor((size[1], size[0]))).all(dim=1)


def integral_image(region: Bool[Tensor, "h w"]) -> Float[Tensor, "hh ww"]:
    """The integral image of a region: for every corner of pixels, the number of its pixels above and left of it."""
    return functional.pad(region.double().cumsum(0).cumsum(1), (1, 0, 1, 0))


def share_in_region(boxes: Float[Tensor, "n 4"], sums: Float[Tensor, "hh ww"]) -> Float[Tensor, " n"]:
    """The share of each box's area inside the view that lies in a region, to whole pixels.

    Args:
        boxes: Boxes x0 y0 x1 y1.
        sums: `integral_image` of the region.
    """
    height, width = sums.shape
    x0, y0 = (boxes[:, axis].floor().clamp(0, last - 2).long() for axis, last in ((0, width), (1, height)))
    x1, y1 = (boxes[:, axis].ceil().clamp(1, last - 1).long() for axis, last in ((2, width), (3, height)))
    x1, y1 = x1.maximum(x0 + 1), y1.maximum(y0 + 1)
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return (inside / ((x1 - x0) * (y1 - y0))).to(boxes.dtype)


def build_rpn(
    channels: int,
    anchors: AnchorGenerator,
    *,
    post_nms_top_n: tuple[int, int] = (2000, 1000),
    pre_nms_top_n: tuple[int, int] | None = None,
    smooth_l1_beta: float = 1 / 9,
    inside_only: bool = False,
    batch_post_nms_top_n: int | None = None,
) -> RPN:
    """The region proposal network as all releases configure it; the arguments are where they differ.

    An anchor is positive from an IoU of 0.7 on, negative below 0.3; 256 of each image are sampled, half of them positive if
    there are as many; NMS at an IoU of 0.7.

    Args:
        channels: Channels of each feature map.
        anchors: Anchor generator, with the same number of anchors in each cell of each map.
        post_nms_top_n: Proposals kept for each image: in training, in testing.
        pre_nms_top_n: Anchors of highest objectness kept for each map before NMS: in training, in testing. By default as
            `post_nms_top_n`.
        smooth_l1_beta: Beta of the smooth L1 loss of deltas.
        inside_only: Whether only anchors inside the image are trained on.
        batch_post_nms_top_n: Proposals that a batch keeps in training, per image, those of highest objectness in the whole
            batch; None for no limit over the batch.
    """
    network = RPN(
        anchors,  # typed as torchvision's own generator, of which only the call is used
        Float32RPNHead(channels, anchors.per_cell[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), pre_nms_top_n or post_nms_top_n, strict=True)),
        post_nms_top_n=dict(zip(("training", "testing"), post_nms_top_n, strict=True)),
        nms_thresh=0.7,
    )
    network.smooth_l1_beta, network.inside_only, network.batch_post_nms_top_n = (
        smooth_l1_beta,
        inside_only,
        batch_post_nms_top_n,
    )
    return network
