"""The sigmas of OKS for any keypoints, estimated from people who were annotated more than once.

COCO (cocodataset.org/#keypoints-eval) measured them on 5,000 images of its own that were annotated redundantly: sigma^2 is the
mean of d^2 / s^2, where d is the distance of a label from the true keypoint and s^2 the area of the person. The true keypoint
is unknown; the mean of m labels is nearer to each of them, by a factor of (m - 1) / m in d^2, which is divided out. With two
labels, d^2 is thus half of the squared distance between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torchvision.ops import box_iou

from poise.data.base import Dataset
from poise.data.document import Document
from poise.data.label_ops import trainable
from poise.errors import AnnotationError, InputError
from poise.evaluation.eval_set import EvalSet
from poise.metrics import coco
from poise.metrics.coco_format import Record
from poise.skeletons import COCO17, convert, from_category
from poise.structures import Labels

Pairing = Literal["overlap", "id"]
"""How annotations of one person are paired: by the IoU of boxes, or by annotation id."""

MIN_OVERLAP = 0.5
"""Lowest IoU of two boxes of one person."""

MIN_PEOPLE = 10
"""Smallest number of people with a keypoint labelled twice for an estimate of its sigma."""

FACTORS = (0.5, 1.0, 2.0)
"""Factors on the sigmas for AP at other ones."""


@final
@dataclass(frozen=True)
class Sigma:
    """The estimate for a keypoint.

    Attributes:
        name: Name of the keypoint.
        people: Number of people on whom it is labelled at least twice.
        value: The estimate; None from fewer than `MIN_PEOPLE`.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    name: str
    people: int
    value: float | None
    low: float = float("nan")
    high: float = float("nan")


def estimate_sigmas(
    datasets: Sequence[Dataset], *, by: Pairing = "overlap", resamples: int = 1000, seed: int = 0
) -> list[Sigma]:
    """The sigma of every keypoint of the first data set, with 95 % intervals from a bootstrap over people.

    Args:
        datasets: Annotations of the same images by two or more annotators; images are paired by file name, keypoints by name.
        by: How annotations of one person are paired.
        resamples: Number of resamples of the people.
        seed: Seed of the resamples.

    Raises:
        InputError: Fewer than two data sets, or fewer than 100 resamples.
        AnnotationError: They share no images, no person is annotated twice, or a keypoint never differs.
    """
    if len(datasets) < 2 or resamples < 100:
        raise InputError(
            f"repeated annotations are two or more files, and an interval needs 100 resamples; found {len(datasets)} files and "
            f"{resamples} resamples"
        )
    people = _people(datasets, by=by)
    parts = [_scatter(labels) for labels in people]
    squares, degrees = (np.stack(part) for part in zip(*parts, strict=True))
    counted = degrees.sum(axis=0)
    generator = np.random.default_rng(seed)
    rows = np.stack([_resampled(squares, degrees, generator) for _ in range(resamples)])
    found = []
    for k, name in enumerate(datasets[0].skeleton.keypoints):
        number = int((degrees[:, k] > 0).sum())
        if number < MIN_PEOPLE:
            found.append(Sigma(name, number, None))
            continue
        low, high = np.nanquantile(rows[:, k], [0.025, 0.975])
        found.append(Sigma(name, number, float(np.sqrt(squares[:, k].sum() / counted[k])), float(low), float(high)))
    same = [one.name for one in found if one.value == 0]
    if same:
        raise AnnotationError(
            f"all annotators give {', '.join(same)} the very same positions, and OKS cannot divide by a sigma of 0; are the "
            f"labels of one file copies of the other's?"
        )
    return found


def _resampled(
    squares: Float64[np.ndarray, "n k"], degrees: Float64[np.ndarray, "n k"], generator: np.random.Generator
) -> Float64[np.ndarray, " k"]:
    """The sigmas of one resample of people; NaN if a keypoint is not in it."""
    count = generator.multinomial(len(squares), np.full(len(squares), 1 / len(squares)))
    total = count @ degrees
    ratio = np.divide(count @ squares, total, out=np.full(total.shape, np.nan), where=total > 0)
    sigmas: np.ndarray = np.sqrt(ratio)
    return sigmas


def _scatter(labels: Labels) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """For each keypoint of one person: sum of squares about the mean label divided by the area, and degrees of freedom."""
    known = (labels.visible > 0).double()
    count = known.sum(dim=0)
    xy = labels.xy.double()
    middle = (xy * known[..., None]).sum(dim=0) / count.clamp(min=1)[:, None]
    squares = ((xy - middle).square().sum(dim=-1) * known).sum(dim=0) / labels.area.double().mean()
    degrees = (count - 1).clamp(min=0)
    return torch.where(degrees > 0, squares, 0).numpy(), degrees.numpy()


