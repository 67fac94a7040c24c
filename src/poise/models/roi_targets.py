"""Which proposals of a detector are whose, and what its heads should have answered for them.

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
"""Box deltas: of the middle in tenths of the sides, of the sides as logarithms in fifths."""

BACKGROUND, IGNORED = -1, -2


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """Who is in one view.

    Attributes:
        boxes: x0 y0 x1 y1, as far as they are in the view.
        row: Of each, its place among the people of all views.
    """

    boxes: Float[Tensor, "n 4"]
    row: Int64[Tensor, " n"]


@final
@dataclass(frozen=True, eq=False)
class RoIs:
    """Proposals of all views that the heads learn from.

    Attributes:
        boxes: Of each view.
        person: Of all of them: whose it is, a place among the people of all views, or nobody's, -1.
        truth: Of all of them: where the person's box is; that of the proposal where it is nobody's.
    """

    boxes: list[Float[Tensor, "_ 4"]]
    person: Int64[Tensor, " n"]
    truth: Float[Tensor, "n 4"]

    @property
    def positives(self) -> "RoIs":
        """Those that are somebody's."""
        return self.select(self.person >= 0)

    def select(self, some: Bool[Tensor, " n"]) -> "RoIs":
        """The proposals of a mask."""
        views = torch.split(some, [len(own) for own in self.boxes])
        boxes = [own[rows] for own, rows in zip(self.boxes, views, strict=True)]
        return RoIs(boxes, self.person[some], self.truth[some])

    def at_most(self, most: int | None) -> "RoIs":
        """At most so many of each view, drawn by chance; all of them for None."""
        if most is None:
            return self
        return self.select(torch.cat([_drawn(own, most) for own in self.boxes]))


def _drawn(boxes: Float[Tensor, "n 4"], most: int) -> Bool[Tensor, " n"]:
    return torch.randperm(len(boxes), device=boxes.device) < most


def view_truths(scenes: Scenes, sizes: list[Size]) -> list[Truth]:
    """The people of each view whose box is in it; with at least a pixel both ways.

    Args:
        scenes: Who is there.
        sizes: Where each view ends (h, w).
    """
    found = []
    for view, size in enumerate(sizes):
        row = torch.where(scenes.scene == view)[0]
        boxes = clip_boxes_to_image(scenes.boxes[row].float(), size)
        large = (boxes[:, 2:] - boxes[:, :2] >= 1).all(dim=1)
        found.append(Truth(boxes[large], row[large]))
    return found


def sampled_rois(
    proposals: list[Float[Tensor, "_ 4"]], labelled: list[Truth], learning: Learning, *, ignored: list[Tensor] | None = None
) -> RoIs:
    """Match the proposals of each view with its people and draw those that are learnt from.

    A proposal that overlaps a labelled person enough is that person's, wherever it lies; nobody's proposals in ignored regions
    are left out.

    Args:
        proposals: Of each view; labelled boxes are among them where they should be.
        labelled: Who is in each view.
        learning: How many are drawn, and what is enough.
        ignored: Where nothing is to be learnt (`nn.heads.rpn.integral_image`), of each view.
    """
    whose = [
        _matched(boxes, truth, learning, None if ignored is None else ignored[view])
        for view, (boxes, truth) in enumerate(zip(proposals, labelled, strict=True))
    ]
    sampler = BalancedPositiveNegativeSampler(learning.per_image, learning.positive)
    positive, negative = sampler([torch.where(own == IGNORED, -1, (own >= 0).long()) for own in whose])
    drawn = [torch.where(some | others)[0] for some, others in zip(positive, negative, strict=True)]
    boxes = [own[rows] for own, rows in zip(proposals, drawn, strict=True)]
    person = [own[rows] for own, rows in zip(whose, drawn, strict=True)]
    truth = [
        torch.cat((known.boxes, box))[torch.where(own >= 0, own, len(known.boxes) + torch.arange(len(own), device=own.device))]
        for known, box, own in zip(labelled, boxes, person, strict=True)
    ]
    nobody = person[0].new_full((1,), BACKGROUND)  # what -1 leads to
    rows = [torch.cat((known.row, nobody))[own] for known, own in zip(labelled, person, strict=True)]
    return RoIs(boxes, torch.cat(rows), torch.cat(truth))


def _matched(boxes: Float[Tensor, "m 4"], truth: Truth, learning: Learning, ignored: Tensor | None) -> Int64[Tensor, " m"]:
    """Which of a view's people each proposal is; nobody (-1); or unknown (-2)."""
    whose = torch.full((len(boxes),), BACKGROUND, device=boxes.device)
    if len(truth.boxes) and len(boxes):
        overlap, best = box_iou(truth.boxes, boxes).max(dim=0)
        whose = torch.where(overlap >= learning.overlap, best, whose)
    if ignored is not None:
        hidden = share_in_region(boxes, ignored) > learning.ignored
        whose = torch.where((whose == BACKGROUND) & hidden, IGNORED, whose)
    return whose


def box_losses(
    logits: Float[Tensor, "n c"], deltas: Float[Tensor, "n c4"], rois: RoIs, *, person: int, smooth: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Of the box head: cross-entropy of the classes, and smooth L1 of the deltas of people's proposals, both for each proposal.

    Args:
        logits: Of the classes.
        deltas: Four for each class.
        rois: What was asked.
        person: The class of people.
        smooth: Up to where errors count by their square.
    """
    own = rois.person >= 0
    many = max(len(own), 1)
    cls_loss = F.cross_entropy(logits, own.long() * person, reduction="sum") / many
    wanted = CODER.encode_single(rois.truth[own], torch.cat(rois.boxes)[own])
    found = deltas.view(len(deltas), deltas.shape[1] // 4, 4)[own, person]
    box_loss = F.smooth_l1_loss(found, wanted, beta=smooth, reduction="sum") / many
    return cls_loss, box_loss


def apply_deltas(boxes: list[Float[Tensor, "_ 4"]], deltas: Float[Tensor, "m c4"], person: int) -> Float[Tensor, "m 4"]:
    """Proposals of all views with the box head's deltas of the class of people applied."""
    found: Tensor = CODER.decode_single(deltas, torch.cat(boxes))
    return found.view(len(deltas), deltas.shape[1] // 4, 4)[:, person]


def jittered_like_detector(
    found: Float[Tensor, "m 4"], theirs: Float[Tensor, "m 4"], labelled: list[Truth], copies: int
) -> list[Float[Tensor, "_ 4"]]:
    """Copies of labelled boxes, each off as some box of the detector is off its person's (APDI).

    APDI (augmenting proposals by the detector itself) is known to us from a practitioner's list of tricks for Keypoint R-CNN,
    without a paper; this is our reading of its name. The heads see boxes as the detector will give them, more of them than it
    finds, and on people that it does not find yet.

    Args:
        found: Boxes that the detector found for people of all views.
        theirs: The labelled boxes of those people.
        labelled: Who is in each view.
        copies: Of each labelled box; none where the detector has found nobody yet.
    """
    if not len(found) or not copies:
        return [known.boxes[:0] for known in labelled]
    off = CODER.encode_single(found, theirs)
    made = []
    for known in labelled:
        boxes = known.boxes.repeat(copies, 1)
        some = off[torch.randint(len(off), (len(boxes),), device=off.device)]
        made.append(CODER.decode_single(some, boxes))
    return made
