"""Sizes of people, the units of distances: the longer side of the box, the torso, the head."""

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Labels

HEAD_SHARE = 0.6
"""Factor on the diagonal of a head box (MPII's authors); the result is about the length of the head bone."""

_TORSOS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


def box_sides(labels: Labels) -> Float[Tensor, " n"]:
    """Longer side of the box of each person, pixels; 0 for crowds."""
    side = (labels.boxes[:, 2:] - labels.boxes[:, :2]).amax(dim=1).double().clamp(min=0)
    return torch.where(labels.crowd, torch.zeros_like(side), side)


def torso_sizes(labels: Labels, skeleton: Skeleton) -> Float[Tensor, " n"]:
    """Distance of each person's left shoulder from the right hip, pixels (PCK of Sapp and Taskar, CVPR 2013).

    Where one of the two is not labelled, the distance of the right shoulder from the left hip is used.

    Args:
        labels: Labels of the people.
        skeleton: The keypoints of the labels.

    Returns:
        The sizes; 0 for crowds and for people of whom neither pair is labelled, so that they do not count.

    Raises:
        InputError: The skeleton lacks a shoulder or a hip.
    """
    missing = [name for pair in _TORSOS for name in pair if name not in skeleton.keypoints]
    if missing:
        raise InputError(
            f"skeleton {skeleton.name!r} has no {', '.join(missing)}, so torsos have no size; use the size of the box instead"
        )
    size = torch.zeros(len(labels), dtype=torch.float64)
    for pair in reversed(_TORSOS):
        length = keypoint_distances(labels, skeleton, *pair)
        size = torch.where(length > 0, length, size)
    return size


def keypoint_distances(labels: Labels, skeleton: Skeleton, first: str, second: str) -> Float[Tensor, " n"]:
    """Distance of two keypoints of each person, pixels, such as of the outer corners of both eyes for the error of faces.

    Args:
        labels: Labels of the people.
        skeleton: The keypoints of the labels.
        first: Name of a keypoint.
        second: Name of the other one.

    Returns:
        The distances; 0 for crowds and where one of the two is not labelled, so that these people do not count.

    Raises:
        SkeletonMismatch: The skeleton has no such keypoint.
    """
    ends = [skeleton.index(name) for name in (first, second)]
    known = (labels.visible[:, ends] > 0).all(dim=1) & ~labels.crowd
    length = (labels.xy[:, ends[0]].double() - labels.xy[:, ends[1]].double()).norm(dim=-1)
    return torch.where(known, length, torch.zeros_like(length))


def head_sizes(heads: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """Size of each head box x0 y0 x1 y1: `HEAD_SHARE` times its diagonal, pixels; 0 where the box is not finite.

    >>> head_sizes(torch.tensor([[10.0, 10.0, 40.0, 50.0]])).tolist()
    [30.0]
    """
    diagonal = (heads[:, 2:].double() - heads[:, :2].double()).norm(dim=-1)
    size: Tensor = HEAD_SHARE * diagonal.nan_to_num(0.0, 0.0, 0.0)
    return size