def _people(datasets: Sequence[Dataset], *, by: Pairing) -> list[Labels]:
    """The people who are annotated more than once: their annotations, one row each."""
    first = datasets[0]
    by_name = [{PurePosixPath(d.key(i).file_name).name: i for i in range(len(d))} for d in datasets]
    shared = [name for name in by_name[0] if any(name in other for other in by_name[1:])]
    if not shared:
        raise AnnotationError("the files share no image by file name; repeated annotations are of the same images")
    found = []
    for name in shared:
        parts = [_labels(d, own[name], first) for d, own in zip(datasets, by_name, strict=True) if name in own]
        found += _paired(parts, by=by)
    if not found:
        how = "have the same id" if by == "id" else f"have boxes that overlap by {MIN_OVERLAP}"
        raise AnnotationError(f"in {len(shared)} shared images no two annotations {how}; pair people in the other way (--by)")
    return found


def _labels(dataset: Dataset, index: int, first: Dataset) -> Labels:
    """The people of an image, in the keypoints of the first data set."""
    labels = dataset.labels(index)
    labels = labels.select(trainable(labels))
    xy, visible = convert(labels.xy, labels.visible, source=dataset.skeleton, target=first.skeleton)
    return replace(labels, xy=xy, visible=visible)


def _paired(parts: Sequence[Labels], *, by: Pairing) -> list[Labels]:
    """The people of the first annotator who labels any, each with the paired annotations of the others."""
    groups = [[parts[0].select(slice(row, row + 1))] for row in range(len(parts[0]))]
    for other in parts[1:]:
        closeness = _nearness(parts[0], other, by=by)
        while closeness.numel() and float(closeness.max()) >= MIN_OVERLAP:
            row, column = divmod(int(closeness.argmax()), closeness.shape[1])
            groups[row].append(other.select(slice(column, column + 1)))
            closeness[row], closeness[:, column] = -1, -1
    return [_together(group) for group in groups if len(group) > 1]


def _nearness(one: Labels, other: Labels, *, by: Pairing) -> Float[Tensor, "n m"]:
    if by == "id":
        return (one.ids[:, None] == other.ids[None]).float()
    overlap: Tensor = box_iou(one.boxes, other.boxes)
    return overlap


def _together(group: Sequence[Labels]) -> Labels:
    return Labels(**{name: torch.cat([getattr(part, name) for part in group]) for name in Labels.__dataclass_fields__})


def with_sigmas(document: Document, found: Sequence[Sigma]) -> Document:
    """A copy of an annotation file with the sigmas in its categories; keypoints without an estimate keep theirs.

    Args:
        document: The annotation file.
        found: The estimates.
    """
    values = {one.name: one.value for one in found if one.value is not None}
    categories = []
    for category in document["categories"]:
        if not category.get("keypoints"):
            categories.append(category)
            continue
        known = from_category(category)
        sigmas = [values.get(name, sigma) for name, sigma in zip(known.keypoints, known.sigmas, strict=True)]
        categories.append({**category, "sigmas": [round(float(s), 5) for s in sigmas]})
    return {**document, "categories": categories}


def measured_by_coco(eval_set: EvalSet) -> bool:
    """Whether all sigmas are COCO's for COCO's keypoints, so that AP is comparable with published values."""
    known = dict(zip(COCO17.keypoints, COCO17.sigmas, strict=True))
    pairs = [pair for s in eval_set.skeletons.values() for pair in zip(s.keypoints, s.sigmas, strict=True)]
    return all(known.get(name) == sigma for name, sigma in pairs)


def ap_at_other_sigmas(eval_set: EvalSet, results: Sequence[Record]) -> Mapping[float, float]:
    """AP with the sigmas multiplied by each of `FACTORS`: how much a score depends on the choice of sigmas.

    Args:
        eval_set: Data set of the evaluation.
        results: Results in COCO's format.
    """
    found: dict[float, float] = {}
    for factor in FACTORS:
        skeletons = {c: replace(s, sigmas=tuple(factor * v for v in s.sigmas)) for c, s in eval_set.skeletons.items()}
        found[factor] = coco.evaluate(eval_set.truth, results, skeletons).numbers["AP"]
    return found


def check_pairing(text: str) -> Pairing:
    """The way of pairing by its name.

    Raises:
        InputError: There is no such way.
    """
    ways: dict[str, Pairing] = {"overlap": "overlap", "id": "id"}
    if text not in ways:
        raise InputError(f'--by is "overlap" or "id", not {text!r}')
    return ways[text]
