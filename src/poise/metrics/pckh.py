"""PCKh, the metric of MPII (Andriluka et al., CVPR 2014): keypoints predicted within half the size of the head.

The size of the head is 0.6 times the diagonal of its box (`sizes.head_sizes`). A keypoint at exactly the threshold is correct.
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
"""Columns of the published table, and the keypoints that each is the mean of."""

LEFT_OUT = ("pelvis", "thorax")
"""Keypoints that do not count for the mean."""

HALF, TENTH = 0.5, 0.1

PUBLISHED_TENTH = float(np.arange(0, 0.5, 0.01)[11])
"""Threshold of what the releases print as Mean@0.1: they take the twelfth of 0, 0.01 .., which is 0.11 (golden m02)."""

COLUMNS = (*GROUPS, "Mean", "Mean@0.1", "true Mean@0.1")


def pckh(found: Float[Tensor, "n k 2"], labels: Labels, threshold: float, *, size: Size) -> PCK:
    """Count the keypoints that are not farther from their label than `threshold` times the size of the head.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels; a position that is not finite is wrong.
        labels: Labels of the people; those without a head (size 0) do not count.
        threshold: Share of the size of the head.
        size: Size of each head, pixels (`sizes.head_sizes`).
    """
    distance, counted = distances(found, labels, size=size)
    return PCK(hits=((distance <= threshold) & counted).sum(dim=0), labelled=counted.sum(dim=0))


def pckh_table(found: Float[Tensor, "n k 2"], labels: Labels, skeleton: Skeleton, *, size: Size) -> dict[str, float]:
    """PCKh at 0.5 for the columns of MPII's table, and mean PCKh at 0.1, percent.

    The column Mean@0.1 of the releases has the threshold 0.11; "true Mean@0.1" has 0.1. `Mean` counts all labelled keypoints,
    so it is not the mean of the columns.

    Args:
        found: Keypoint positions of one pose for each person of `labels`, pixels.
        labels: Labels of the people.
        skeleton: The keypoints of poses and labels.
        size: Size of each head, pixels (`sizes.head_sizes`).

    Returns:
        Percentages by the names in `COLUMNS`; nan where no keypoint of a column is labelled or the skeleton lacks one.

    Raises:
        SkeletonMismatch: Poses or labels have another number of keypoints than the skeleton.
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
    """Counts as percentages of MPII's groups of keypoints, and their mean.

    Args:
        count: Correct and labelled keypoints.
        skeleton: The keypoints that are counted.

    Returns:
        Percentages by the names in `GROUPS`, and "Mean"; nan where no keypoint of a group is labelled or the skeleton lacks
        one.
    """
    return {name: _group(count, skeleton, members) for name, members in GROUPS.items()} | {"Mean": _mean(count, skeleton)}


def _mean(count: PCK, skeleton: Skeleton) -> float:
    """Share of all labelled keypoints except `LEFT_OUT`, percent."""
    meant = torch.tensor([name not in LEFT_OUT for name in skeleton.keypoints])
    return 100 * PCK(count.hits[meant], count.labelled[meant]).mean


def _group(count: PCK, skeleton: Skeleton, members: tuple[str, ...]) -> float:
    """Mean of the shares of the members of a group, percent."""
    if not all(name in skeleton.keypoints for name in members):
        return float("nan")
    return 100 * sum(count.keypoints[skeleton.index(name)] for name in members) / len(members)


def table(name: str, row: Mapping[str, float]) -> str:
    """Percentages as a Markdown table with the columns of the papers; "-" for nan.

    Args:
        name: Text of the first column.
        row: The result of `pckh_table` or `grouped`.
    """
    cells = ["-" if value != value else f"{value:.3f}" for value in row.values()]
    lines = (("Arch", *row), ("---",) * (len(row) + 1), (name, *cells))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
