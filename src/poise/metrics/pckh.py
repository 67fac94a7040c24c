"""PCKh, the measure of MPII (Andriluka et al., CVPR 2014): hits nearer than half a head.

The head's size is 0.6 of the diagonal of its box (`sizes.head_sizes`). A keypoint at just the threshold is hit.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import SkeletonMismatch
from poise.metrics.pck import PCK, Size, distances
from poise.skeletons import Skeleton
from poise.structures import Labels

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Head": ("head_top",),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}
"""Columns of the published table, and whose mean they are."""

LEFT_OUT = ("pelvis", "thorax")
"""They do not count for the mean."""

HALF, TENTH = 0.5, 0.1

PUBLISHED_TENTH = float(np.arange(0, 0.5, 0.01)[11])
"""The threshold of what the releases print as Mean@0.1: the twelfth of 0, 0.01 .. and so 0.11 (golden m02)."""

COLUMNS = (*GROUPS, "Mean", "Mean@0.1", "true Mean@0.1")


def pckh(found: Float[Tensor, "n k 2"], labels: Labels, threshold: float, *, size: Size) -> PCK:
    """Count the keypoints not further from their label than `threshold` times the size of the head.

    Args:
        found: One pose for each person of `labels`, pixels; a position that is not finite is a miss.
        labels: The people; those without a head (size 0) do not count.
        threshold: A share of the head.
        size: Of the heads, pixels (`sizes.head_sizes`).
    """
    distance, counted = distances(found, labels, size=size)
    return PCK(hits=((distance <= threshold) & counted).sum(dim=0), labelled=counted.sum(dim=0))


def pckh_table(found: Float[Tensor, "n k 2"], labels: Labels, skeleton: Skeleton, *, size: Size) -> dict[str, float]:
    """The row of MPII's table, percent, by `COLUMNS`: PCKh at half a head, and means at a tenth.

    The column Mean@0.1 of the releases has the threshold 0.11; the true one stands beside it. A column is nan where none of
    its keypoints is labelled or the skeleton lacks one of them. `Mean` counts every keypoint that is labelled, so it is not
    the mean of the columns.

    Args:
        found: One pose for each person of `labels`, pixels.
        labels: The people.
        skeleton: Of both.
        size: Of the heads, as in `pckh`.

    Raises:
        SkeletonMismatch: Poses or labels have other keypoints than the skeleton.
    """
    if found.shape != labels.xy.shape or found.shape[1] != len(skeleton):
        raise SkeletonMismatch(
            f"{tuple(found.shape[:2])} poses and keypoints were found for {tuple(labels.visible.shape)} labelled ones of "
            f"skeleton {skeleton.name!r} ({len(skeleton)} keypoints); they must agree"
        )
    row = grouped(pckh(found, labels, HALF, size=size), skeleton)
    tenths = {"Mean@0.1": PUBLISHED_TENTH, "true Mean@0.1": TENTH}
    return row | {name: _mean(pckh(found, labels, threshold, size=size), skeleton) for name, threshold in tenths.items()}


def grouped(count: PCK, skeleton: Skeleton) -> dict[str, float]:
    """Any count as percent of MPII's groups of keypoints, and their mean; nan as in `pckh_table`."""
    return {name: _group(count, skeleton, members) for name, members in GROUPS.items()} | {"Mean": _mean(count, skeleton)}


def _mean(count: PCK, skeleton: Skeleton) -> float:
    """Share of everything labelled but `LEFT_OUT`, percent."""
    meant = torch.tensor([name not in LEFT_OUT for name in skeleton.keypoints])
    return 100 * PCK(count.hits[meant], count.labelled[meant]).mean


def _group(count: PCK, skeleton: Skeleton, members: tuple[str, ...]) -> float:
    """The mean of the members' shares, percent."""
    if not all(name in skeleton.keypoints for name in members):
        return float("nan")
    return 100 * sum(count.keypoints[skeleton.index(name)] for name in members) / len(members)


def table(name: str, row: Mapping[str, float]) -> str:
    """A row of `pckh_table` or `grouped` as a Markdown table, in the columns of the papers; "-" where there is no number."""
    cells = ["-" if value != value else f"{value:.3f}" for value in row.values()]
    lines = (("Arch", *row), ("---",) * (len(row) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
