"""Scores of the validation of top-down models in training: ground-truth boxes, one view each, no flip test."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.geometry import apply, invert
from poise.metrics import coco, coco_format
from poise.metrics.pck import pck
from poise.skeletons import Skeleton
from poise.structures import Batch, Labels, Points


@final
@dataclass(frozen=True, eq=False)
class FoundPerson:
    """The predicted keypoints of one person, pixels of the image, and their scores."""

    xy: Float[Tensor, "k 2"]
    score: Float[Tensor, " k"]

    @classmethod
    def of_batch(cls, points: Points, batch: Batch) -> "list[FoundPerson]":
        """The people of a batch."""
        xy = apply(invert(batch.warps), points.xy.to(batch.warps.dtype)).float().cpu()
        score = points.score.float().cpu()
        return [cls(one, confidence) for one, confidence in zip(xy, score, strict=True)]


@final
@dataclass(frozen=True, eq=False)
class PeopleTruth:
    """The labels of the people of the validation, by the index of their view.

    Attributes:
        people: Labels, one row per view.
        images: Index of the image of each view.
        skeleton: Skeleton of the data set.
        document: The labels of these images as COCO annotations, all people included.
    """

    people: Labels
    images: tuple[int, ...]
    skeleton: Skeleton
    document: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "PeopleTruth":
        """The labels of the people of `Dataset.people`, in their order."""
        where = dataset.people()
        images = tuple(image for image, _ in where)
        labels = {image: dataset.labels(image) for image in dict.fromkeys(images)}
        parts = [labels[image].select(slice(person, person + 1)) for image, person in where]
        people = Labels(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Labels)})
        skeleton = dataset.skeleton
        return cls(people, images, skeleton, coco_format.to_coco_annotations(labels, skeleton))


def score_people(truth: PeopleTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
    """AP of the COCO protocol and pck@0.1 (share of labelled keypoints) of the people found, by the index of their view."""
    indices = sorted(found)
    xy = torch.stack([found[index].xy for index in indices])
    rows = [row for index in indices for row in _result(truth.images[index], found[index])]
    protocol = coco.evaluate(truth.document, rows, truth.skeleton)
    return {"pck@0.1": pck(xy, truth.people.select(torch.tensor(indices)), 0.1).mean, "AP": protocol.numbers["AP"]}


def score_keypoints(truth: PeopleTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
    """pck@0.1 of each keypoint that is labelled, by "pck@0.1/" and its name."""
    indices = sorted(found)
    xy = torch.stack([found[index].xy for index in indices])
    shares = pck(xy, truth.people.select(torch.tensor(indices)), 0.1).keypoints
    named = zip(truth.skeleton.keypoints, shares, strict=True)
    return {f"pck@0.1/{name}": share for name, share in named if isfinite(share)}


def _result(image: int, found: FoundPerson) -> list[dict[str, Any]]:
    pose_score = found.score.mean(dim=0, keepdim=True)
    return coco_format.to_coco_results(
        found.xy[None], found.score[None], pose_score, image=image, categories=torch.ones(1, dtype=torch.int64)
    )
