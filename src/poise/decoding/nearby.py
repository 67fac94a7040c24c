"""Poses that share keypoints: which of each group of them stays (DEKR, arXiv 2104.02300)."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from torch import Tensor


def best_of_nearby(
    xy: Float[Tensor, "n k 2"],
    score: Float[Tensor, " n"],
    *,
    order: Iterable[int],
    distance: float,
    min_shared: int,
) -> list[int]:
    """Indices of the poses that stay, in the order in which their groups were met.

    Each pose that is not removed yet forms a group with the poses that share keypoints with it; the best pose of the group
    stays, unless it was removed with another group.

    Args:
        xy: Keypoint positions of the poses of one image, pixels.
        score: Confidence of each pose, by which the best of a group is chosen.
        order: The poses in the order in which they are looked at.
        distance: Two keypoints are shared if they are nearer than this share of the diagonal of the first pose's box.
        min_shared: Number of shared keypoints above which poses belong together.
    """
    points, scores = xy.double(), score.double().numpy()
    extent = (points.amax(dim=1) - points.amin(dim=1)).norm(dim=-1)
    gap = (points[:, None] - points[None]).norm(dim=-1)
    near = ((gap < distance * extent[:, None, None]).sum(dim=-1) > min_shared).numpy()
    removed: set[int] = set()
    kept: list[int] = []
    for pose in order:
        if pose in removed:
            continue
        group = np.flatnonzero(near[pose])
        if not len(group):  # a pose without extent is not near itself
            group = np.array([pose])
        best = int(group[scores[group].argmax()])
        if best not in removed:
            kept.append(best)
            removed.update(group.tolist())
    return kept
