"""Matching and sampling of proposals, and the losses of the box head.

Matching, sampling and the losses of boxes are those of Faster R-CNN (arXiv 1506.01497, section 3.1.2, and Fast R-CNN, arXiv
1504.08083, section 2.3), as torchvision counts them.
"""

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder
from torchvision.ops import box_iou, clip_boxes_to_image

from poise.dims import Size
from poise.models.rcnn_config import Learning
from poise.nn.heads.rpn import share_in_region
from poise.scenes import Scenes

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
"""Box deltas: shift of the centre in tenths of the sides, logarithm of the ratio of the sides in fifths."""

BACKGROUND, IGNORED = -1, -2
"""Match of a proposal that overlaps no labelled box enough; of such a one that lies in an ignored region."""


@final
@dataclass(frozen=True, eq=False)
class ViewTruth:
    """The labelled boxes of one view.

    Attributes:
        boxes: x0 y0 x1 y1, pixels of the view, clipped to it.
        index: Index of each box's person among the people of all views.
    """

    boxes: Float[Tensor, "n 4"]
    index: Int64[Tensor, " n"]


@final
@dataclass(frozen=True, eq=False)
class RoIs:
    """Proposals of all views that the heads learn from.

    Attributes:
        boxes: Boxes of each view, x0 y0 x1 y1.
        person: For each box of all views the index of its person among the people of all views; -1 for background.
        truth: For each box of all views the labelled box of its person; for background the box itself.
    """

    boxes: list[Float[Tensor, "_ 4"]]
    person: Int64[Tensor, " n"]
    truth: Float[Tensor, "n 4"]

    @property
    def positives(self) -> "RoIs":
        """The proposals that are matched with a person."""
        return self.select(self.person >= 0)

    def select(self, some: Bool[Tensor, " n"]) -> "RoIs":
        """The proposals of a mask."""
        views = torch.split(some, [len(own) for own in self.boxes])
        boxes = [own[mask] for own, mask in zip(self.boxes, views, strict=True)]
        return RoIs(boxes, self.person[some], self.truth[some])

    def at_most(self, max_count: int | None) -> "RoIs":
        """At most `max_count` random proposals of each view; all for None."""
        if max_count is None:
            return self
        return self.select(torch.cat([_drawn(own, max_count) for own in self.boxes]))


def _drawn(boxes: Float[Tensor, "n 4"], max_count: int) -> Bool[Tensor, " n"]:
    return torch.randperm(len(boxes), device=boxes.device) < max_count


def view_truths(scenes: Scenes, sizes: list[Size]) -> list[ViewTruth]:
    """The labelled boxes of each view, clipped to it; boxes of less than a pixel either way are left out.

    Args:
        scenes: Labels of all views.
        sizes: Size of each view without padding (h, w).
    """
    truths = []
    for view, size in enumerate(sizes):
        index = torch.where(scenes.scene == view)[0]
        boxes = clip_boxes_to_image(scenes.boxes[index].float(), size)
        large = (boxes[:, 2:] - boxes[:, :2] >= 1).all(dim=1)
        truths.append(ViewTruth(boxes[large], index[large]))
    return truths


def sampled_rois(
    proposals: list[Float[Tensor, "_ 4"]], labelled: list[ViewTruth], learning: Learning, *, ignored: list[Tensor] | None = None
) -> RoIs:
    """Match the proposals of each view with its labelled boxes and sample those that the heads learn from.

    A proposal with enough IoU is positive wherever it lies; background proposals in ignored regions are left out.

    Args:
        proposals: Boxes of each view, x0 y0 x1 y1.
        labelled: Labelled boxes of each view.
        learning: Numbers, shares and thresholds.
        ignored: Integral image of the ignored regions of each view (`nn.heads.rpn.integral_image`).
    """
    matches = [
        _matched(boxes, truth, learning, None if ignored is None else ignored[view])
        for view, (boxes, truth) in enumerate(zip(proposals, labelled, strict=True))
    ]
    sampler = BalancedPositiveNegativeSampler(learning.per_image, learning.positive)
    positive, negative = sampler([torch.where(own == IGNORED, -1, (own >= 0).long()) for own in matches])
    drawn = [torch.where(own | others)[0] for own, others in zip(positive, negative, strict=True)]
    boxes = [own[kept] for own, kept in zip(proposals, drawn, strict=True)]
    person = [own[kept] for own, kept in zip(matches, drawn, strict=True)]
    truth = [
        torch.cat((known.boxes, box))[torch.where(own >= 0, own, len(known.boxes) + torch.arange(len(own), device=own.device))]
        for known, box, own in zip(labelled, boxes, person, strict=True)
    ]
    background = person[0].new_full((1,), BACKGROUND)  # the last entry, which the index -1 reads
    index = [torch.cat((known.index, background))[own] for known, own in zip(labelled, person, strict=True)]
    return RoIs(boxes, torch.cat(index), torch.cat(truth))


