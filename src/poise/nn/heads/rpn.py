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
from poise.nn.anchors import Anchors
from poise.nn.base import Feature


@final
class Levels(nn.Module):
    """A region proposal network's head alone, for maps given one by one.

    Args:
        channels: Of each map.
        anchors: In each cell.
    """

    def __init__(self, channels: int, anchors: int = 3) -> None:
        super().__init__()
        self.head = RPNHead(channels, anchors)

    def forward(self, *features: Feature) -> list[Feature]:
        """The objectness of every map, then the moves of the boxes of every map."""
        objectness, moves = self.head(list(features))
        return [*objectness, *moves]


@final
class ExactHead(RPNHead):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, which answers in float32 where it computes in less: coordinates need more than 8 bits."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness and moves of every map."""
        objectness, moves = super().forward(x)
        return [part.float() for part in objectness], [part.float() for part in moves]


@final
class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no types
    """torchvision's; it learns where parts of the views are unknown, too, and tells its losses whenever it is given labels.

    Attributes:
        smooth: Up to where errors of moves count by their square; 0 for plain L1.
        inside: Whether anchors that reach over the border of the view, without what fills it up, are not learnt from.
        shared: In training a batch keeps so many proposals times its views, the surest of all of them, of one view perhaps
            more than of another; None for as many as there are of each.
    """

    smooth: float = 1 / 9
    inside: bool = False
    shared: int | None = None

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
        objectness, moves = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        many = [part[0].numel() for part in objectness]
        objectness, moves = concat_box_prediction_layers(objectness, moves)
        boxes = self.box_coder.decode(moves.detach(), anchors).view(len(anchors), -1, 4)
        kept, sure = self.filter_proposals(boxes, objectness, images.image_sizes, many)
        if self.training and self.shared is not None:
            kept = surest(kept, sure, self.shared * len(kept))
        if targets is None:
            return kept, {}
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        for label, own, target, size in zip(labels, anchors, targets, images.image_sizes, strict=True):
            if self.inside:
                label[~within(own, size)] = -1
            if "ignored" in target:
                label[(label == 0) & (share_within(own, target["ignored"]) > 0.5)] = -1
        if not any(bool((label >= 0).any()) for label in labels):  # nothing is known; a mean over nothing is no number
            return kept, {"loss_objectness": objectness.sum() * 0, "loss_rpn_box_reg": moves.sum() * 0}
        wanted = self.box_coder.encode(matched, anchors)
        told, moved = self.compute_loss(objectness, moves, labels, wanted)
        return kept, {"loss_objectness": told, "loss_rpn_box_reg": moved}

    def compute_loss(
        self, objectness: Float[Tensor, "n 1"], moves: Float[Tensor, "n 4"], labels: list[Tensor], wanted: Sequence[Tensor]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Of anchors that chance draws, for each: cross-entropy of being a person's, and smooth L1 of people's moves.

        Args:
            objectness: Of all anchors of all views.
            moves: The same.
            labels: Of each view's anchors: 1 a person's, 0 nobody's, -1 not learnt from.
            wanted: Of each view's anchors, the moves to the person's box.
        """
        people, nobodys = (torch.where(torch.cat(part))[0] for part in self.fg_bg_sampler(labels))
        drawn = torch.cat((people, nobodys))
        told = functional.binary_cross_entropy_with_logits(objectness.flatten()[drawn], torch.cat(labels)[drawn])
        errors = functional.smooth_l1_loss(moves[people], torch.cat(list(wanted))[people], beta=self.smooth, reduction="sum")
        return told, errors / len(drawn)


def surest(boxes: list[Float[Tensor, "_ 4"]], score: list[Float[Tensor, " _"]], most: int) -> list[Float[Tensor, "_ 4"]]:
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


def within(boxes: Float[Tensor, "n 4"], size: Size) -> Bool[Tensor, " n"]:
    """Which boxes x0 y0 x1 y1 nowhere reach over the border of a view of `size` (h, w)."""
    return (boxes[:, :2] >= 0).all(dim=1) & (boxes[:, 2:] <= boxes.new_tensor((size[1], size[0]))).all(dim=1)


def summed(region: Bool[Tensor, "h w"]) -> Float[Tensor, "hh ww"]:
    """How many pixels of a region lie above and left of every corner between pixels; one more row and column than pixels."""
    return functional.pad(region.double().cumsum(0).cumsum(1), (1, 0, 1, 0))


def share_within(boxes: Float[Tensor, "n 4"], sums: Float[Tensor, "hh ww"]) -> Float[Tensor, " n"]:
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


def proposals(
    channels: int,
    anchors: Anchors,
    *,
    kept: tuple[int, int] = (2000, 1000),
    looked: tuple[int, int] | None = None,
    smooth: float = 1 / 9,
    inside: bool = False,
    shared: int | None = None,
) -> ProposalNetwork:
    """The network as all releases configure it, but for what is an argument: there they differ.

    An anchor is a person's from an overlap of 0.7 on, nobody's below 0.3; 256 of each image are learnt from, half of them
    people's where there are as many; overlaps above 0.7 are suppressed.

    Args:
        channels: Of each map.
        anchors: Of all maps, as many in each cell of each.
        kept: How many of an image are kept: in training, in testing.
        looked: How many of each map are looked at, the surest: in training, in testing. As many by default.
        smooth: Up to where errors of moves count by their square.
        inside: Whether only anchors inside the image are learnt from.
        shared: How many are kept in training for each image of a batch, the surest of all of it; None for no such limit.
    """
    network = ProposalNetwork(
        anchors,  # typed as torchvision's own generator, of which only the call is used
        ExactHead(channels, anchors.per_cell[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), looked or kept, strict=True)),
        post_nms_top_n=dict(zip(("training", "testing"), kept, strict=True)),
        nms_thresh=0.7,
    )
    network.smooth, network.inside, network.shared = smooth, inside, shared
    return network
