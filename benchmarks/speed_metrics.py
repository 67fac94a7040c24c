"""Removing doubles among 30 people, beside NumPy readings of the published suppression, a pose at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from row import Row

from poise.metrics.oks import oks_nms, pose_oks, soft_oks_nms
from poise.skeletons import COCO17

PEOPLE, THRESHOLD = 30, 0.9


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses, areas, scores; a third of the poses are doubles."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 600, (PEOPLE, 1, 2)) + rng.normal(size=(PEOPLE, 17, 2)) * 40
    xy[20:] = xy[:10] + rng.normal(size=(10, 17, 2))
    return xy, rng.uniform(5_000, 60_000, PEOPLE), rng.random(PEOPLE)


def similar(one: np.ndarray, others: np.ndarray, area: float, areas: np.ndarray) -> np.ndarray:
    """OKS of a pose with each of the others, a keypoint formula at a time."""
    variances = (2 * np.array(COCO17.sigmas)) ** 2
    out = np.zeros(len(others))
    for i, other in enumerate(others):
        dx, dy = other[:, 0] - one[:, 0], other[:, 1] - one[:, 1]
        e = (dx**2 + dy**2) / variances / ((area + areas[i]) / 2 + np.spacing(1)) / 2
        out[i] = np.sum(np.exp(-e)) / len(e)
    return out


def reading(xy: np.ndarray, area: np.ndarray, score: np.ndarray) -> list[int]:
    order, kept = score.argsort()[::-1], list[int]()
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[similar(xy[best], xy[order], area[best], area[order]) <= THRESHOLD]
    return kept


def soft_reading(xy: np.ndarray, area: np.ndarray, score: np.ndarray) -> list[int]:
    order, kept = score.argsort()[::-1], list[int]()
    left = score[order]
    while len(order) and len(kept) < 20:
        best, order = order[0], order[1:]
        kept.append(int(best))
        left = left[1:] * np.exp(-(similar(xy[best], xy[order], area[best], area[order]) ** 2) / THRESHOLD)
        turn = left.argsort()[::-1]
        order, left = order[turn], left[turn]
    return kept


def rows() -> Iterator[Row]:
    """Two rows; both sides must agree first."""
    xy, area, score = drawn()
    poses, areas, scores = torch.from_numpy(xy), torch.from_numpy(area), torch.from_numpy(score)

    def hard() -> list[int]:
        kept: list[int] = oks_nms(pose_oks(poses, areas, COCO17.sigmas), scores, THRESHOLD).tolist()
        return kept

    def soft() -> list[int]:
        kept: list[int] = soft_oks_nms(pose_oks(poses, areas, COCO17.sigmas), scores, THRESHOLD).tolist()
        return kept

    if hard() != reading(xy, area, score) or soft() != soft_reading(xy, area, score):
        raise RuntimeError("the poses that stay differ from those of the reading")
    yield Row("OKS-NMS, 30 people", hard, lambda: reading(xy, area, score), public=3.614, wanted=10.0, repeats=50)
    yield Row("soft OKS-NMS, 30 people", soft, lambda: soft_reading(xy, area, score), public=3.224, wanted=10.0, repeats=50)
