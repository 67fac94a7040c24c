"""Object keypoint similarity (OKS), OKS-NMS of duplicate poses, and rescoring.

OKS (COCO's keypoint task) is the mean of exp(-d^2 / (2 s^2 (2 sigma)^2)) over labelled keypoints, with the distance d, the area
s^2 of the person and the sigma of the keypoint. 1 is a perfect match.
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
"""The constant that pycocotools adds to areas."""


def oks(found: Float[Tensor, "m k 2"], labels: Labels, sigmas: Sequence[float]) -> Float[Tensor, "m n"]:
    """OKS of every pose with every labelled person of one image, computed as in COCO's protocol, float64.

    For a person without labelled keypoints d is the distance of each keypoint of the pose to the person's box, enlarged to
    three times its size.

    Args:
        found: Keypoint positions of the poses, pixels.
        labels: Labels of the image.
        sigmas: OKS sigma of each keypoint.

    Raises:
        InputError: The number of sigmas is not that of the keypoints.
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
    """OKS of every pose with every other pose, float64, with the mean of the two areas.

    Args:
        xy: Keypoint positions of the poses of one image, pixels.
        area: Area of each pose, square pixels.
        sigmas: OKS sigma of each keypoint.
        known: True for the keypoints that count; by default all. OKS is 0 where none counts.
        of: Whether a keypoint must count in the second pose (HRNet's release, which tests the scores of one pose) or in both
            poses (MMPose).

    Raises:
        InputError: The number of sigmas is not that of the keypoints.
    """
    # Each pair once, and in NumPy: for the few poses of an image the overhead of torch's calls is larger than the arithmetic.
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
    """Non-maximum suppression of poses by OKS.

    Args:
        similar: OKS of every pose with every other (`pose_oks`).
        score: Confidence of each pose.
        threshold: OKS above which the pose of lower score is removed.

    Returns:
        Indices of the poses that stay, highest score first.
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
    """Soft-NMS of poses by OKS: a chosen pose lowers the scores of poses near it (`decayed_scores`).

    As in HRNet's release no pose is removed for its score, and the lowered scores only order the poses.

    Args:
        similar: OKS of every pose with every other (`pose_oks`).
        score: Confidence of each pose.
        threshold: Parameter of the decay, an OKS.
        max_count: Greatest number of poses that stay.
        decay: The decay, "gauss" or "linear".

    Returns:
        Indices of the poses that stay, highest lowered score first.
    """
    return soft_oks_scores(similar, score, threshold, max_count=max_count, decay=decay)[0]


def soft_oks_scores(
    similar: Float[Tensor, "n n"],
    score: Float[Tensor, " n"],
    threshold: float,
    *,
    max_count: int = 20,
    decay: Literal["gauss", "linear"] = "gauss",
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """`soft_oks_nms` with the lowered scores: the indices of the poses that stay, and the score of each when it was chosen."""
    left, scores, matrix = _descending(score), score.double().numpy().copy(), similar.numpy()
    kept: list[int] = []
    while len(left) and len(kept) < max_count:
        best, left = left[0], left[1:]
        kept.append(int(best))
        scores[left] *= _share(matrix[best, left], threshold, decay)
        left = left[np.argsort(scores[left], kind="stable")[::-1]]
    index = torch.tensor(kept, dtype=torch.int64)
    return index, torch.from_numpy(scores)[index].to(score.dtype)


def decayed_scores(
    score: Float[Tensor, " n"], similar: Float[Tensor, " n"], threshold: float, *, decay: Literal["gauss", "linear"] = "gauss"
) -> Float[Tensor, " n"]:
    """The scores of poses after a pose was chosen.

    Args:
        score: Confidence of each pose.
        similar: OKS of each pose with the chosen one.
        threshold: Parameter of the decay, an OKS.
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
    """Rescoring of Simple Baselines' and HRNet's releases: box score times the mean of the keypoint scores above a threshold.

    Args:
        box_score: Confidence of each box.
        keypoint_score: Confidence of each keypoint.
        threshold: Keypoints with a higher score count (0.2 in the releases).

    Returns:
        The score of each pose; 0 where no keypoint counts.
    """
    confident = keypoint_score > threshold
    mean = (keypoint_score * confident).sum(dim=1) / confident.sum(dim=1).clamp(min=1)
    return box_score * mean
