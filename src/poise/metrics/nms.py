"""Non-maximum suppression of duplicates: of overlapping boxes, of poses with keypoints near each other."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.decoding.nearby import best_of_nearby


def box_iou(first: Float[Tensor, "m 4"], second: Float[Tensor, "n 4"], *, pixel: float = 0.0) -> Float[Tensor, "m n"]:
    """Intersection over union of boxes, float64; 0 where both boxes are empty.

    Args:
        first: Boxes x0 y0 x1 y1, pixels.
        second: Boxes x0 y0 x1 y1, pixels.
        pixel: Length added to every width and height, pixels: 1 where x1 and y1 are the last pixels of the box, as in the VOC
            devkit and in HRNet's release.
    """
    a, b = first.double()[:, None], second.double()[None]
    inside = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2]) + pixel).clamp(min=0).prod(dim=-1)
    whole = sum((box[..., 2:] - box[..., :2] + pixel).prod(dim=-1) for box in (a, b)) - inside
    return torch.where(whole > 0, inside / whole, torch.zeros_like(inside))


def box_nms(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], threshold: float, *, pixel: float = 0.0
) -> Int64[Tensor, " m"]:
    """Non-maximum suppression of boxes.

    Args:
        boxes: Boxes x0 y0 x1 y1, pixels.
        score: Confidence of each box; of equal scores the last box counts first, as in the releases.
        threshold: IoU above which the box of lower score is removed.
        pixel: Length added to every width and height, pixels (`box_iou`).

    Returns:
        Indices of the boxes that stay, highest score first.
    """
    return greedy_nms((box_iou(boxes, boxes, pixel=pixel) > threshold).numpy(), score)


def soft_box_nms(
    boxes: Float[Tensor, "n 4"],
    score: Float[Tensor, " n"],
    *,
    sigma: float = 0.5,
    linear: float | None = None,
    min_score: float = 0.0,
    max_count: int = 100,
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """Soft-NMS of boxes (arXiv 1704.04503): a chosen box lowers the scores of the others.

    It multiplies them by exp(-iou^2 / sigma) (equation 3), or, where the IoU is at least `linear`, by 1 - iou (section 3).

    Args:
        boxes: Boxes x0 y0 x1 y1, pixels.
        score: Confidence of each box; of equal scores the first box counts first.
        sigma: Width of the Gaussian decay, in IoU squared.
        linear: IoU from which the linear decay takes the place of the Gaussian one; None for the Gaussian.
        min_score: Boxes whose score is not above it, or falls to it, are removed.
        max_count: Greatest number of boxes that stay.

    Returns:
        Indices of the boxes that stay, highest score first, and their lowered scores.
    """
    overlap = box_iou(boxes, boxes).numpy()
    share = np.exp(-(overlap**2) / sigma) if linear is None else np.where(overlap >= linear, 1 - overlap, 1.0)
    left = score.double().numpy().copy()
    left[left <= min_score] = -np.inf
    chosen: list[int] = []
    scores: list[float] = []
    while len(chosen) < max_count and len(left) and left.max() > min_score:
        best = int(left.argmax())
        chosen.append(best)
        scores.append(float(left[best]))
        left[best] = -np.inf
        alive = np.isfinite(left)
        left[alive] *= share[best, alive]
    return torch.tensor(chosen, dtype=torch.int64), torch.tensor(scores, dtype=score.dtype)


def nearby_nms(
    xy: Float[Tensor, "n k 2"],
    score: Float[Tensor, " n"],
    *,
    distance: float = 0.05,
    min_shared: int | None = None,
    max_count: int = 30,
) -> Int64[Tensor, " m"]:
    """Non-maximum suppression of poses that share keypoints (DEKR, arXiv 2104.02300).

    In the order of their scores, each pose that is not removed yet forms a group with the poses that share keypoints with it,
    and the best pose of the group stays.

    Args:
        xy: Keypoint positions of the poses of one image, pixels.
        score: Confidence of each pose.
        distance: Two keypoints are shared if they are nearer than this share of the diagonal of the first pose's box.
        min_shared: Number of shared keypoints above which poses are duplicates; by default half of the keypoints.
        max_count: Greatest number of poses that stay; below 1 for no limit.

    Returns:
        Indices of the poses that stay, highest score first.
    """
    if not len(xy):
        return torch.zeros(0, dtype=torch.int64)
    scores = score.double().numpy()
    shared = xy.shape[1] // 2 if min_shared is None else min_shared
    order = np.argsort(scores)[::-1].tolist()
    kept = best_of_nearby(xy, score, order=order, distance=distance, min_shared=shared)
    chosen = sorted(kept, key=lambda pose: -scores[pose])
    return torch.tensor(chosen[:max_count] if max_count > 0 else chosen, dtype=torch.int64)


def greedy_nms(near: Bool[np.ndarray, "n n"], score: Float[Tensor, " n"]) -> Int64[Tensor, " m"]:
    """Greedy non-maximum suppression: in the order of scores, each item that is not removed yet stays and removes others.

    Args:
        near: True where the item of the row removes that of the column.
        score: Score of each item; of equal scores the last comes first, as in the releases.

    Returns:
        Indices of the items that stay, highest score first.
    """
    removed = np.zeros(len(near), dtype=bool)
    kept: list[int] = []
    for index in np.argsort(score.numpy(), kind="stable")[::-1].tolist():
        if not removed[index]:
            kept.append(index)
            removed |= near[index]
    return torch.tensor(kept, dtype=torch.int64)
