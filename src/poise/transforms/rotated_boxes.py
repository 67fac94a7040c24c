"""Boxes of people under a warp that rotates.

The upright box around a rotated box is too large, because people do not fill its corners. Measured on 280 drawn people of
scenes (`data/figures`), as the mean IoU with the box around their rotated silhouette, over rotations of 15 to 60 degrees:

| box around                                              | IoU  |
|---------------------------------------------------------|------|
| the rotated corners (`person_crop.warp_boxes`)           | 0.65 |
| the rotated ellipse inscribed in the box, and keypoints  | 0.81 |
| keypoints, each a disc as wide as the box's margin, and the points where the box is touched | 0.90 |

If half of the keypoints are labelled the ellipse is as good as the last, if fewer are it is better. Rotations by multiples of
90 degrees are exact in all of them.

The warp may also be the one that turns a frame upright (`crop.Frame.upright_warp`), for crops along a person's axis.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.errors import unknown
from poise.geometry import Boxes, Warp, apply, boxes_around
from poise.transforms.person_crop import warp_boxes as corners_through

BoxRule = Literal["body", "corners"]
"""`body`: as tight as keypoints and the shape of people allow. `corners`: contains the whole rotated box."""

MIN_LABELLED = 0.6
"""Share of the keypoints that must be labelled for a box to be made from keypoints alone."""


def check_box_rule(rule: str) -> None:
    """Refuse a name that is no `BoxRule`.

    Raises:
        UnknownName: It is none.
    """
    if rule not in get_args(BoxRule):
        raise unknown("way to turn boxes", rule, get_args(BoxRule))


def rotated_boxes(
    warp: Warp, boxes: Boxes, xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], *, rule: BoxRule
) -> Boxes:
    """Upright boxes x0 y0 x1 y1 of people after a warp.

    Args:
        warp: 3x3, for keypoints and boxes.
        boxes: Boxes x0 y0 x1 y1 before the warp.
        xy: Keypoints before the warp.
        visible: 0 where a keypoint is not labelled.
        rule: Rule for the tightness of the boxes.
    """
    outer = corners_through(warp, boxes)
    if rule == "corners" or len(boxes) == 0:
        return outer
    known = visible > 0
    xy = torch.minimum(torch.maximum(xy, boxes[:, None, :2]), boxes[:, None, 2:])  # what is outside says nothing of the box
    many = known.float().mean(dim=1) >= MIN_LABELLED
    inner = torch.where(many[:, None], _body(warp, boxes, xy, known), _ellipse(warp, boxes, xy, known))
    return torch.cat((torch.maximum(inner[:, :2], outer[:, :2]), torch.minimum(inner[:, 2:], outer[:, 2:])), dim=1)


def _ellipse(warp: Warp, boxes: Boxes, xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Boxes:
    """Boxes around the warped ellipse inscribed in each box, and around its labelled keypoints."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = (half.square() @ warp[:2, :2].to(half).square().T).sqrt()
    there = apply(warp, middle)
    return _union(torch.cat((there - reach, there + reach), dim=1), boxes_around(apply(warp, xy), known), known)


def _body(warp: Warp, boxes: Boxes, xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Boxes:
    """Boxes around discs on the keypoints, as wide as the box's margin, and around the points where the box is touched."""
    around = boxes_around(xy, known)
    margin = torch.cat((around[:, :2] - boxes[:, :2], boxes[:, 2:] - around[:, 2:]), dim=1).mean(dim=1).clamp(min=0)
    reach = margin[:, None] * warp[:2, :2].to(boxes).norm(dim=1)
    near = boxes_around(apply(warp, xy), known)
    discs = torch.cat((near[:, :2] - reach, near[:, 2:] + reach), dim=1)
    touching = boxes_around(apply(warp, _touching(boxes, xy, known)), known[:, :1].new_ones(len(boxes), 4))
    return _union(discs, touching, known)


def _touching(boxes: Boxes, xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Float[Tensor, "n 4 2"]:
    """One point on each side of each box, level with the labelled keypoint nearest to that side."""
    rows = torch.arange(len(boxes))
    x, y = xy.unbind(-1)
    low, high = xy.masked_fill(~known[..., None], torch.inf), xy.masked_fill(~known[..., None], -torch.inf)
    left, top = low.argmin(dim=1).T
    right, bottom = high.argmax(dim=1).T
    sides = (
        torch.stack((boxes[:, 0], y[rows, left]), dim=1),
        torch.stack((x[rows, top], boxes[:, 1]), dim=1),
        torch.stack((boxes[:, 2], y[rows, right]), dim=1),
        torch.stack((x[rows, bottom], boxes[:, 3]), dim=1),
    )
    return torch.stack(sides, dim=1)


def _union(one: Boxes, other: Boxes, known: Bool[Tensor, "n k"]) -> Boxes:
    """The smallest box around both; the first alone where no keypoint is labelled."""
    both = torch.cat((torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:])), dim=1)
    return torch.where(known.any(dim=1)[:, None], both, one)
