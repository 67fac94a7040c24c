"""Pseudo-labels of neighbouring frames made consistent by optical flow (CC-SSL, arXiv 1912.08265, section 3.2).

A keypoint that the previous frame was surer of is taken from there, moved by the flow, with a little less confidence.
"""

from dataclasses import dataclass, replace
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.ops import box_iou

from poise.adaptation.consensus import Consensus
from poise.adaptation.target import Target
from poise.data.frames import previous_images
from poise.errors import ImageError
from poise.geometry import Warp, apply, invert, scaling, translation
from poise.transforms.render import resample

DECAY = 0.9
"""Factor on a confidence that is carried to the next frame; a keypoint is carried where its own is below that."""

FAR = 15
"""Pixels of a 256-pixel view beyond which the flow of a keypoint is not believed."""

SIDE = 256
WINDOW, LEVELS = (15, 15), 2
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
_SAME = 0.3  # IoU of two boxes of one animal in neighbouring frames


@final
@dataclass(frozen=True, eq=False)
class Carried:
    """Keypoints of a frame after the look at the one before.

    Attributes:
        xy: Positions.
        score: Confidences.
        previous: Confidences of the frame before, which the release sets to 0 where the flow is far.
    """

    xy: Float[Tensor, "k 2"]
    score: Float[Tensor, " k"]
    previous: Float[Tensor, " k"]


def carry(
    xy: Float[Tensor, "k 2"],
    score: Float[Tensor, " k"],
    *,
    previous: Float[Tensor, "k 2"],
    confidence: Float[Tensor, " k"],
    flow: Float[Tensor, "k 2"],
    far: float = FAR,
) -> Carried:
    """Keypoints of a frame, each where the flow carries that of the frame before if that one was surer (golden c01).

    Args:
        xy: Positions in this frame.
        score: Their confidences.
        previous: Positions in the frame before.
        confidence: Their confidences.
        flow: Where the flow carries these positions to; nan where it is lost.
        far: Distance beyond which the flow is not believed.
    """
    known = torch.where((flow - previous).norm(dim=-1) <= far, confidence, 0)
    taken = (known > 0) & (score < DECAY * known)
    return Carried(torch.where(taken[:, None], flow, xy), torch.where(taken, DECAY * known, score), known)


def flow_of(
    before: UInt8[np.ndarray, "h w 3"], after: UInt8[np.ndarray, "h w 3"], xy: Float[Tensor, "k 2"]
) -> Float[Tensor, "k 2"]:
    """Where points of one view are in the next one: Lucas-Kanade, windows of 15 x 15, 2 levels of a pyramid; nan if lost.

    Args:
        before: RGB.
        after: RGB, of the same size.
        xy: Positions in `before`, pixels.
    """
    first, second = (cv2.cvtColor(view, cv2.COLOR_RGB2GRAY) for view in (before, after))
    points = xy.float().numpy().reshape(-1, 1, 2)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, np.zeros_like(points), winSize=WINDOW, maxLevel=LEVELS, criteria=_STOP
    )
    return torch.from_numpy(np.where(found.reshape(-1, 1) > 0, moved.reshape(-1, 2), np.nan)).float()


def follow(consensus: Consensus, target: Target, *, extent: Float[Tensor, " n"], published: bool = False) -> Consensus:
    """Pseudo-labels carried along each sequence, from its first frame to its last.

    Args:
        consensus: What the views of each person agree on, in the order of `Target.people`.
        target: Images and boxes; frames of a sequence are neighbours, photos are left alone.
        extent: Longer side of the view of each person, pixels of the image.
        published: As the release: the frame before is the previous image of the data set, also that of another sequence, each
            frame is looked at in its own view, and a confidence that the flow lost is forgotten for the frame before, too.
    """
    xy, score = consensus.xy.clone(), consensus.score.clone()
    people = target.people()
    rows: dict[int, list[int]] = {}
    for row, (image, _) in enumerate(people):
        rows.setdefault(image, []).append(row)
    before = [i - 1 if i else None for i in range(len(target))] if published else previous_images(target)
    boxes = torch.stack([target.labels(i).boxes[person] for i, person in people])
    for image in _in_order(target, published=published):
        earlier = before[image]
        if earlier is None or image not in rows or earlier not in rows:
            continue
        for row in rows[image]:
            other = _same(boxes[row], boxes[rows[earlier]], published=published)
            if other is None:
                continue
            old = rows[earlier][other]
            warps = tuple(_view_warp(boxes[r], float(extent[r])) for r in ((old, row) if published else (row, row)))
            found = _carried(target, (earlier, image), warps, (xy[old], score[old]), (xy[row], score[row]))
            if found is not None:
                xy[row], score[row] = found.xy, found.score
                if published:
                    score[old] = found.previous
    return replace(consensus, xy=xy, score=score)


def _carried(
    target: Target,
    images: tuple[int, int],
    warps: tuple[Warp, ...],
    old: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
) -> Carried | None:
    """The keypoints of a person carried from the frame before, pixels of the image; None where an image cannot be read."""
    try:
        views = [resample(target.image(i), warp, (SIDE, SIDE)) for i, warp in zip(images, warps, strict=True)]
    except ImageError:
        return None
    previous, here = (apply(warp, xy.double()).float() for warp, xy in zip(warps, (old[0], new[0]), strict=True))
    flow = flow_of(views[0], views[1], previous)
    found = carry(here, new[1], previous=previous, confidence=old[1], flow=flow)
    return replace(found, xy=apply(invert(warps[1]), found.xy.double()).float())


def _view_warp(box: Float[Tensor, "4"], extent: float) -> Warp:
    """Image pixels to those of a square view of 256 around the middle of a box."""
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    return translation(SIDE / 2, SIDE / 2) @ scaling(SIDE / extent, SIDE / extent) @ translation(-x, -y)


def _same(box: Float[Tensor, "4"], others: Float[Tensor, "n 4"], *, published: bool) -> int | None:
    """Which of the boxes of the frame before is of the same animal; None where none overlaps enough."""
    overlap = box_iou(box[None], others)[0]
    best = int(overlap.argmax())
    return best if published or float(overlap[best]) >= _SAME else None


def _in_order(target: Target, *, published: bool) -> list[int]:
    """The images, each after the one before it in its sequence."""
    if published:
        return list(range(len(target)))
    return sorted(range(len(target)), key=lambda i: (target.sequence(i) or "", target.key(i).frame or 0))
