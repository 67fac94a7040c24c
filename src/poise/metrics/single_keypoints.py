"""AP and AR of each keypoint by COCO's protocol, as if it alone were labelled: all keypoints are matched together.

One run of the protocol for each keypoint would match the same poses with the same people 17 times for COCO; here the arrays of
all keypoints and thresholds go through the matching at once. The tests compare every number with pycocotools'.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from poise.metrics.coco_format import (
    GroundTruth,
    Record,
    checked_annotations,
    checked_results,
    skeletons_by_category,
)
from poise.metrics.matches import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE, Matches
from poise.metrics.oks import EPSILON
from poise.metrics.takeable import RESULTS_PER_IMAGE, takeable
from poise.skeletons import Skeleton

THRESHOLDS = np.minimum(np.linspace(0.5, 0.95, 10), 1 - 1e-10)
"""The protocol's thresholds of OKS."""

MEMORY = 2**21
"""Numbers of an array of the matching, at most, unless a single image has more."""


def evaluate_keypoints(
    truth: GroundTruth, results: Sequence[Record], skeletons: Skeleton | Mapping[int, Skeleton]
) -> dict[str, dict[str, float]]:
    """AP and AR for each keypoint, computed as if no other keypoint were labelled.

    The OKS of a result then depends on this keypoint only, and people on whom it is not labelled are ignored.

    Args:
        truth: COCO annotations.
        results: Poses in COCO's format.
        skeletons: The skeleton of all categories, or that of each category by its id.

    Returns:
        "AP" and "AR", by the name of the keypoint; means over the categories, -1 where it is never labelled.

    Raises:
        AnnotationError: The annotations are not valid (`metrics.coco.evaluate`).
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton of their category.
        InputError: A result lacks a field or is not finite.
    """
    of = skeletons_by_category(truth, skeletons)
    people, poses = checked_annotations(truth, of), checked_results(truth, results, of)
    people = takeable(people, poses, of)
    place = {image: i for i, image in enumerate(sorted({image["id"] for image in truth["images"]}))}
    names = dict.fromkeys(name for skeleton in of.values() for name in skeleton.keypoints)
    precision: dict[str, list[np.ndarray]] = {name: [] for name in names}
    recall: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for category, skeleton in sorted(of.items()):
        rows = [[row for row in part if row["category_id"] == category] for part in (people, poses)]
        labels, found = _People.of(rows[0], skeleton, place), _Results.of(rows[1], skeleton, place)
        for name, matches in zip(skeleton.keypoints, _matches(labels, found, skeleton, images=len(place)), strict=True):
            curves = matches.curves()
            precision[name].append(curves[0])
            recall[name].append(curves[1])
    return {name: {"AP": _mean(precision[name]), "AR": _mean(recall[name])} for name in names}


def _mean(parts: Sequence[np.ndarray]) -> float:
    values = np.concatenate([part[part > -1] for part in parts])
    return float(values.mean()) if len(values) else -1.0


@final
@dataclass(frozen=True, eq=False)
class _People:
    """The labelled people of a category, image by image."""

    image: Int64[np.ndarray, " n"]
    xy: Float64[np.ndarray, "n k 2"]
    seen: Bool[np.ndarray, "n k"]
    area: Float64[np.ndarray, " n"]
    boxes: Float64[np.ndarray, "n 4"]
    crowd: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], skeleton: Skeleton, place: Mapping[int, int]) -> "_People":
        image = np.array([place[row["image_id"]] for row in rows], np.int64)
        keypoints = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), len(skeleton), 3)
        area = np.array([row["area"] for row in rows], np.float64)
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(len(rows), 4)
        crowd = np.array([row["iscrowd"] for row in rows], np.bool_)
        order = np.argsort(image, kind="stable")
        return cls(
            *(part[order] for part in (image, keypoints[..., :2], keypoints[..., 2] > 0, area, boxes, crowd)),
        )


@final
@dataclass(frozen=True, eq=False)
class _Results:
    """The results of a category that count, image by image, highest score first."""

    image: Int64[np.ndarray, " m"]
    xy: Float64[np.ndarray, "m k 2"]
    score: Float64[np.ndarray, " m"]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], skeleton: Skeleton, place: Mapping[int, int]) -> "_Results":
        image = np.array([place[row["image_id"]] for row in rows], np.int64)
        score = np.array([row["score"] for row in rows], np.float64)
        order = np.lexsort((-score, image))
        first = np.searchsorted(image[order], image[order])
        order = order[np.arange(len(rows)) - first < RESULTS_PER_IMAGE]
        keypoints = [rows[i]["keypoints"] for i in order.tolist()]
        xy = np.array(keypoints, np.float64).reshape(len(order), len(skeleton), 3)[..., :2]
        return cls(image[order], xy, score[order])


