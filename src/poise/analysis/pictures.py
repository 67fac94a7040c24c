"""The images a model did best and worst on, labels beside predictions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64

from poise.analysis.diagnosis import Diagnosis
from poise.analysis.pairs import ERROR_KINDS
from poise.evaluation.eval_set import EvalSet
from poise.metrics.coco_format import Record
from poise.skeletons import Skeleton
from poise.viz.draw import AnyPixels, beside, draw_people, titled

SIDE = 320
"""Side of a picture, pixels."""

_EDGE = 0.08
"""Margin around the people, a share of what they cover."""

_EVERYTHING = float("-inf")
"""Lowest score of a keypoint to be drawn: all are drawn, as all are evaluated."""

CaptionedPicture = tuple[str, AnyPixels]
"""A caption and a picture."""


@final
@dataclass(frozen=True)
class ImageScore:
    """How well a model did on an image.

    Attributes:
        image: Id of the image.
        oks: Mean OKS of its people, where missed people and false positives count as 0.
        people: Number of labelled people.
        missed: Number of people who were not found.
        false: Number of false positives: predictions of background, or of people who were matched already.
        kinds: Number of keypoints of each kind.
    """

    image: int
    oks: float
    people: int
    missed: int
    false: int
    kinds: Counter[str]

    @property
    def words(self) -> str:
        """The caption."""
        parts = [f"OKS {self.oks:.2f}", f"{self.people - self.missed} of {self.people} found"]
        parts += [f"{self.false} false positive{'' if self.false == 1 else 's'}"] if self.false else []
        return ", ".join([*parts, *(f"{self.kinds[kind]} {kind}" for kind in ERROR_KINDS[1:] if self.kinds[kind])])


def rank_images(eval_set: EvalSet, results: Sequence[Record], diagnosis: Diagnosis) -> list[ImageScore]:
    """Every image with people or predictions that count, best first.

    Args:
        eval_set: Data set of the evaluation.
        results: Results in COCO's format.
        diagnosis: Diagnosis of the results.
    """
    matching, truth = diagnosis.matching, eval_set.truth["annotations"]
    total: dict[int, float] = {}
    kinds: dict[int, Counter[str]] = {}
    people, missed, false = Counter[int](), Counter(truth[i]["image_id"] for i in matching.missed), Counter[int]()
    false.update(results[i]["image_id"] for i in (*matching.background, *matching.duplicates))
    people.update(missed)
    for pair in matching.pairs:
        people[pair.image] += 1
        total[pair.image] = total.get(pair.image, 0.0) + pair.oks
        kinds.setdefault(pair.image, Counter()).update(ERROR_KINDS[kind] for kind in pair.kinds.tolist() if kind >= 0)
    found = [
        ImageScore(i, total.get(i, 0.0) / (people[i] + false[i]), people[i], missed[i], false[i], kinds.get(i, Counter()))
        for i in eval_set.ids
        if people[i] + false[i]
    ]
    return sorted(found, key=lambda one: -one.oks)


def best_and_worst(
    eval_set: EvalSet, results: Sequence[Record], diagnosis: Diagnosis, *, max_count: int = 20, without: Sequence[int] = ()
) -> tuple[list[CaptionedPicture], list[CaptionedPicture]]:
    """The pictures of the best images, best first, and of the worst, worst first; none is in both.

    Args:
        eval_set: Data set of the evaluation; its images are read.
        results: Results in COCO's format.
        diagnosis: Diagnosis of the results.
        max_count: Largest number of pictures of each.
        without: Ids of images that cannot be read.
    """
    skipped_ids = set(without)
    order = [one for one in rank_images(eval_set, results, diagnosis) if one.image not in skipped_ids]
    half = min(max_count, ceil(len(order) / 2))
    rows: dict[int, list[Record]] = {}
    for row in results:
        rows.setdefault(row["image_id"], []).append(row)
    index_of = {image: index for index, image in enumerate(eval_set.ids)}

    def shown(one: ImageScore) -> CaptionedPicture:
        index = index_of[one.image]
        return f"{eval_set.dataset.key(index).file_name}: {one.words}", side_by_side(eval_set, index, rows.get(one.image, []))

    return [shown(one) for one in order[:half]], [shown(one) for one in order[half:][::-1][:max_count]]


def side_by_side(eval_set: EvalSet, index: int, results: Sequence[Record]) -> AnyPixels:
    """The part of an image where people are: labels on the left, predictions on the right.

    Args:
        eval_set: Data set of the evaluation.
        index: Index of the image.
        results: Results of the image.
    """
    image: AnyPixels = np.ascontiguousarray(eval_set.dataset.image(index).permute(1, 2, 0).numpy())
    annotations = [a for a in eval_set.truth["annotations"] if a["image_id"] == eval_set.ids[index]]
    part = _around(image.shape[:2], annotations, results)
    factor = SIDE / max(part[2] - part[0], part[3] - part[1])
    size = (max(1, round((part[2] - part[0]) * factor)), max(1, round((part[3] - part[1]) * factor)))
    crop = image[part[1] : part[3], part[0] : part[2]]
    left = right = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    for category, skeleton in eval_set.skeletons.items():
        labels = _keypoints([a for a in annotations if a["category_id"] == category], skeleton)
        found = _keypoints([row for row in results if row["category_id"] == category], skeleton)
        visible: Int64[np.ndarray, "n k"] = labels[..., 2].astype(np.int64)
        left = draw_people(left, _to_crop(labels, part, factor), torch.from_numpy(visible), skeleton)
        scores = torch.from_numpy(found[..., 2].copy())
        right = draw_people(right, _to_crop(found, part, factor), scores, skeleton, min_score=_EVERYTHING)
    return beside([titled(_square(left), "labels"), titled(_square(right), "found")])


def _around(size: tuple[int, ...], annotations: Sequence[Record], results: Sequence[Record]) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1 around all people, inside the image; the whole image where there are none."""
    height, width = size[:2]
    points = [np.empty((0, 2))]
    for one, min_visibility in (*((a, 0.0) for a in annotations), *((row, float("-inf")) for row in results)):
        values = np.array(one.get("keypoints") or [], dtype=np.float64).reshape(-1, 3)
        points.append(values[values[:, 2] > min_visibility, :2])
    xy = np.concatenate(points)
    if not len(xy):
        return 0, 0, width, height
    xy = xy.clip(0, (width, height))
    low, high = xy.min(axis=0), xy.max(axis=0)
    side = (1 + 2 * _EDGE) * float((high - low).max()) + 8
    spans = [_span(float(a + b) / 2, side, limit) for a, b, limit in zip(low, high, (width, height), strict=True)]
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _span(middle: float, side: float, limit: int) -> tuple[int, int]:
    """Start and end of `side` pixels around the middle, shifted and clipped to the image."""
    length = min(ceil(side), limit)
    start = min(max(round(middle - length / 2), 0), limit - length)
    return start, start + length


def _square(image: AnyPixels) -> AnyPixels:
    """An image centred in a dark square."""
    ground = np.full((SIDE, SIDE, 3), 32, np.uint8)
    y, x = (SIDE - image.shape[0]) // 2, (SIDE - image.shape[1]) // 2
    ground[y : y + image.shape[0], x : x + image.shape[1]] = image
    return ground


def _keypoints(rows: Sequence[Record], skeleton: Skeleton) -> Float[np.ndarray, "n k 3"]:
    values = [row.get("keypoints") or [0.0] * (3 * len(skeleton)) for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), len(skeleton), 3)


def _to_crop(found: Float[np.ndarray, "n k 3"], part: tuple[int, int, int, int], factor: float) -> Float[np.ndarray, "n k 2"]:
    """Positions of keypoints in the part that is shown, pixels of the picture."""
    xy: np.ndarray = (found[..., :2] - np.array(part[:2]) + 0.5) * factor - 0.5
    return xy
