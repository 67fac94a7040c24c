"""Scores of the validation of top-down models in training: ground-truth boxes, one view each, no flip test."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    """What was found of one person, in pixels of the image."""

    xy: Float[Tensor, "k 2"]
    score: Float[Tensor, " k"]

    @classmethod
    def rows(cls, points: Points, batch: Batch) -> "list[FoundPerson]":
        """The people of a batch."""
        xy = apply(invert(batch.warps), points.xy.to(batch.warps.dtype)).float().cpu()
        score = points.score.float().cpu()
        return [cls(one, sure) for one, sure in zip(xy, score, strict=True)]


@final
@dataclass(frozen=True, eq=False)
class PeopleTruth:
    """The labels of the people to check on, by place.

    Attributes:
        people: One row per place.
        images: The image of each place.
        skeleton: The keypoints.
        document: The same labels as COCO annotations, with everybody else in those images.
    """

    people: Labels
    images: tuple[int, ...]
    skeleton: Skeleton
    document: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "PeopleTruth":
        """The labels of everybody whom views without augmentation show, in their order."""
        where = dataset.people()
        images = tuple(image for image, _ in where)
        labels = {image: dataset.labels(image) for image in dict.fromkeys(images)}
        rows = [labels[image].select(slice(person, person + 1)) for image, person in where]
        people = Labels(**{f.name: torch.cat([getattr(r, f.name) for r in rows]) for f in fields(Labels)})
        skeleton = dataset.skeleton
        return cls(people, images, skeleton, coco_format.to_coco_annotations(labels, skeleton))


def score_people(truth: PeopleTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
    """AP of the COCO protocol and pck@0.1 (share of labelled keypoints) of the people found."""
    places = sorted(found)
    xy = torch.stack([found[p].xy for p in places])
    rows = [row for place in places for row in _result(truth.images[place], found[place])]
    protocol = coco.evaluate(truth.document, rows, truth.skeleton)
    return {"pck@0.1": pck(xy, truth.people.select(torch.tensor(places)), 0.1).mean, "AP": protocol.numbers["AP"]}


def _result(image: int, found: FoundPerson) -> list[dict[str, Any]]:
    rating = found.score.mean(dim=0, keepdim=True)
    return coco_format.to_coco_results(
        found.xy[None], found.score[None], rating, image=image, categories=torch.ones(1, dtype=torch.int64)
    )
