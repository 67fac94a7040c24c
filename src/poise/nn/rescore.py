"""DEKR's rescoring (arXiv 2104.02300, section 3.4): a small network that says from the shape of a pose how good it is."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 256
"""Values between its layers."""

Links = Sequence[tuple[int, int]]
"""Pairs of indices of keypoints."""


def pose_features(
    xy: Float[Tensor, "n k 2"], score: Float[Tensor, "n k"], links: Links, *, torso: tuple[int, int]
) -> Float[Tensor, "n f"]:
    """The vectors of all links, their lengths, both in lengths of the trunk, and the scores of the keypoints.

    Args:
        xy: Keypoints, pixels.
        score: Their scores.
        links: Pairs of keypoints that the vectors join, from the second to the first.
        torso: Indices of the two links whose mean length is that of the trunk; it counts as one pixel at least.
    """
    first, second = zip(*links, strict=True)
    vectors = xy[:, list(first)] - xy[:, list(second)]
    lengths = vectors.norm(dim=2)
    unit = lengths[:, list(torso)].mean(dim=1, keepdim=True).clamp(min=1)
    return torch.cat(((vectors / unit[..., None]).flatten(1), lengths / unit, score), dim=1)


@final
class RescoreNet(nn.Module):
    """The OKS that a pose is expected to have, from its features (`pose_features`).

    The weights are named as in the releases.

    Args:
        links: Number of links.
        keypoints: Number of keypoints.
    """

    def __init__(self, links: int, keypoints: int) -> None:
        super().__init__()
        self.l1 = nn.Linear(3 * links + keypoints, HIDDEN)
        self.l2 = nn.Linear(HIDDEN, HIDDEN)
        self.l3 = nn.Linear(HIDDEN, 1)

    def forward(self, features: Float[Tensor, "n f"]) -> Float[Tensor, " n"]:
        """The factor on the score of each pose."""
        hidden = torch.relu(self.l2(torch.relu(self.l1(features))))
        factor: Tensor = self.l3(hidden)[:, 0]
        return factor
