"""Losses of dense maps: disks around keypoints, and offset vectors inside the disks.

They return one number per keypoint, summed over cells, so that a codec can weight keypoints and select the hardest. Disks are
small: whole maps are compared with 0, then the cells inside the disk (`near`, where `inside`) are corrected.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Distance = Literal["squared", "huber"]
"""Half the squared error; or half of smooth L1, as in UDP's release."""


def disk_regression_loss(
    maps: Float[Tensor, "b k n"],
    near: Float[Tensor, "b k i"],
    inside: Bool[Tensor, "b k i"],
    weight: Float[Tensor, "b k"],
    *,
    distance: Distance,
) -> Float[Tensor, "b k"]:
    """Regression loss of maps towards 1 inside the disk and 0 outside; the weight multiplies the difference.

    Args:
        maps: All cells of each map.
        near: Cells of each map that include those inside the disk.
        inside: Mask of those inside the disk.
        weight: Weight of each keypoint.
        distance: Loss of a cell.
    """
    if distance == "squared":
        return weight.square() * (0.5 * maps.square().sum(dim=-1) + ((0.5 - near) * inside).sum(dim=-1))
    near, far = near * weight[..., None], maps * weight[..., None]
    corrected = _half_huber(near - weight[..., None]) - _half_huber(near)
    return _half_huber(far).sum(dim=-1) + (corrected * inside).sum(dim=-1)


def disk_cross_entropy(
    maps: Float[Tensor, "b k n"], near: Float[Tensor, "b k i"], inside: Bool[Tensor, "b k i"]
) -> Float[Tensor, "b k"]:
    """Logistic loss of logits of a cell being inside the disk (G-RMI, arXiv 1701.01779, section 3.2).

    Args:
        maps: All cells of each map.
        near: Cells of each map that include those inside the disk.
        inside: Mask of those inside the disk.
    """
    return F.softplus(maps).sum(dim=-1) - (near * inside).sum(dim=-1)


def offset_component_loss(
    near: Float[Tensor, "b k i 2"], target: Float[Tensor, "b k i 2"], inside: Bool[Tensor, "b k i"], *, distance: Distance
) -> Float[Tensor, "b k"]:
    """Loss of offset vectors inside the disk, each component separately.

    Args:
        near: Predicted vectors of the cells.
        target: True vectors of the cells.
        inside: Mask of the cells inside the disk.
        distance: Loss of a component.
    """
    difference = (near - target) * inside[..., None]
    each = 0.5 * difference.square() if distance == "squared" else _half_huber(difference)
    return each.sum(dim=(-2, -1))


def offset_huber_loss(
    near: Float[Tensor, "b k i 2"], target: Float[Tensor, "b k i 2"], inside: Bool[Tensor, "b k i"]
) -> Float[Tensor, "b k"]:
    """Huber loss of the length of the error vector inside the disk, quadratic below 1 (G-RMI, section 3.2).

    Args:
        near: Predicted vectors of the cells.
        target: True vectors of the cells.
        inside: Mask of the cells inside the disk.
    """
    squared = ((near - target) * inside[..., None]).square().sum(dim=-1)
    return (0.5 * squared.clamp(max=1) + squared.clamp(min=1).sqrt() - 1).sum(dim=-1)


def offset_l1_loss(
    near: Float[Tensor, "b k i 2"], target: Float[Tensor, "b k i 2"], inside: Bool[Tensor, "b k i"]
) -> Float[Tensor, "b k"]:
    """Absolute error of both components of the vectors inside the disk (the L1 counterpart of `heatmaps.mse`, "JointsL1").

    Args:
        near: Predicted vectors of the cells.
        target: True vectors of the cells.
        inside: Mask of the cells inside the disk.
    """
    return ((near - target) * inside[..., None]).abs().sum(dim=(-2, -1))


def _half_huber(difference: Tensor) -> Tensor:
    return 0.5 * F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none")