def _matched(boxes: Float[Tensor, "m 4"], truth: ViewTruth, learning: Learning, ignored: Tensor | None) -> Int64[Tensor, " m"]:
    """For each proposal the index of its labelled box among those of the view; BACKGROUND; or IGNORED."""
    match = torch.full((len(boxes),), BACKGROUND, device=boxes.device)
    if len(truth.boxes) and len(boxes):
        overlap, best = box_iou(truth.boxes, boxes).max(dim=0)
        match = torch.where(overlap >= learning.overlap, best, match)
    if ignored is not None:
        hidden = share_in_region(boxes, ignored) > learning.ignored
        match = torch.where((match == BACKGROUND) & hidden, IGNORED, match)
    return match


def box_losses(
    logits: Float[Tensor, "n c"], deltas: Float[Tensor, "n c4"], rois: RoIs, *, person: int, smooth: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Losses of the box head: cross-entropy of the classes, and smooth L1 of the deltas of positives, per proposal.

    Args:
        logits: Class logits (proposals, classes).
        deltas: Box deltas, four for each class (proposals, 4 * classes).
        rois: The proposals with their matches.
        person: Index of the class of people.
        smooth: Beta of smooth L1.
    """
    own = rois.person >= 0
    many = max(len(own), 1)
    cls_loss = F.cross_entropy(logits, own.long() * person, reduction="sum") / many
    target = CODER.encode_single(rois.truth[own], torch.cat(rois.boxes)[own])
    predicted = deltas.view(len(deltas), deltas.shape[1] // 4, 4)[own, person]
    box_loss = F.smooth_l1_loss(predicted, target, beta=smooth, reduction="sum") / many
    return cls_loss, box_loss


def apply_deltas(boxes: list[Float[Tensor, "_ 4"]], deltas: Float[Tensor, "m c4"], person: int) -> Float[Tensor, "m 4"]:
    """Proposals of all views with the deltas of the class of people applied, x0 y0 x1 y1."""
    decoded: Tensor = CODER.decode_single(deltas, torch.cat(boxes))
    return decoded.view(len(deltas), deltas.shape[1] // 4, 4)[:, person]


def jittered_like_detector(
    found: Float[Tensor, "m 4"], theirs: Float[Tensor, "m 4"], labelled: list[ViewTruth], copies: int
) -> list[Float[Tensor, "_ 4"]]:
    """Copies of labelled boxes, each jittered by the error of a random box of the detector (our reading of APDI).

    APDI (augmenting proposals by the detector itself) is known to us from a practitioner's list of tricks for Keypoint R-CNN,
    without a paper; this is our reading of its name. The heads learn from boxes with the errors of the
    detector, more of them than it finds, and also on people that it does not find yet.

    Args:
        found: Boxes that the detector found, of all views.
        theirs: The labelled box of each.
        labelled: Labelled boxes of each view.
        copies: Copies of each labelled box; none while the detector finds no people.
    """
    if not len(found) or not copies:
        return [known.boxes[:0] for known in labelled]
    errors = CODER.encode_single(found, theirs)
    jittered = []
    for known in labelled:
        boxes = known.boxes.repeat(copies, 1)
        drawn = errors[torch.randint(len(errors), (len(boxes),), device=errors.device)]
        jittered.append(CODER.decode_single(drawn, boxes))
    return jittered
