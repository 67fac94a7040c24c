"""What BlazePose's detector found: decoded from its anchors, joined by weighted NMS, brought into the image.

Facts: MediaPipe's calculators for tensors, non-maximum suppression and letterbox removal, version 0.10.21.
"""

from dataclasses import dataclass, fields
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size

MIN_SCORE = 0.5
"""Score from which an anchor counts as a detection."""

MAX_LOGIT = 100.0
"""Logits are clipped to this before the sigmoid."""

MAX_OVERLAP = 0.3
"""IoU with the best detection above which another is joined with it."""


@final
@dataclass(frozen=True, eq=False)
class BlazeDetections:
    """People that the detector found.

    Attributes:
        boxes: x0, y0, width, height around the head and shoulders, as shares of the width and height.
        keypoints: x, y as shares: middle of the hips, a point whose distance from it is the radius of a circle around the body,
            middle of the shoulders, the same for the upper body.
        score: Confidence, 0 to 1.
    """

    boxes: Float[Tensor, "n 4"]
    keypoints: Float[Tensor, "n 4 2"]
    score: Float[Tensor, " n"]

    def __len__(self) -> int:
        """Number of detections, n."""
        return len(self.score)

    def __getitem__(self, index: Bool[Tensor, " n"] | Int64[Tensor, " m"] | slice) -> "BlazeDetections":
        """Some of the detections."""
        return BlazeDetections(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def decode_boxes(
    numbers: Float[Tensor, "n 12"],
    logits: Float[Tensor, "n 1"],
    anchors: Float[Tensor, "n 2"],
    *,
    side: int,
    min_score: float = MIN_SCORE,
) -> BlazeDetections:
    """The anchors at which there is somebody, in the order of the anchors; shares of the view.

    Sizes and positions are the network's numbers divided by the side of the view, without an exponential function.

    Args:
        numbers: x, y, width, height of the box and x, y of four keypoints, pixels of the view from the anchor's centre.
        logits: Of the scores.
        anchors: Centres (x, y), shares of the view.
        side: Of the view, pixels.
        min_score: Lowest score.
    """
    score = logits[:, 0].clamp(-MAX_LOGIT, MAX_LOGIT).sigmoid()
    shares = numbers / side
    points = shares.view(-1, 6, 2)
    centres, keypoints, extent = points[:, 0] + anchors, points[:, 2:] + anchors[:, None], points[:, 1]
    good = (score >= min_score) & (extent >= 0).all(dim=1)
    return BlazeDetections(torch.cat((centres - extent / 2, extent), dim=1), keypoints, score)[good]


def weighted_nms(found: BlazeDetections, max_overlap: float = MAX_OVERLAP) -> BlazeDetections:
    """One detection for each person, the best first.

    Those that overlap the best one become one detection with it: boxes and keypoints are means weighted by the scores, the
    score is the best one's. The same is done with what is left.

    Args:
        found: Of `decode_boxes`.
        max_overlap: IoU above which detections are of one person.
    """
    rest = found[found.score.argsort(descending=True, stable=True)]
    joined = []
    while len(rest):
        same = _overlap(rest.boxes) > max_overlap
        joined.append(_mean(rest[same], rest.score[:1]) if bool(same.any()) else rest[:1])
        if not bool(same.any()):  # a box without extent does not even overlap itself, and the release stops there
            break
        rest = rest[~same]
    if not joined:
        return found
    return BlazeDetections(**{f.name: torch.cat([getattr(one, f.name) for one in joined]) for f in fields(found)})


def without_letterbox(found: BlazeDetections, size: Size) -> BlazeDetections:
    """Detections as shares of the image, from shares of the square view that it lies in the middle of.

    Args:
        found: In shares of the view; they may lie outside the image.
        size: Size of the image (h, w), pixels.
    """
    height, width = size
    longer = max(size)
    scale = found.boxes.new_tensor((width / longer, height / longer))
    padding = (1 - scale) / 2
    corner, extent = (found.boxes[:, :2] - padding) / scale, found.boxes[:, 2:] / scale
    return BlazeDetections(torch.cat((corner, extent), dim=1), (found.keypoints - padding) / scale, found.score)


def _overlap(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """IoU of each box with the first; 0 where neither has an extent."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    common = (torch.minimum(high, high[:1]) - torch.maximum(low, low[:1])).clamp(min=0).prod(dim=1)
    area = boxes[:, 2:].prod(dim=1)
    whole = area + area[0] - common
    return torch.where(whole > 0, common / whole, 0.0)


def _mean(found: BlazeDetections, score: Float[Tensor, " 1"]) -> BlazeDetections:
    weight = found.score / found.score.sum()
    low, high = found.boxes[:, :2], found.boxes[:, :2] + found.boxes[:, 2:]
    corner, other = weight @ low, weight @ high
    keypoints = (weight[:, None, None] * found.keypoints).sum(dim=0)
    return BlazeDetections(torch.cat((corner, other - corner))[None], keypoints[None], score)
