"""Removing doubles: the rule all suppressions share, boxes that overlap, poses whose keypoints lie on one another."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def box_iou(first: Float[Tensor, "m 4"], second: Float[Tensor, "n 4"], *, pixel: float = 0.0) -> Float[Tensor, "m n"]:
    """Intersection over union of boxes x0 y0 x1 y1, float64; 0 where both have no size.

    Args:
        first: Boxes.
        second: Boxes.
        pixel: What is added to every width and height: 1 where corners are whole pixels that belong to the box, as in the
            VOC devkit and in HRNet's release.
    """
    a, b = first.double()[:, None], second.double()[None]
    inside = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2]) + pixel).clamp(min=0).prod(dim=-1)
    whole = sum((box[..., 2:] - box[..., :2] + pixel).prod(dim=-1) for box in (a, b)) - inside
    return torch.where(whole > 0, inside / whole, torch.zeros_like(inside))


def box_nms(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], threshold: float, *, pixel: float = 0.0
) -> Int64[Tensor, " m"]:
    """The rows of the boxes that stay, best first: of two that overlap by more than `threshold` the one of higher score.

    Args:
        boxes: x0 y0 x1 y1.
        score: Of each box; of equal ones the last counts first, as in the releases.
        threshold: An intersection over union.
        pixel: As in `box_iou`.
    """
    return greedy_nms((box_iou(boxes, boxes, pixel=pixel) > threshold).numpy(), score)


def soft_box_nms(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], *, sigma: float = 0.5, min_score: float = 0.0, max_count: int = 100
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """The rows of at most `max_count` boxes, best first, and their scores: every box taken lowers those it overlaps.

    A score is multiplied by exp(-iou^2 / sigma) (Soft-NMS, arXiv 1704.04503, equation 3).

    Args:
        boxes: x0 y0 x1 y1.
        score: Of each box; of equal ones the first counts first.
        sigma: How fast scores fall with the overlap.
        min_score: Boxes whose score is not above it, or falls to it, go.
        max_count: How many may stay.
    """
    overlap = box_iou(boxes, boxes).numpy()
    left = score.double().numpy().copy()
    left[left <= min_score] = -np.inf
    rows: list[int] = []
    scores: list[float] = []
    while len(rows) < max_count and len(left) and left.max() > min_score:
        best = int(left.argmax())
        rows.append(best)
        scores.append(float(left[best]))
        left *= np.exp(-(overlap[best] ** 2) / sigma)
        left[best] = -np.inf
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(scores, dtype=score.dtype)


def nearby_nms(
    xy: Float[Tensor, "n k 2"],
    score: Float[Tensor, " n"],
    *,
    distance: float = 0.05,
    min_shared: int | None = None,
    max_count: int = 30,
) -> Int64[Tensor, " m"]:
    """The rows of the poses that stay, best first, where poses share more than `min_shared` keypoints (DEKR, arXiv 2104.02300).

    In the order of their scores, every pose that no other has been taken for is taken together with all it shares keypoints
    with; the best of these stays.

    Args:
        xy: Poses of one image, pixels.
        score: Of each.
        distance: Two keypoints are one if nearer than this share of the diagonal around the first pose.
        min_shared: Keypoints; half of them by default.
        max_count: How many poses may stay; below 1 all may.
    """
    if not len(xy):
        return torch.zeros(0, dtype=torch.int64)
    points, scores = xy.double(), score.double().numpy()
    extent = (points.amax(dim=1) - points.amin(dim=1)).norm(dim=-1)
    gap = (points[:, None] - points[None]).norm(dim=-1)
    shared = (gap < distance * extent[:, None, None]).sum(dim=-1)
    near = (shared > (xy.shape[1] // 2 if min_shared is None else min_shared)).numpy()
    gone: set[int] = set()
    kept: list[int] = []
    for row in np.argsort(scores)[::-1].tolist():
        if row in gone:
            continue
        around = np.flatnonzero(near[row])
        if not len(around):  # a pose without extent is not even near itself
            around = np.array([row])
        best = int(around[scores[around].argmax()])
        if best not in gone:
            kept.append(best)
            gone.update(around.tolist())
    chosen = sorted(kept, key=lambda row: -scores[row])
    return torch.tensor(chosen[:max_count] if max_count > 0 else chosen, dtype=torch.int64)


def greedy_nms(near: Bool[np.ndarray, "n n"], score: Float[Tensor, " n"]) -> Int64[Tensor, " m"]:
    """The rows that stay, best first, where each taken row removes all that are near it.

    Args:
        near: Whether a row removes another.
        score: Of each row; of equal ones the last comes first, as in the releases.
    """
    gone = np.zeros(len(near), dtype=bool)
    kept: list[int] = []
    for row in np.argsort(score.numpy(), kind="stable")[::-1].tolist():
        if not gone[row]:
            kept.append(row)
            gone |= near[row]
    return torch.tensor(kept, dtype=torch.int64)
