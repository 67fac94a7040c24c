"""PCK: the share of labelled keypoints that are found near enough, measured in the size of a person; AUC, EPE, NME."""

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
"""Of pck@0.05, pck@0.1 and pck@0.2: shares of the box's longer side."""

MIN_OKS = 0.1
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
    def over_keypoints(self) -> float:
        """Mean of the shares of all keypoints that are labelled anywhere, each counting the same; nan where none is."""
        seen = self.labelled > 0
        return float((self.hits[seen].double() / self.labelled[seen]).mean())

    @property
    def keypoints(self) -> list[float]:
        """The same for each keypoint."""
        return (self.hits.double() / self.labelled).tolist()


Size = Float[Tensor, " n"] | Float[Tensor, "n 2"] | float
"""What distances are measured in: pixels for each person (`metrics/sizes.py`), for x and y apart, or one number for all."""


def pck(found: Float[Tensor, "n k 2"], labels: Labels, threshold: float, *, size: Size | None = None) -> PCK:
    """Count the keypoints nearer to their label than `threshold` times the size of the person.

    Crowds and people without a size do not count; a position that is not finite is a miss.

    >>> labels = Labels.of(torch.zeros(1, 2, 2), torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 10.0, 20.0]]))
    >>> found = torch.tensor([[[0.0, 1.0], [3.0, 4.0]]])
    >>> pck(found, labels, 0.1).mean, pck(found, labels, 0.1, size=100.0).mean
    (0.5, 1.0)

    Args:
        found: One pose for each person of `labels`, pixels.
        labels: The people.
        threshold: A share of the size; exactly at it is a miss.
        size: The longer side of the person's box by default.
    """
    distance, counted = distances(found, labels, size=size)
    return PCK(hits=((distance < threshold) & counted).sum(dim=0), labelled=counted.sum(dim=0))


def distances(
    found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None
) -> tuple[Float[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Distance of each keypoint from its label, in sizes of the person (by default its box's longer side), and which count."""
    unit = _unit(box_sides(labels) if size is None else size, len(labels))
    counted = (labels.visible > 0) & ~labels.crowd[:, None] & (unit > 0).all(dim=1)[:, None]
    return ((found.double() - labels.xy.double()) / unit[:, None]).norm(dim=-1), counted


def _unit(size: Size, people: int) -> Float[Tensor, "n 2"]:
    """The size of each person along x and y."""
    unit = torch.as_tensor(size, dtype=torch.float64)
    if not torch.isfinite(unit).all() or (unit < 0).any():
        raise InputError(f"sizes of people must be finite and not negative, found {unit.flatten().tolist()[:5]}")
    return unit.reshape(-1, 1 if unit.ndim < 2 else 2).expand(people, 2)


def auc(found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None, steps: int = 20) -> float:
    """Area under the PCK over thresholds 0, 1/20 .. 19/20 of a size, each the mean over keypoints; nan without labels.

    Args:
        found: One pose for each person of `labels`, pixels.
        labels: The people.
        size: As in `pck`.
        steps: How many thresholds.
    """
    values = [pck(found, labels, step / steps, size=size).over_keypoints for step in range(steps)]
    return sum(values) / steps


def nme(found: Float[Tensor, "n k 2"], labels: Labels, *, size: Size | None = None) -> float:
    """Mean distance of labelled keypoints in sizes of their person; nan without any.

    Positions must be finite: there is no mean with a keypoint that was not looked for.

    Raises:
        InputError: A position that counts is not finite.
    """
    distance, counted = distances(found, labels, size=size)
    lost = int((counted & ~torch.isfinite(distance)).sum())
    if lost:
        raise InputError(
            f"{lost} of {int(counted.sum())} labelled keypoints have no finite position, so there is no mean error"
        )
    return float(distance[counted].mean())


def epe(found: Float[Tensor, "n k 2"], labels: Labels) -> float:
    """Mean distance of labelled keypoints in pixels (end-point error). Errors as `nme`.

    >>> labels = Labels.of(torch.zeros(1, 2, 2), torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
    >>> epe(torch.tensor([[[0.0, 1.0], [3.0, 4.0]]]), labels)
    3.0
    """
    return nme(found, labels, size=1.0)


def match_to_labels(
    found: Float[Tensor, "m k 2"], score: Float[Tensor, " m"], labels: Labels, sigmas: Sequence[float]
) -> Float[Tensor, "n k 2"]:
    """One pose for each labelled person where nobody said which is whose: nan where none is left.

    In the order of their scores poses take the person of highest OKS among those that are free and no crowd, if that is at
    least `MIN_OKS`: the double of a pose must not take the person beside it.

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
        if best >= 0 and similar[row, best] >= MIN_OKS:
            out[best] = found[row].to(out)
            similar[:, best] = -1
    return out
