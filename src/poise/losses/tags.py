"""Losses of tags (associative embedding, arXiv 1611.05424): one person's are pulled together, those of two pushed apart."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

TagPush = Literal["exp", "max", "mmpose"]
"""How two people are pushed apart: by exp(-d^2) of the distance of their mean tags (HigherHRNet's release), by 1 - d up to a
distance of 1, or as MMPose does, whose sum has each person with itself in it."""

EPSILON = 1e-6
"""Added by MMPose to numbers of people and of pairs."""


def tag_losses(
    tags: Float[Tensor, "p k"], labelled: Bool[Tensor, "p k"], *, push: TagPush = "exp"
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Pull and push of the people of one view; 0 without people, and no push with one alone.

    Args:
        tags: Tag of each keypoint where it is labelled.
        labelled: Which keypoints are labelled; people without any do not count.
        push: Form of the push.
    """
    some = labelled.any(dim=1)
    tags, there = tags[some].where(labelled[some], 0), labelled[some]
    people = len(tags)
    if not people:
        return tags.sum(), tags.sum()
    count = there.sum(dim=1)
    mean = tags.sum(dim=1) / count
    spread = ((tags - mean[:, None]).square() * there).sum(dim=1) / count
    least = EPSILON if push == "mmpose" else 0
    return spread.sum() / (people + least), _pushed(mean, push)


def _pushed(mean: Float[Tensor, " p"], push: TagPush) -> Float[Tensor, ""]:
    people = len(mean)
    if people < 2:
        return mean.sum() * 0
    apart = mean[:, None] - mean[None]
    near = (1 - apart.abs()).clamp(min=0) if push == "max" else (-apart.square()).exp()
    pairs = people * (people - 1)
    if push == "mmpose":
        return 0.5 * near.sum() / (pairs + EPSILON)
    return 0.5 * (near.sum() - people) / pairs
