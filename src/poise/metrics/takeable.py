"""Files that list far more boxes than labelled people: what of them the counting of matches has to see."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from poise.metrics.oks import EPSILON
from poise.skeletons import Skeleton

RESULTS_PER_IMAGE = 20
"""Results of an image that count by COCO's protocol, the best first."""


def takeable(
    people: Sequence[dict[str, Any]], poses: Sequence[Mapping[str, Any]], of: Mapping[int, Skeleton]
) -> list[dict[str, Any]]:
    """The annotations without people who have no labelled keypoint and whom no result can take: every score stays as it is.

    Such people are ignored: a result takes the free one of highest OKS, where it finds no labelled one. At most all other
    results of the image have taken one before, so of n results each needs the n nearest.

    Args:
        people: Annotations (`metrics.coco_format.checked_annotations`).
        poses: Results (`metrics.coco_format.checked_results`).
        of: Skeleton of each category, by category id.
    """
    boxes = Counter((row["image_id"], row["category_id"]) for row in people if not row["num_keypoints"])
    if not boxes or max(boxes.values()) <= RESULTS_PER_IMAGE**2:
        return list(people)
    many = {place for place, count in boxes.items() if count > RESULTS_PER_IMAGE**2}
    kept: list[dict[str, Any]] = []
    nobody: defaultdict[tuple[Any, Any], list[dict[str, Any]]] = defaultdict(list)
    found: defaultdict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
    for row in people:
        place = row["image_id"], row["category_id"]
        (nobody[place] if place in many and not row["num_keypoints"] else kept).append(row)
    for pose in poses:
        found[pose["image_id"], pose["category_id"]].append(pose)
    for place, rows in nobody.items():
        best = sorted(found[place], key=lambda pose: -pose["score"])[:RESULTS_PER_IMAGE]
        kept += [rows[i] for i in _nearest(rows, best, of[place[1]])]
    return sorted(kept, key=lambda row: row["id"])


def _nearest(rows: Sequence[Mapping[str, Any]], poses: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> list[int]:
    """The people of highest OKS with each result, as many as there are results."""
    if not poses:
        return []
    boxes = np.array([row["bbox"] for row in rows], np.float64)
    scale = ((2 * np.array(skeleton.sigmas)) ** 2) * (np.array([row["area"] for row in rows])[:, None] + EPSILON) * 2
    low, high = boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + 2 * boxes[:, 2:]
    near: set[int] = set()
    for pose in poses:
        xy = np.array(pose["keypoints"], np.float64).reshape(-1, 3)[:, :2]
        around = np.flatnonzero(((low <= xy.min(axis=0)) & (xy.max(axis=0) <= high)).all(axis=1))
        if len(around) >= len(poses):  # an OKS of 1
            near.update(around[-len(poses) :].tolist())
            continue
        similar = _beside(boxes, xy, scale)
        near.update(np.lexsort((np.arange(len(rows)), similar))[-len(poses) :].tolist())
    return sorted(near)


def _beside(
    boxes: Float64[np.ndarray, "n 4"], xy: Float64[np.ndarray, "k 2"], scale: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, " n"]:
    """OKS with people of whom no keypoint counts: how far keypoints lie outside of boxes of three times the size."""
    squares = np.zeros_like(scale)
    for axis in (0, 1):
        corner, size = boxes[:, axis, None], boxes[:, axis + 2, None]
        squares += np.square(np.maximum(corner - size - xy[:, axis], 0) + np.maximum(xy[:, axis] - (corner + 2 * size), 0))
    similar: np.ndarray = np.exp(-squares / scale).mean(axis=1)
    return similar
