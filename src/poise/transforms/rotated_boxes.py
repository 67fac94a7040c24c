"""Boxes of people through a warp that turns: an upright box around the turned one is too large, for nobody fills its corners.

Measured on 280 drawn people of scenes (`data/figures`), as the IoU with the box around their turned silhouette, mean over turns
of 15 to 60 degrees:

| box around                                              | IoU  |
|---------------------------------------------------------|------|
| the turned corners (`corners_through`)                  | 0.65 |
| the turned ellipse that fills the box, and keypoints     | 0.81 |
| keypoints, each as wide as the box stands off them, and where the box is touched | 0.90 |

Where half of the keypoints are labelled the ellipse is as good as the last, where fewer are it is better. Turns of whole right
angles are exact in all of them.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.errors import unknown
from poise.geometry import Boxes, Warp, apply, boxes_around
from poise.transforms.person_crop import warp_boxes as corners_through

BoxRule = Literal["body", "corners"]
"""`body`: as tight as keypoints and the shape of people allow. `corners`: nothing of the turned box is outside of it."""

MIN_LABELLED = 0.6
"""Share of the keypoints that must be labelled for a body to be made of them alone."""


def check_box_rule(rule: str) -> None:
    """Refuse a word that is no `BoxRule`.

    Raises:
        UnknownName: It is none.
    """
    if rule not in get_args(BoxRule):
        raise unknown("way to turn boxes", rule, get_args(BoxRule))


def rotated_boxes(
    warp: Warp, boxes: Boxes, xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], *, rule: BoxRule
) -> Boxes:
    """Where people's boxes are after a warp.

    Args:
        warp: Of keypoints and boxes.
        boxes: x0 y0 x1 y1 before it.
        xy: Keypoints before it.
        visible: 0 where one is not labelled.
        rule: How tight.
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
    """Around the ellipse that fills the box, and around labelled keypoints."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = (half.square() @ warp[:2, :2].to(half).square().T).sqrt()
    there = apply(warp, middle)
    return _union(torch.cat((there - reach, there + reach), dim=1), boxes_around(apply(warp, xy), known), known)


def _body(warp: Warp, boxes: Boxes, xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Boxes:
    """Around discs on the keypoints, as wide as the box stands off them, and where the outermost keypoints touch the box."""
    around = boxes_around(xy, known)
    margin = torch.cat((around[:, :2] - boxes[:, :2], boxes[:, 2:] - around[:, 2:]), dim=1).mean(dim=1).clamp(min=0)
    reach = margin[:, None] * warp[:2, :2].to(boxes).norm(dim=1)
    near = boxes_around(apply(warp, xy), known)
    discs = torch.cat((near[:, :2] - reach, near[:, 2:] + reach), dim=1)
    touching = boxes_around(apply(warp, _touching(boxes, xy, known)), known[:, :1].new_ones(len(boxes), 4))
    return _union(discs, touching, known)


def _touching(boxes: Boxes, xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Float[Tensor, "n 4 2"]:
    """One point on each side of the box, beside the keypoint that is next to that side."""
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
    """Around both; the first alone where nothing is known."""
    both = torch.cat((torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:])), dim=1)
    return torch.where(known.any(dim=1)[:, None], both, one)
