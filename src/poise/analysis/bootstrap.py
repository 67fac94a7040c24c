"""Confidence intervals of scores: the bootstrap over images.

Images are drawn with replacement, as many as there are, and the scores of every resample are computed (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 6 and 13). People of one image stay together, because their errors are not
independent.
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
"""The scores that are resampled."""

Scores = Mapping[str, Float64[np.ndarray, " b"]]
"""Values of each score over the resamples, by name."""


@final
@dataclass(frozen=True, eq=False)
class PerImageResults:
    """Matches and hits of a run for each image, from which any resample of the images is scored.

    Attributes:
        matches: Matches of COCO's keypoint protocol, for each category.
        hits: Number of keypoints of each image that are right by pck@0.1.
        labelled: Number of labelled keypoints of each image.
        boxes: Matches of COCO's box protocol, for each category; empty if boxes are not evaluated.
    """

    matches: tuple[Matches, ...]
    hits: Int64[np.ndarray, " i"]
    labelled: Int64[np.ndarray, " i"]
    boxes: tuple[Matches, ...] = ()

    @classmethod
    def of(
        cls, eval_set: EvalSet, results: Sequence[dict[str, Any]], *, boxes: Sequence[dict[str, Any]] | None = None
    ) -> "PerImageResults":
        """Match results and labels once. For pck, each labelled person gets the pose of highest OKS.

        Args:
            eval_set: The labels.
            results: Poses in COCO's result format.
            boxes: Boxes in COCO's result format, if they are evaluated too.

        Raises:
            AnnotationError: The annotations cannot be evaluated against, or results name images that are not in them.
            SkeletonMismatch: Results with another number of keypoints.
            InputError: A result is not finite.
        """
        matches = tuple(find_matches(eval_set.truth, results, eval_set.skeletons))
        rows: dict[int, list[dict[str, Any]]] = {}
        for row in results:
            rows.setdefault(row["image_id"], []).append(row)
        counts = np.array(
            [_pck_counts(eval_set, index, rows.get(image, [])) for index, image in enumerate(eval_set.ids)], np.int64
        )
        order = {image: index for index, image in enumerate(eval_set.ids)}
        order_in_file = [order[image["id"]] for image in eval_set.truth["images"]]
        hits, labelled = counts[order_in_file].T.copy()
        return cls(matches, hits, labelled, () if boxes is None else tuple(find_box_matches(eval_set.truth, boxes)))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.hits)

    def scores(self, counts: Int64[np.ndarray, "b i"]) -> dict[str, Float64[np.ndarray, " b"]]:
        """The scores of resamples; equal to those of the protocol if every image counts once. NaN where no person is labelled.

        Scores of boxes, if there are any, are named "box AP" and so on.

        Args:
            counts: How often each image occurs in each resample.
        """
        found = _protocol(self.matches, counts)
        if self.boxes:
            found |= {f"box {name}": value for name, value in _protocol(self.boxes, counts).items()}
        labelled = counts @ self.labelled
        pck_values = np.divide(counts @ self.hits, labelled, out=np.full(len(counts), np.nan), where=labelled > 0)
        return found | {"pck@0.1": pck_values}

    @property
    def full_scores(self) -> dict[str, float]:
        """The scores of all images, each once."""
        return {name: float(value[0]) for name, value in self.scores(np.ones((1, len(self)), np.int64)).items()}


def _protocol(matches: Sequence[Matches], counts: Int64[np.ndarray, "b i"]) -> dict[str, Float64[np.ndarray, " b"]]:
    """The protocol's scores of every resample, averaged over categories."""
    found = [part.resampled(counts) for part in matches]
    precision = np.stack([p for p, _ in found], axis=-1)
    recall = np.stack([r for _, r in found], axis=-1)
    parts = {"AP": precision, "AP50": precision[:, :1], "AP75": precision[:, 5:6], "AR": recall}
    return {name: _means(part.reshape(len(counts), -1)) for name, part in parts.items()}


def _means(values: Float64[np.ndarray, "b v"]) -> Float64[np.ndarray, " b"]:
    """The mean of each row over the values that are not -1."""
    if (values > -1).all():
        means: np.ndarray = values.mean(axis=1)
        return means
    known = [row[row > -1] for row in values]
    return np.array([row.mean() if len(row) else np.nan for row in known])


def _pck_counts(eval_set: EvalSet, index: int, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Numbers of keypoints of an image that are right by pck@0.1, and that are labelled."""
    labels = eval_set.dataset.labels(index)
    found = torch.full_like(labels.xy, torch.nan)
    for category in {row["category_id"] for row in rows} & set(eval_set.skeletons):
        of_category = [row for row in rows if row["category_id"] == category]
        columns = [eval_set.skeleton.index(name) for name in eval_set.skeletons[category].keypoints]
        people = (
            (labels.categories == category).nonzero().flatten() if len(eval_set.skeletons) > 1 else torch.arange(len(labels))
        )
        xy = torch.full((len(of_category), len(eval_set.skeleton), 2), torch.nan)
        values = np.array([row["keypoints"] for row in of_category], np.float64)
        xy[:, columns] = torch.from_numpy(values.reshape(len(of_category), -1, 3)[..., :2].astype(np.float32))
        score = torch.tensor([float(row["score"]) for row in of_category])
        found[people] = match_to_labels(xy, score, labels.select(people), eval_set.skeleton.sigmas)
    counted = pck(found, labels, 0.1)
    return int(counted.hits.sum()), int(counted.labelled.sum())


def resample_counts(images: int, *, resamples: int, seed: int) -> Int64[np.ndarray, "b i"]:
    """How often each image occurs in each resample.

    Args:
        images: Number of images.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        InputError: Fewer than two images, or fewer than 100 resamples.
    """
    if images < 2 or resamples < 100:
        raise InputError(f"an interval needs at least 2 images and 100 resamples, found {images} and {resamples}")
    counts: np.ndarray = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    return counts


def percentile_interval(values: Float64[np.ndarray, " b"]) -> tuple[float, float]:
    """Lower and upper end of the 95 % percentile interval; NaN if no value is finite."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
