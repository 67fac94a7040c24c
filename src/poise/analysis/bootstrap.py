"""How far a score would go up and down with other images of the same kind: the bootstrap, over images.

Images are drawn with replacement, as many as there are, and the score of every draw is computed anew (Efron and Tibshirani,
An Introduction to the Bootstrap, 1993, chapters 6 and 13). People of one image stay together: their errors are not independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float64, Int64

from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.metrics.matches import Matches, find_box_matches, find_matches
from poise.metrics.pck import match_to_labels, pck

NAMES = ("AP", "AP50", "AP75", "AR", "pck@0.1")
"""The scores that are drawn."""

Scores = Mapping[str, Float64[np.ndarray, " b"]]
"""A score of every draw, by name."""


@final
@dataclass(frozen=True, eq=False)
class PerImageResults:
    """What a run got right, image by image: enough to score any draw of the images.

    Attributes:
        matches: Of COCO's protocol, for each category.
        hits: Keypoints of each image that pck@0.1 counts.
        labelled: Keypoints of each image that are labelled.
        boxes: Matches of boxes, for each category; none where they are not measured.
    """

    matches: tuple[Matches, ...]
    hits: Int64[np.ndarray, " i"]
    labelled: Int64[np.ndarray, " i"]
    boxes: tuple[Matches, ...] = ()

    @classmethod
    def of(
        cls, eval_set: EvalSet, results: Sequence[dict[str, Any]], *, boxes: Sequence[dict[str, Any]] | None = None
    ) -> "PerImageResults":
        """Count once. For pck each labelled person gets the pose of best OKS, as where a detector gave the boxes.

        Args:
            eval_set: The labels.
            results: Poses in COCO's form.
            boxes: Boxes in COCO's form, where they are measured too.

        Raises:
            AnnotationError: The annotations cannot be scored against, or results name images that are not there.
            SkeletonMismatch: Results of another number of keypoints.
            InputError: A result is not finite.
        """
        matches = tuple(find_matches(eval_set.truth, results, eval_set.skeletons))
        rows: dict[int, list[dict[str, Any]]] = {}
        for row in results:
            rows.setdefault(row["image_id"], []).append(row)
        counts = np.array(
            [_pck_counts(eval_set, index, rows.get(image, [])) for index, image in enumerate(eval_set.ids)], np.int64
        )
        order = {image: place for place, image in enumerate(eval_set.ids)}
        turn = [order[image["id"]] for image in eval_set.truth["images"]]
        hits, labelled = counts[turn].T.copy()
        return cls(matches, hits, labelled, () if boxes is None else tuple(find_box_matches(eval_set.truth, boxes)))

    def __len__(self) -> int:
        """How many images."""
        return len(self.hits)

    def scores(self, counts: Int64[np.ndarray, "b i"]) -> dict[str, Float64[np.ndarray, " b"]]:
        """The scores of draws: where every image counts once, those of the protocol. nan where nobody is.

        Those of boxes, if there are any, are named "box AP" and so on.

        Args:
            counts: How often each image comes, for each draw.
        """
        found = _protocol(self.matches, counts)
        if self.boxes:
            found |= {f"box {name}": value for name, value in _protocol(self.boxes, counts).items()}
        labelled = counts @ self.labelled
        near = np.divide(counts @ self.hits, labelled, out=np.full(len(counts), np.nan), where=labelled > 0)
        return found | {"pck@0.1": near}

    @property
    def full_scores(self) -> dict[str, float]:
        """The scores of the images as they are."""
        return {name: float(value[0]) for name, value in self.scores(np.ones((1, len(self)), np.int64)).items()}


def _protocol(matches: Sequence[Matches], counts: Int64[np.ndarray, "b i"]) -> dict[str, Float64[np.ndarray, " b"]]:
    """The protocol's numbers of every draw, the mean over categories."""
    found = [part.resampled(counts) for part in matches]
    precision = np.stack([p for p, _ in found], axis=-1)
    recall = np.stack([r for _, r in found], axis=-1)
    parts = {"AP": precision, "AP50": precision[:, :1], "AP75": precision[:, 5:6], "AR": recall}
    return {name: _means(part.reshape(len(counts), -1)) for name, part in parts.items()}


def _means(values: Float64[np.ndarray, "b v"]) -> Float64[np.ndarray, " b"]:
    """The mean of what is not -1, row by row."""
    if (values > -1).all():
        means: np.ndarray = values.mean(axis=1)
        return means
    known = [row[row > -1] for row in values]
    return np.array([row.mean() if len(row) else np.nan for row in known])


def _pck_counts(eval_set: EvalSet, index: int, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Hits of pck@0.1 and labelled keypoints of an image."""
    labels = eval_set.dataset.labels(index)
    found = torch.full_like(labels.xy, torch.nan)
    for category in {row["category_id"] for row in rows} & set(eval_set.skeletons):
        own = [row for row in rows if row["category_id"] == category]
        columns = [eval_set.skeleton.index(name) for name in eval_set.skeletons[category].keypoints]
        people = (
            (labels.categories == category).nonzero().flatten() if len(eval_set.skeletons) > 1 else torch.arange(len(labels))
        )
        xy = torch.full((len(own), len(eval_set.skeleton), 2), torch.nan)
        values = np.array([row["keypoints"] for row in own], np.float64)
        xy[:, columns] = torch.from_numpy(values.reshape(len(own), -1, 3)[..., :2].astype(np.float32))
        score = torch.tensor([float(row["score"]) for row in own])
        found[people] = match_to_labels(xy, score, labels.select(people), eval_set.skeleton.sigmas)
    counted = pck(found, labels, 0.1)
    return int(counted.hits.sum()), int(counted.labelled.sum())


def resample_counts(images: int, *, resamples: int, seed: int) -> Int64[np.ndarray, "b i"]:
    """How often each image comes in every draw.

    Raises:
        InputError: Fewer than two images, or fewer than 100 draws.
    """
    if images < 2 or resamples < 100:
        raise InputError(f"an interval needs at least 2 images and 100 resamples, found {images} and {resamples}")
    counts: np.ndarray = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    return counts


def percentile_interval(values: Float64[np.ndarray, " b"]) -> tuple[float, float]:
    """Between which values the middle 95 % of the draws lie (the percentile interval); nan where there is none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
