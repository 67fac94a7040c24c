"""PCK, the share of labelled keypoints predicted within a distance relative to the size of the person; AUC, EPE, NME."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.errors import InputError
from poise.metrics.oks import oks
from poise.metrics.sizes import box_sides
from poise.structures import Labels

THRESHOLDS = (0.05, 0.1, 0.2)
"""Thresholds of pck@0.05, pck@0.1 and pck@0.2, as shares of the longer side of the box."""

MIN_OKS = 0.1
"""OKS below which a pose is not matched to a person, because nearly none of its keypoints is correct."""


@dataclass(frozen=True, eq=False)
class PCK:
    """Counts of correct and of labelled keypoints, which can be added over images.

    Attributes:
        hits: Number of correct predictions of each keypoint.
        labelled: Number of labels of each keypoint.
    """

    hits: Int64[Tensor, " k"]
    labelled: Int64[Tensor, " k"]

    def __add__(self, other: "PCK") -> "PCK":
        return PCK(self.hits + other.hits, self.labelled + other.labelled)

    @property
    def mean(self) -> float:
        """Share of all labelled keypoints that are correct; nan where none is labelled."""
        return float(self.hits.sum().double() / self.labelled.sum())

    @property
    def over_keypoints(self) -> float:
        """Mean of the shares of the single keypoints, without those that are never labelled; nan where none is labelled."""
        seen = self.labelled > 0
        return float((self.hits[seen].double() / self.labelled[seen]).mean())

    @property
    def keypoints(self) -> list[float]:
        """Share of the labels of each keypoint that are correct; nan for a keypoint that is never labelled."""
        return (self.hits.double() / self.labelled).tolist()


Size = Float[Tensor, " n"] | Float[Tensor, "n 2"] | float
"""The unit of distances, pixels: one for each person (`metrics/sizes.py`), one for x and y of each person, or one for all."""


def pck(found: Float[Tensor, "n k 2"], labels: Labels, threshold: float, *, size: Size | None = None) -> PCK:
    """Count the keypoints that are nearer to their label than `threshold` times the size of the person.

    Crowds and people of size 0 do not count; a position that is not finite is wrong.

    >>> labels = Labels.of(torch.zeros(1, 2, 2), torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 10.0, 20.0]]))
    >>> found = torch.tensor([[[0.0, 1.0], [3.0, 4.0]]])
    >>> pck(found, labels, 0.1).mean, pck(found, labels, 0.1, size=100.0).mean
    (0.5, 1.0)

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        threshold: Share of the size; a keypoint at exactly this distance is wrong.
        size: Size of each person, pixels; by default the longer side of the box.
    """
    [count] = pck_at(found, labels, (threshold,), size=size)
    return count


def pck_at(
    found: Float[Tensor, "n k 2"], labels: Labels, thresholds: Sequence[float], *, size: Size | None = None
) -> list[PCK]:
    """`pck` at several thresholds.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        thresholds: Shares of the size.
        size: Size of each person, pixels; by default the longer side of the box.
    """
    distance, counted = distances(found, labels, size=size)
    labelled = counted.sum(dim=0)
    return [PCK(hits=((distance < one) & counted).sum(dim=0), labelled=labelled) for one in thresholds]


def distances(
    found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None
) -> tuple[Float[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Distance of each keypoint from its label, divided by the size of the person.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        size: Size of each person, pixels; by default the longer side of the box.

    Returns:
        The distances, and True for the keypoints that count (labelled, no crowd, size above 0).
    """
    unit = _unit(box_sides(labels) if size is None else size, len(labels))
    counted = (labels.visible > 0) & ~labels.crowd[:, None] & (unit > 0).all(dim=1)[:, None]
    return ((found.double() - labels.xy.double()) / unit[:, None]).norm(dim=-1), counted


def _unit(size: Size, people: int) -> Float[Tensor, "n 2"]:
    """The size of each person along x and y, pixels."""
    unit = torch.as_tensor(size, dtype=torch.float64)
    if not torch.isfinite(unit).all() or (unit < 0).any():
        raise InputError(f"sizes of people must be finite and not negative, found {unit.flatten().tolist()[:5]}")
    return unit.reshape(-1, 1 if unit.ndim < 2 else 2).expand(people, 2)


def auc(found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None, steps: int = 20) -> float:
    """Area under the curve of PCK over the thresholds 0, 1/20 .. 19/20, each a mean over keypoints; nan without labels.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        size: Size of each person, pixels; by default the longer side of the box.
        steps: Number of thresholds.
    """
    values = [pck(found, labels, step / steps, size=size).over_keypoints for step in range(steps)]
    return sum(values) / steps


def nme(found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None) -> float:
    """Normalised mean error: mean distance of labelled keypoints divided by the size of their person; nan without labels.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        size: Size of each person, pixels; by default the longer side of the box.

    Raises:
        InputError: The position of a keypoint that counts is not finite, so that there is no mean.
    """
    distance, counted = distances(found, labels, size=size)
    missing = int((counted & ~torch.isfinite(distance)).sum())
    if missing:
        raise InputError(
            f"{missing} of {int(counted.sum())} labelled keypoints have no finite position, so there is no mean error"
        )
    return float(distance[counted].mean())


def epe(found: Float[Tensor, "n k 2"], labels: Labels) -> float:
    """End-point error: mean distance of labelled keypoints, pixels; nan without labels.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.

    Raises:
        InputError: The position of a keypoint that counts is not finite, so that there is no mean.

    >>> labels = Labels.of(torch.zeros(1, 2, 2), torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
    >>> epe(torch.tensor([[[0.0, 1.0], [3.0, 4.0]]]), labels)
    3.0
    """
    return nme(found, labels, size=1.0)


def match_to_labels(
    found: Float[Tensor, "m k 2"], score: Float[Tensor, " m"], labels: Labels, sigmas: Sequence[float]
) -> Float[Tensor, "n k 2"]:
    """Match poses to labelled people by OKS.

    In the order of their scores, each pose takes the person of highest OKS among those not taken yet, if that OKS is at least
    `MIN_OKS`. Crowds and people without labelled keypoints are not matched. The minimum keeps the duplicate of a pose from
    taking the person beside it.

    Args:
        found: Keypoint positions of the poses of one image, pixels.
        score: Confidence of each pose.
        labels: Labels of the image.
        sigmas: OKS sigma of each keypoint.

    Returns:
        The pose of each labelled person, pixels; nan for people without a pose.
    """
    out = torch.full_like(labels.xy, torch.nan)
    similar = oks(found, labels, sigmas)
    similar[:, labels.crowd | ~(labels.visible > 0).any(dim=1)] = -1
    for pose in score.argsort(descending=True, stable=True).tolist():
        best = int(similar[pose].argmax()) if len(labels) else -1
        if best >= 0 and similar[pose, best] >= MIN_OKS:
            out[best] = found[pose].to(out)
            similar[:, best] = -1
    return out
