"""Which cells learn which box, and the losses of FCOS (arXiv 1904.01355, sections 3.1 to 3.3, with centre sampling)."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from poise.geometry import box_area
from poise.nn.fcos import Cells
from poise.nn.heads.rpn import share_in_region

RADIUS = 1.5
"""Cells learn a box within so many strides of its middle."""

REACH = (4, 8)
"""A map learns boxes whose farthest side is so many strides from a cell; the finest one all nearer, the coarsest all others."""


def matched(cells: Cells, boxes: Float[Tensor, "m 4"]) -> Int64[Tensor, " n"]:
    """For each cell of a view the index of the box that it learns, the smallest that fits; -1 for none.

    Args:
        cells: The cells of all maps.
        boxes: Labelled boxes x0 y0 x1 y1 of the view.
    """
    if not len(boxes):
        return torch.full((len(cells.squares),), -1, device=cells.squares.device)
    middle, stride = (cells.squares[:, :2] + cells.squares[:, 2:]) / 2, cells.squares[:, 2] - cells.squares[:, 0]
    to_sides = torch.cat((middle[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - middle[:, None]), dim=2)
    off = (middle[:, None] - (boxes[:, :2] + boxes[:, 2:])[None] / 2).abs().amax(dim=2)
    low, high = REACH[0] * stride, REACH[1] * stride
    low[: cells.counts[0]], high[len(high) - cells.counts[-1] :] = 0, torch.inf
    far = to_sides.amax(dim=2)
    fits = (to_sides.amin(dim=2) > 0) & (off < RADIUS * stride[:, None]) & (far > low[:, None]) & (far <= high[:, None])
    area = torch.where(fits, box_area(boxes)[None], torch.inf)
    best, index = area.min(dim=1)
    return torch.where(best.isfinite(), index, -1)


def centerness(squares: Float[Tensor, "n 4"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """How far in the middle of its box each cell is, 0 to 1 (equation 3)."""
    middle = (squares[:, :2] + squares[:, 2:]) / 2
    before, after = middle - boxes[:, :2], boxes[:, 2:] - middle
    ratio = torch.minimum(before, after) / torch.maximum(before, after)
    return ratio.clamp(min=0).prod(dim=1).sqrt()


def fcos_losses(
    cells: Cells, truth: list[Float[Tensor, "_ 4"]], ignored: list[Tensor] | None = None
) -> dict[str, Float[Tensor, ""]]:
    """Losses of classes (focal), boxes (GIoU, weighted by centre-ness) and centre-ness, per positive cell.

    Args:
        cells: What the head says of each view.
        truth: Labelled boxes x0 y0 x1 y1 of each view.
        ignored: Integral image of each view's region that is not trained on (`nn.heads.rpn.integral_image`): cells in it
            are no background.
    """
    which = torch.stack([matched(cells, boxes) for boxes in truth])
    positive = which >= 0
    many = max(int(positive.sum()), 1)
    regions: list[Tensor | None] = [None] * len(which) if ignored is None else [*ignored]
    told = torch.stack([_told(cells, own, region) for own, region in zip(positive, regions, strict=True)])
    focal = sigmoid_focal_loss(cells.logits, positive.to(cells.logits.dtype), reduction="none")
    wanted = torch.cat([boxes[own[own >= 0]] for boxes, own in zip(truth, which, strict=True)])
    middle = centerness(cells.squares.expand(len(which), -1, -1)[positive], wanted)
    giou = generalized_box_iou_loss(cells.boxes()[positive], wanted, reduction="none")
    central = functional.binary_cross_entropy_with_logits(cells.centerness[positive], middle, reduction="sum")
    return {
        "classes": focal[told].sum() / many,
        "boxes": (giou * middle).sum() / middle.sum().clamp(min=1e-6),
        "centerness": central / many,
    }


def _told(cells: Cells, positive: Bool[Tensor, " n"], region: Tensor | None) -> Bool[Tensor, " n"]:
    """The cells of a view whose class is known: not those that lie in an ignored region by more than half."""
    return torch.ones_like(positive) if region is None else positive | (share_in_region(cells.squares, region) <= 0.5)
