"""Losses of maps that say of every cell whether a keypoint is near and where it is: disks, and vectors inside them.

They answer one number per keypoint, summed over cells, so that a codec can weigh keypoints and choose the hardest. Disks are
small: whole maps are compared with 0, then what is inside the disk (`near`, where `inside`) is corrected.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Distance = Literal["squared", "huber"]
"""Half the square; or half of smooth L1, as UDP's release has them."""


def disk_regression_loss(
    maps: Float[Tensor, "b k n"],
    near: Float[Tensor, "b k i"],
    inside: Bool[Tensor, "b k i"],
    weight: Float[Tensor, "b k"],
    *,
    distance: Distance,
) -> Float[Tensor, "b k"]:
    """Of maps from 1 inside the disk and 0 outside; the weight multiplies the difference.

    Args:
        maps: All cells.
        near: Some of them: at least those inside the disk.
        inside: Which of those are inside.
        weight: Of each keypoint.
        distance: Of a cell.
    """
    if distance == "squared":
        return weight.square() * (0.5 * maps.square().sum(dim=-1) + ((0.5 - near) * inside).sum(dim=-1))
    near, far = near * weight[..., None], maps * weight[..., None]
    corrected = _half_huber(near - weight[..., None]) - _half_huber(near)
    return _half_huber(far).sum(dim=-1) + (corrected * inside).sum(dim=-1)


def disk_cross_entropy(
    maps: Float[Tensor, "b k n"], near: Float[Tensor, "b k i"], inside: Bool[Tensor, "b k i"]
) -> Float[Tensor, "b k"]:
    """Logistic loss of logits that say whether a cell is inside the disk (G-RMI, arXiv 1701.01779, section 3.2).

    Args:
        maps: All cells.
        near: Some of them: at least those inside the disk.
        inside: Which of those are inside.
    """
    return F.softplus(maps).sum(dim=-1) - (near * inside).sum(dim=-1)


def offset_component_loss(
    near: Float[Tensor, "b k i 2"], target: Float[Tensor, "b k i 2"], inside: Bool[Tensor, "b k i"], *, distance: Distance
) -> Float[Tensor, "b k"]:
    """Of vectors from theirs inside the disk, each component for itself."""
    difference = (near - target) * inside[..., None]
    each = 0.5 * difference.square() if distance == "squared" else _half_huber(difference)
    return each.sum(dim=(-2, -1))


def offset_huber_loss(
    near: Float[Tensor, "b k i 2"], target: Float[Tensor, "b k i 2"], inside: Bool[Tensor, "b k i"]
) -> Float[Tensor, "b k"]:
    """Huber's function of the length of the error inside the disk, quadratic below 1 (G-RMI, section 3.2)."""
    squared = ((near - target) * inside[..., None]).square().sum(dim=-1)
    return (0.5 * squared.clamp(max=1) + squared.clamp(min=1).sqrt() - 1).sum(dim=-1)


def _half_huber(difference: Tensor) -> Tensor:
    return 0.5 * F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none")
