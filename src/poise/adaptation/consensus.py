"""One position and one confidence out of the readings of several views: equivariance (CC-SSL, arXiv 1912.08265, section 3.2).

CC-SSL's release averages un-warped heatmaps and takes the highest cell. Here every reading is a Gaussian of the height of its
confidence, and the highest of the readings under their mean is taken: the same law for maps with Gaussian peaks, and one that
holds for any codec. The release's own, on maps, is in `adaptation.published`.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.adaptation.readings import Readings

SPREAD = 1 / 64
"""Deviation of a reading, as a share of the view's longer side: one cell of 64, as the release's maps have."""


@final
@dataclass(frozen=True, eq=False)
class Consensus:
    """What the views of each person agree on.

    Attributes:
        xy: Positions, pixels of the image.
        score: Mean of all views' Gaussians there: high where confident views agree.
        agreement: Mean of all views' Gaussians there with every confidence 1: share of the views that agree, 0 to 1.
        confidence: Confidence of the first view alone.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    agreement: Float[Tensor, "n k"]
    confidence: Float[Tensor, "n k"]


def agree(readings: Readings, *, spread: float = SPREAD) -> Consensus:
    """The position of each keypoint that the views agree on most, and how much they agree.

    Args:
        readings: Keypoints of all views, at least one.
        spread: Deviation of a reading, as a share of the longer side of the view.
    """
    xy, height = readings.xy, readings.score.clamp(min=0)
    sigma = (spread * readings.extent)[:, None]
    near = torch.stack([_nearness(xy, one, sigma) for one in xy])  # view that is asked, view that answers
    density = (near * height[None]).mean(dim=1)
    best = density.argmax(dim=0)
    weight = near.gather(0, best[None, None].expand(1, *near.shape[1:]))[0]
    weighed = weight * height
    total = weighed.sum(dim=0).clamp(min=1e-12)[..., None]
    mean = (weighed[..., None] * xy).sum(dim=0) / total
    alone = xy.gather(0, best[None, ..., None].expand(1, *xy.shape[1:]))[0]
    place = torch.where(weighed.sum(dim=0)[..., None] > 0, mean, alone)
    return Consensus(place, density.gather(0, best[None])[0], weight.mean(dim=0), readings.score[0])


def _nearness(xy: Float[Tensor, "t n k 2"], one: Float[Tensor, "n k 2"], sigma: Float[Tensor, "n 1"]) -> Float[Tensor, "t n k"]:
    return (-(xy - one).square().sum(dim=-1) / (2 * sigma.square())).exp()
