"""PCK: the share of labelled keypoints that are found near enough, measured in the size of their box."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.metrics.oks import oks
from poise.structures import Labels

THRESHOLDS = (0.05, 0.1, 0.2)
"""Of pck@0.05, pck@0.1 and pck@0.2: shares of the box's longer side."""

LEAST_OKS = 0.1
"""Below it a pose is nobody's: hardly any keypoint is where it should be."""


@dataclass(frozen=True, eq=False)
class PCK:
    """Counts that add up over images.

    Attributes:
        hits: Keypoints nearer than the threshold.
        labelled: Keypoints that are labelled.
    """

    hits: Int64[Tensor, " k"]
    labelled: Int64[Tensor, " k"]

    def __add__(self, other: "PCK") -> "PCK":
        return PCK(self.hits + other.hits, self.labelled + other.labelled)

    @property
    def mean(self) -> float:
        """Share of all labelled keypoints that are hit; nan where none is labelled."""
        return float(self.hits.sum().double() / self.labelled.sum())

    @property
    def keypoints(self) -> list[float]:
        """The same for each keypoint."""
        return (self.hits.double() / self.labelled).tolist()


def pck(found: Float[Tensor, "n k 2"], labels: Labels, threshold: float) -> PCK:
    """Count the keypoints nearer to their label than `threshold` times the longer side of the person's box.

    Crowds and people whose box has no size do not count; a position that is not finite is a miss.

    Args:
        found: One pose for each person of `labels`, pixels.
        labels: The people.
        threshold: A share of the box's longer side; exactly at it is a miss.
    """
    distance, counted = distances(found, labels)
    return PCK(hits=((distance < threshold) & counted).sum(dim=0), labelled=counted.sum(dim=0))


def distances(found: Float[Tensor, "n k 2"], labels: Labels) -> tuple[Float[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Distance of each keypoint from its label, in longer sides of the person's box, and which of them count."""
    side = (labels.boxes[:, 2:] - labels.boxes[:, :2]).amax(dim=1)
    counted = (labels.visible > 0) & ~labels.crowd[:, None] & (side > 0)[:, None]
    distance = (found.double() - labels.xy.double()).norm(dim=-1) / side.double()[:, None]
    return distance, counted


def matched(
    found: Float[Tensor, "m k 2"], score: Float[Tensor, " m"], labels: Labels, sigmas: Sequence[float]
) -> Float[Tensor, "n k 2"]:
    """One pose for each labelled person where nobody said which is whose: nan where none is left.

    In the order of their scores poses take the person of highest OKS among those that are free and no crowd, if that is at
    least `LEAST_OKS`: the double of a pose must not take the person beside it.

    Args:
        found: Poses of one image, pixels.
        score: Of each pose.
        labels: The people of the image.
        sigmas: Of OKS, one per keypoint.
    """
    out = torch.full_like(labels.xy, torch.nan)
    similar = oks(found, labels, sigmas)
    similar[:, labels.crowd | ~(labels.visible > 0).any(dim=1)] = -1
    for row in score.argsort(descending=True, stable=True).tolist():
        best = int(similar[row].argmax()) if len(labels) else -1
        if best >= 0 and similar[row, best] >= LEAST_OKS:
            out[best] = found[row].to(out)
            similar[:, best] = -1
    return out
