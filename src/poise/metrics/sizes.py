"""What distances are measured in: a person's box, torso or head."""

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Labels

HEAD_SHARE = 0.6
"""Of the diagonal of a head box: MPII's authors' factor, which makes it about the length of the upper head bone."""

_TORSOS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


def box_sides(labels: Labels) -> Float[Tensor, " n"]:
    """The longer side of each person's box, pixels; crowds 0."""
    side = (labels.boxes[:, 2:] - labels.boxes[:, :2]).amax(dim=1).double().clamp(min=0)
    return torch.where(labels.crowd, torch.zeros_like(side), side)


def torso_sizes(labels: Labels, skeleton: Skeleton) -> Float[Tensor, " n"]:
    """From each person's left shoulder to the right hip, pixels (PCK of Sapp and Taskar, CVPR 2013).

    From the right shoulder to the left hip where one of them is not labelled; 0, so that the person does not count, where
    neither pair is, and for crowds.

    Raises:
        InputError: The skeleton has no shoulders and hips.
    """
    missing = [name for pair in _TORSOS for name in pair if name not in skeleton.keypoints]
    if missing:
        raise InputError(
            f"skeleton {skeleton.name!r} has no {', '.join(missing)}, so nobody's torso is known; measure in boxes instead"
        )
    size = torch.zeros(len(labels), dtype=torch.float64)
    for pair in reversed(_TORSOS):
        ends = [skeleton.index(name) for name in pair]
        known = (labels.visible[:, ends] > 0).all(dim=1) & ~labels.crowd
        length = (labels.xy[:, ends[0]].double() - labels.xy[:, ends[1]].double()).norm(dim=-1)
        size = torch.where(known, length, size)
    return size


def head_sizes(heads: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """MPII's size of each head box x0 y0 x1 y1: `HEAD_SHARE` of its diagonal, pixels; 0 where a box is not finite.

    >>> head_sizes(torch.tensor([[10.0, 10.0, 40.0, 50.0]])).tolist()
    [30.0]
    """
    diagonal = (heads[:, 2:].double() - heads[:, :2].double()).norm(dim=-1)
    size: Tensor = HEAD_SHARE * diagonal.nan_to_num(0.0, 0.0, 0.0)
    return size
