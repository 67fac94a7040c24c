"""Boxes as arrays of float64: how two lie to each other; and the sigmas of keypoints."""

import numpy as np
from jaxtyping import Float

from poise.skeletons import Skeleton

SIGMA = 0.079
"""OKS sigma of keypoints whose skeleton has none: the mean of COCO's."""


def centres(boxes: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n 2"]:
    """Middles of boxes x0 y0 x1 y1."""
    middle: np.ndarray = (boxes[..., :2] + boxes[..., 2:]) / 2
    return middle


def areas(boxes: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Areas of boxes x0 y0 x1 y1."""
    found: np.ndarray = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0).prod(axis=-1)
    return found


def iou(a: Float[np.ndarray, "m 4"], b: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "m n"]:
    """Intersection over union of each box with each other one."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=-1)
    found: np.ndarray = shared / np.maximum(areas(a)[:, None] + areas(b)[None] - shared, 1e-9)
    return found


def covered(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """The largest share of each box that another one covers."""
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=-1) / np.maximum(areas(boxes)[:, None], 1e-9)
    np.fill_diagonal(shared, 0.0)
    found: np.ndarray = shared.max(axis=1, initial=0.0)
    return found


def nearness(
    expected: Float[np.ndarray, "m 4"], boxes: Float[np.ndarray, "n 4"], reach: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m n"]:
    """1 where the centres meet, exp(-1/2) where they are `reach` body sizes apart."""
    sides = [np.maximum((own[:, 2:] - own[:, :2]).max(axis=1), 1.0) for own in (expected, boxes)]
    size = np.maximum(sides[0][:, None], sides[1][None])
    away = np.linalg.norm(centres(expected)[:, None] - centres(boxes)[None], axis=-1) / (size * reach[:, None])
    found: np.ndarray = np.exp(-0.5 * away**2)
    return found


def sigmas_of(skeleton: Skeleton | None, keypoints: int) -> Float[np.ndarray, " k"]:
    """The OKS sigma of each keypoint; `SIGMA` where the skeleton has none, or is not known."""
    if skeleton is None or len(skeleton.sigmas) != keypoints:
        return np.full(keypoints, SIGMA)
    return np.array(skeleton.sigmas, dtype=np.float64)
