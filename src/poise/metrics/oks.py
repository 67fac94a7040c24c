"""Object keypoint similarity, and what the releases build on it: suppression of doubles, rescoring.

OKS (COCO's keypoint task): the mean of exp(-d^2 / (2 s^2 (2 sigma)^2)) over labelled keypoints, d the distance, s^2 the area
of the person, sigma the keypoint's own. 1 is perfect.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.errors import InputError
from poise.metrics.nms import greedy_nms
from poise.structures import Labels

EPSILON = float(np.spacing(1))
"""What pycocotools adds to areas."""


def oks(found: Float[Tensor, "m k 2"], labels: Labels, sigmas: Sequence[float]) -> Float[Tensor, "m n"]:
    """OKS of every pose with every labelled person of one image, as COCO's protocol computes it, float64.

    A person without a labelled keypoint is compared by how far the pose leaves its box, enlarged to three times its size.

    Args:
        found: Poses, pixels.
        labels: The people of the image.
        sigmas: One per keypoint.

    Raises:
        InputError: As many sigmas as keypoints are needed.
    """
    scale = _variances(sigmas, found.shape[1]) * (labels.area.double() + EPSILON)[:, None] * 2
    seen = labels.visible > 0
    unseen = ~seen.any(dim=1)
    offset = found.double()[:, None] - labels.xy.double()[None]
    offset = torch.where(unseen[None, :, None, None], _outside(found.double(), labels.boxes.double()), offset)
    similar = torch.exp(-offset.square().sum(dim=-1) / scale)
    counted = seen | unseen[:, None]
    return (similar * counted).sum(dim=-1) / counted.sum(dim=-1)


def _outside(found: Float[Tensor, "m k 2"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "m n k 2"]:
    extent = boxes[:, 2:] - boxes[:, :2]
    low, high = (boxes[:, :2] - extent)[None, :, None], (boxes[:, 2:] + extent)[None, :, None]
    return (low - found[:, None]).clamp(min=0) + (found[:, None] - high).clamp(min=0)


def pose_oks(
    xy: Float[Tensor, "n k 2"],
    area: Float[Tensor, " n"],
    sigmas: Sequence[float],
    *,
    known: Bool[Tensor, "n k"] | None = None,
    of: Literal["second", "both"] = "second",
) -> Float[Tensor, "n n"]:
    """OKS of every pose with every other, float64; the area is the mean of the two.

    Args:
        xy: Poses of one image, pixels.
        area: Of each, square pixels.
        sigmas: One per keypoint.
        known: Keypoints that count; all by default. 0 where none does.
        of: Whether the second pose alone must know a keypoint (HRNet's release looks at one pose's scores) or both (MMPose).

    Raises:
        InputError: As many sigmas as keypoints are needed.
    """
    # Each pair once, in NumPy: for the few poses of an image torch's calls cost more than the sums.
    points, size = xy.double().numpy(), area.double().numpy()
    first, second = np.triu_indices(len(points))
    scale = 1 / (((size[first] + size[second]) / 2 + EPSILON)[:, None] * (2 * _variances(sigmas, xy.shape[1]).numpy()))
    gap = points[first] - points[second]
    gap *= gap
    similar = gap[..., 0] + gap[..., 1]
    similar *= scale
    np.exp(np.negative(similar, out=similar), out=similar)
    out = np.empty((len(points), len(points)))
    if known is None:
        out[first, second] = out[second, first] = similar.mean(axis=1)
        return torch.from_numpy(out)
    mask = known.numpy()
    both = mask[first] & mask[second]
    for row, column in ((first, second), (second, first)):
        counted = mask[column] if of == "second" else both
        out[row, column] = (similar * counted).sum(axis=1) / counted.sum(axis=1).clip(min=1)
    return torch.from_numpy(out)


def _variances(sigmas: Sequence[float], keypoints: int) -> Float[Tensor, " k"]:
    if len(sigmas) != keypoints:
        raise InputError(f"there are {len(sigmas)} sigmas for {keypoints} keypoints; OKS needs one for each")
    return (2 * torch.tensor(sigmas, dtype=torch.float64)).square()


def oks_nms(similar: Float[Tensor, "n n"], score: Float[Tensor, " n"], threshold: float) -> Int64[Tensor, " m"]:
    """The rows of the poses that stay, best first: of two nearer than `threshold` the one of higher score.

    Args:
        similar: `pose_oks` of the poses of one image.
        score: Of each pose.
        threshold: An OKS; a pose exactly at it stays.
    """
    return greedy_nms((similar > threshold).numpy(), score)


def soft_oks_nms(
    similar: Float[Tensor, "n n"],
    score: Float[Tensor, " n"],
    threshold: float,
    *,
    max_count: int = 20,
    decay: Literal["gauss", "linear"] = "gauss",
) -> Int64[Tensor, " m"]:
    """The rows of at most `max_count` poses, best first, where every pose taken lowers the score of those near it.

    As HRNet's release does it: nothing is cut by score, and the lowered scores only order the poses.

    Args:
        similar: `pose_oks` of the poses of one image.
        score: Of each pose.
        threshold: As in `decayed_scores`.
        max_count: How many may stay.
        decay: As in `decayed_scores`.
    """
    left, scores, matrix = _descending(score), score.double().numpy().copy(), similar.numpy()
    kept: list[int] = []
    while len(left) and len(kept) < max_count:
        best, left = left[0], left[1:]
        kept.append(int(best))
        scores[left] *= _share(matrix[best, left], threshold, decay)
        left = left[np.argsort(scores[left], kind="stable")[::-1]]
    return torch.tensor(kept, dtype=torch.int64)


def decayed_scores(
    score: Float[Tensor, " n"], similar: Float[Tensor, " n"], threshold: float, *, decay: Literal["gauss", "linear"] = "gauss"
) -> Float[Tensor, " n"]:
    """The scores of poses after one near them was taken.

    Args:
        score: Of each pose.
        similar: OKS of each with the one taken.
        threshold: Of the decay.
        decay: "gauss" multiplies by exp(-oks^2 / threshold), "linear" by 1 - oks where oks is at least `threshold`.
    """
    return score * torch.from_numpy(_share(similar.double().numpy(), threshold, decay))


def _share(similar: np.ndarray, threshold: float, decay: str) -> np.ndarray:
    if decay == "gauss":
        return np.exp(-(similar**2) / threshold)
    return np.where(similar >= threshold, 1 - similar, 1.0)


def _descending(score: Float[Tensor, " n"]) -> np.ndarray:
    # Of equal scores the last comes first, as in the releases.
    return np.argsort(score.numpy(), kind="stable")[::-1]


def rescore(box_score: Float[Tensor, " n"], keypoint_score: Float[Tensor, "n k"], threshold: float) -> Float[Tensor, " n"]:
    """The score of each pose: its box's, times the mean of its keypoint scores above `threshold` (0 where none is).

    Simple Baselines' and HRNet's releases, with threshold 0.2.
    """
    sure = keypoint_score > threshold
    mean = (keypoint_score * sure).sum(dim=1) / sure.sum(dim=1).clamp(min=1)
    return box_score * mean