def _matches(people: _People, found: _Results, skeleton: Skeleton, *, images: int) -> list[Matches]:
    """The matches of each keypoint."""
    outcome = np.full((len(skeleton), len(THRESHOLDS), len(found.image)), FALSE_POSITIVE, np.int8)
    for results, labels in _alike(people, found, cells=len(skeleton) * len(THRESHOLDS), images=images):
        outcome[:, :, results] = _outcome(people, found, skeleton, results, labels)
    order = np.argsort(-found.score, kind="stable")
    counted = people.seen & ~people.crowd[:, None]
    labelled = [np.bincount(people.image[counted[:, k]], minlength=images) for k in range(len(skeleton))]
    return [
        Matches(one[:, order], found.image[order], here.astype(np.int64)) for one, here in zip(outcome, labelled, strict=True)
    ]


def _alike(
    people: _People, found: _Results, *, cells: int, images: int
) -> Iterator[tuple[Int64[np.ndarray, "i d"], Int64[np.ndarray, "i g"]]]:
    """Rows of results and of people, for images with equal numbers of both, some images at a time; both numbers above 0.

    Args:
        people: The labelled people.
        found: The results.
        cells: Numbers of the matching for each person.
        images: Number of images.
    """
    counts = np.stack([np.bincount(part.image, minlength=images) for part in (found, people)])
    first = np.cumsum(counts, axis=1) - counts
    busy = np.flatnonzero((counts > 0).all(axis=0))
    for results, labels in np.unique(counts[:, busy], axis=1).T.tolist():
        every = busy[(counts[0, busy] == results) & (counts[1, busy] == labels)]
        for start in range(0, len(every), size := max(1, MEMORY // (cells * labels))):
            here = every[start : start + size, None]
            yield first[0, here] + np.arange(results), first[1, here] + np.arange(labels)


def _outcome(
    people: _People,
    found: _Results,
    skeleton: Skeleton,
    results: Int64[np.ndarray, "i d"],
    labels: Int64[np.ndarray, "i g"],
) -> Int8[np.ndarray, "k t i d"]:
    """The outcome of each result by the protocol: best first, each takes the free person of highest OKS above the threshold.

    Ignored people are taken only where no other is left; of equal OKS the last counts, and crowds are never taken away.
    """
    crowd = people.crowd[labels]
    seen = np.moveaxis(people.seen[labels], -1, 0)
    ignored = (~seen | crowd)[:, None]
    taken = np.zeros((len(skeleton), len(THRESHOLDS), *labels.shape), np.bool_)
    outcome = np.empty((len(skeleton), len(THRESHOLDS), *results.shape), np.int8)
    for d, own in enumerate(results.T):
        similar = _similar(people, found.xy[own], labels, skeleton)[:, None]
        able = (similar >= THRESHOLDS[:, None, None]) & (~taken | crowd)
        better = able & ~ignored
        able = np.where(better.any(axis=-1, keepdims=True), better, able)
        best = labels.shape[1] - 1 - np.argmax(np.where(able, similar, -1.0)[..., ::-1], axis=-1)[..., None]
        matched = np.take_along_axis(able, best, -1)
        nobody = np.take_along_axis(np.broadcast_to(ignored, able.shape), best, -1)
        outcome[..., d] = np.where(matched, np.where(nobody, IGNORED, TRUE_POSITIVE), FALSE_POSITIVE)[..., 0]
        np.put_along_axis(taken, best, np.take_along_axis(taken, best, -1) | matched, -1)
    return outcome


def _similar(
    people: _People, xy: Float64[np.ndarray, "i k 2"], labels: Int64[np.ndarray, "i g"], skeleton: Skeleton
) -> Float64[np.ndarray, "k i g"]:
    """OKS of a result of each image with its people, for each keypoint as if it alone were labelled (`metrics.oks.oks`)."""
    scale = ((2 * np.array(skeleton.sigmas)) ** 2) * (people.area[labels] + EPSILON)[..., None] * 2
    corner, size = people.boxes[labels][..., None, :2], people.boxes[labels][..., None, 2:]
    own = xy[:, None]
    out = np.maximum(corner - size - own, 0) + np.maximum(own - (corner + 2 * size), 0)
    beside = np.exp(-np.square(out).sum(axis=-1) / scale).mean(axis=-1)
    alone = np.exp(-np.square(own - people.xy[labels]).sum(axis=-1) / scale)
    return np.moveaxis(np.where(people.seen[labels], alone, beside[..., None]), -1, 0)
