"""The region proposal network (arXiv 1506.01497, section 3.1) on a trunk's maps; torchvision's, with our anchors."""

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
    """A region proposal network's head alone, for maps given one by one.

    Args:
        channels: Of each map.
        anchors: In each cell.
    """

    def __init__(self, channels: int, anchors: int = 3) -> None:
        super().__init__()
        self.head = RPNHead(channels, anchors)

    def forward(self, *features: Feature) -> list[Feature]:
        """The objectness of every map, then the deltas of the boxes of every map."""
        objectness, deltas = self.head(list(features))
        return [*objectness, *deltas]


@final
class Float32RPNHead(RPNHead):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, which answers in float32 where it computes in less: coordinates need more than 8 bits."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness and deltas of every map."""
        objectness, deltas = super().forward(x)
        return [part.float() for part in objectness], [part.float() for part in deltas]


@final
class RPN(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no types
    """torchvision's; it learns where parts of the views are unknown, too, and tells its losses whenever it is given labels.

    Attributes:
        smooth_l1_beta: Up to where errors of deltas count by their square; 0 for plain L1.
        inside_only: Whether anchors that reach over the border of the view, without what fills it up, are not learnt from.
        batch_post_nms_top_n: In training a batch keeps this many proposals times its views, those of highest objectness over
            the whole batch, so views may keep different numbers; None for no limit over the batch.
    """

    smooth_l1_beta: float = 1 / 9
    inside_only: bool = False
    batch_post_nms_top_n: int | None = None

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals of each view, the surest first, and with labels the losses.

        Args:
            images: As torchvision's detectors hold them.
            features: The maps, by any name.
            targets: Of each view "boxes", and perhaps "ignored", the share of every pixel's sum (`summed`): nobody's anchors
                that lie there by more than half are not learnt from.
        """
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        many = [part[0].numel() for part in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        boxes = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        kept, scores = self.filter_proposals(boxes, objectness, images.image_sizes, many)
        if self.training and self.batch_post_nms_top_n is not None:
            kept = top_scoring(kept, scores, self.batch_post_nms_top_n * len(kept))
        if targets is None:
            return kept, {}
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        for label, own, target, size in zip(labels, anchors, targets, images.image_sizes, strict=True):
            if self.inside_only:
                label[~inside_view(own, size)] = -1
            if "ignored" in target:
                label[(label == 0) & (share_in_region(own, target["ignored"]) > 0.5)] = -1
        if not any(bool((label >= 0).any()) for label in labels):  # nothing is known; a mean over nothing is no number
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
        """Of anchors that chance draws, for each: cross-entropy of being a person's, and smooth L1 of people's deltas.

        Args:
            objectness: Of all anchors of all views.
            deltas: The same.
            labels: Of each view's anchors: 1 a person's, 0 nobody's, -1 not learnt from.
            delta_targets: Of each view's anchors, the deltas to the person's box.
        """
        positives, negatives = (torch.where(torch.cat(part))[0] for part in self.fg_bg_sampler(labels))
        sampled = torch.cat((positives, negatives))
        objectness_loss = functional.binary_cross_entropy_with_logits(objectness.flatten()[sampled], torch.cat(labels)[sampled])
        box_loss = functional.smooth_l1_loss(
            deltas[positives], torch.cat(list(delta_targets))[positives], beta=self.smooth_l1_beta, reduction="sum"
        )
        return objectness_loss, box_loss / len(sampled)


def top_scoring(boxes: list[Float[Tensor, "_ 4"]], score: list[Float[Tensor, " _"]], most: int) -> list[Float[Tensor, "_ 4"]]:
    """The boxes of some views of which at most so many are left in all, those of the highest scores, in their order.

    Args:
        boxes: Of each view.
        score: Of its boxes.
        most: How many may be left.
    """
    every = torch.cat(score)
    stays = torch.zeros_like(every, dtype=torch.bool)
    stays[every.argsort(descending=True, stable=True)[:most]] = True
    return [own[left] for own, left in zip(boxes, torch.split(stays, [len(own) for own in boxes]), strict=True)]


def inside_view(boxes: Float[Tensor, "n 4"], size: Size) -> Bool[Tensor, " n"]:
    """Which boxes x0 y0 x1 y1 nowhere reach over the border of a view of `size` (h, w)."""
    return (boxes[:, :2] >= 0).all(dim=1) & (boxes[:, 2:] <= boxes.new_tensor((size[1], size[0]))).all(dim=1)


def integral_image(region: Bool[Tensor, "h w"]) -> Float[Tensor, "hh ww"]:
    """How many pixels of a region lie above and left of every corner between pixels; one more row and column than pixels."""
    return functional.pad(region.double().cumsum(0).cumsum(1), (1, 0, 1, 0))


def share_in_region(boxes: Float[Tensor, "n 4"], sums: Float[Tensor, "hh ww"]) -> Float[Tensor, " n"]:
    """The share of boxes' areas, as far as it is in the view, that lies in a region; to whole pixels.

    Args:
        boxes: x0 y0 x1 y1.
        sums: `summed` of the region.
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
    """The network as all releases configure it, but for what is an argument: there they differ.

    An anchor is a person's from an overlap of 0.7 on, nobody's below 0.3; 256 of each image are learnt from, half of them
    people's where there are as many; overlaps above 0.7 are suppressed.

    Args:
        channels: Of each map.
        anchors: Of all maps, as many in each cell of each.
        post_nms_top_n: How many of an image are kept: in training, in testing.
        pre_nms_top_n: How many of each map are looked at, the surest: in training, in testing. As many by default.
        smooth_l1_beta: Up to where errors of deltas count by their square.
        inside_only: Whether only anchors inside the image are learnt from.
        batch_post_nms_top_n: How many times the number of images a batch keeps in training, the highest objectness over the
            whole batch; None for no limit over the batch.
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
