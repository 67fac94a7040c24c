"""Matching of people and predictions, and the kind of every keypoint: good, jitter, inversion, swap or miss.

Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (arXiv 1707.05388), section 3. The
similarity of a keypoint to a label is exp(-d^2 / (2 s^2 (2 sigma)^2)), where d is the distance and s^2 the area of the labelled
person: the OKS of this keypoint alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.analysis.matching import match_greedily
from poise.analysis.oks_table import OksTable, build_oks_table, labels_from_coco
from poise.metrics.coco_format import GroundTruth, Record
from poise.metrics.oks import EPSILON
from poise.skeletons import Skeleton
from poise.structures import Labels

ErrorKind = Literal["good", "jitter", "inversion", "swap", "miss"]
"""Kind of a labelled keypoint of a person who was found."""

ERROR_KINDS: tuple[ErrorKind, ...] = ("good", "jitter", "inversion", "swap", "miss")

GOOD_SIMILARITY = 0.85
"""Lowest similarity of a good keypoint: two annotations of one person differ as much (section 3.1)."""

MISS_SIMILARITY = 0.5
"""Below this similarity to every label a keypoint is a miss."""

ATTEMPT_OKS = 0.1
"""Lowest OKS of a prediction that counts as an attempt at a person, and not as a false positive (section 3.3)."""

MATCH_OKS = 0.5
"""Lowest OKS threshold of COCO's protocol; pairs above it are matched first."""


@final
@dataclass(frozen=True, eq=False)
class MatchedPerson:
    """A labelled person who was found.

    Attributes:
        image: Id of the image.
        person: Index among the annotations.
        row: Index among the results.
        oks: OKS of prediction and label.
        kinds: Kind of each keypoint, as index into `ERROR_KINDS`; -1 if it is not labelled.
    """

    image: int
    person: int
    row: int
    oks: float
    kinds: Int64[np.ndarray, " k"]


@final
@dataclass(frozen=True, eq=False)
class Matching:
    """Matching of predictions and people. Both are indices into annotations and results.

    Attributes:
        pairs: People who were found.
        missed: People who were not found.
        background: Predictions where no person is labelled.
        duplicates: Predictions of people whom another prediction had found already.
        ignored: Predictions of labels that the protocol ignores: crowds, and people without labelled keypoints.
        best: For each prediction that counts, the highest OKS with a person who counts.
    """

    pairs: tuple[MatchedPerson, ...]
    missed: tuple[int, ...]
    background: tuple[int, ...]
    duplicates: tuple[int, ...]
    ignored: tuple[int, ...]
    best: Mapping[int, float]


def match_people(truth: GroundTruth, results: Sequence[Record], of: Mapping[int, Skeleton]) -> Matching:
    """Match people and predictions by score: first pairs found by the protocol (OKS 0.5), then attempts (OKS 0.1).

    The paper does the second step alone. In a crowd, a confident duplicate of one person would then take a neighbour away from
    the prediction that found them, and count as a swap; here a prediction with an OKS of 0.5 for somebody who is matched
    already is a duplicate of theirs.

    Args:
        truth: The annotations.
        results: Results in COCO's format; the first 20 of an image count.
        of: Skeleton of each category, by its id.
    """
    pairs: list[MatchedPerson] = []
    missed: list[int] = []
    background: list[int] = []
    duplicates: list[int] = []
    ignored: list[int] = []
    best: dict[int, float] = {}
    for image, category, people, rows in _by_image_and_category(truth, results, of):
        skeleton = of[category]
        annotations = [{**truth["annotations"][i], "id": i} for i in people]
        table = build_oks_table(annotations, [results[i] for i in rows], skeleton)
        own = [rows[i] for i in table.rows]
        matches = _match_in_two_rounds(table)
        counts = np.array([not why for why in table.ignored], dtype=bool)
        nearest = table.oks[:, counts].max(axis=1, initial=0.0)
        best |= dict(zip(own, nearest.tolist(), strict=True))
        missed += [table.ids[i] for i in np.flatnonzero(counts).tolist() if i not in matches]
        for at, label in enumerate(matches):
            if label is not None and not counts[label]:
                ignored.append(own[at])
            elif label is None:
                (duplicates if nearest[at] >= ATTEMPT_OKS else background).append(own[at])
        found = [(at, label) for at, label in enumerate(matches) if label is not None and counts[label]]
        labels = labels_from_coco([truth["annotations"][i] for i in table.ids], len(skeleton))
        xy = _positions([results[own[at]] for at, _ in found], len(skeleton))
        kinds = classify_keypoints(xy, labels, torch.tensor([label for _, label in found], dtype=torch.int64), skeleton)
        pairs += [
            MatchedPerson(image, table.ids[label], own[at], float(table.oks[at, label]), kind)
            for (at, label), kind in zip(found, kinds.numpy(), strict=True)
        ]
    return Matching(tuple(pairs), tuple(missed), tuple(background), tuple(duplicates), tuple(ignored), best)


def classify_keypoints(
    found: Float[Tensor, "m k 2"], labels: Labels, people: Int64[Tensor, " m"], skeleton: Skeleton
) -> Int64[Tensor, "m k"]:
    """The kind of every keypoint, as index into `ERROR_KINDS`; -1 if it is not labelled (section 3.1).

    Good: similarity above 0.85 to its label. Otherwise named by what it is most similar to: its label (jitter), that of the
    mirrored keypoint of the same person (inversion), the same or the mirrored keypoint of another person (swap). If that is
    below 0.5, it is a miss.

    Args:
        found: Poses of one image, pixels.
        labels: All people labelled in the image.
        people: Index of the person each pose was matched to.
        skeleton: Skeleton of both.
    """
    m = len(found)
    if not m:
        return torch.zeros((0, len(skeleton)), dtype=torch.int64)
    similarities = keypoint_similarity(found, labels, skeleton)
    same_person = torch.nn.functional.one_hot(people, len(labels)).bool()[:, :, None, None]
    own = similarities[torch.arange(m), people]
    right, mirrored = own[:, 0], own[:, 1]
    other = similarities.masked_fill(same_person, 0).flatten(1, 2).amax(dim=1)
    kinds = torch.full_like(people[:, None].expand(m, len(skeleton)), ERROR_KINDS.index("swap")).clone()
    kinds[mirrored >= other] = ERROR_KINDS.index("inversion")
    kinds[(right >= mirrored) & (right >= other)] = ERROR_KINDS.index("jitter")
    kinds[torch.stack((right, mirrored, other)).amax(dim=0) < MISS_SIMILARITY] = ERROR_KINDS.index("miss")
    kinds[right >= GOOD_SIMILARITY] = ERROR_KINDS.index("good")
    kinds[labels.visible[people] == 0] = -1
    return kinds


def keypoint_similarity(found: Float[Tensor, "m k 2"], labels: Labels, skeleton: Skeleton) -> Float[Tensor, "m n 2 k"]:
    """Similarity of every keypoint to each person's label of the same keypoint, and of the mirrored one; 0 if not labelled.

    Args:
        found: Poses, pixels.
        labels: The people of the image.
        skeleton: Skeleton of both; a keypoint without a mirrored one has similarity 0 to it.
    """
    flip = skeleton.flip
    paired = flip != torch.arange(len(flip))
    positions = torch.stack((labels.xy, labels.xy[:, flip]), dim=1).double()
    known = torch.stack((labels.visible > 0, (labels.visible[:, flip] > 0) & paired), dim=1)
    width = (2 * torch.tensor(skeleton.sigmas, dtype=torch.float64)).square()
    scale = 2 * width * (labels.area.double() + EPSILON)[:, None, None]
    squared = (found.double()[:, None, None] - positions[None]).square().sum(dim=-1)
    return torch.exp(-squared / scale) * known


def _by_image_and_category(
    truth: GroundTruth, results: Sequence[Record], of: Mapping[int, Skeleton]
) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Image id, category id, and the indices of its annotations and of its results."""
    people: dict[tuple[int, int], list[int]] = {}
    rows: dict[tuple[int, int], list[int]] = {}
    for lists, found in ((people, truth["annotations"]), (rows, results)):
        for index, one in enumerate(found):
            lists.setdefault((one["image_id"], one["category_id"]), []).append(index)
    for image, category in dict.fromkeys((*people, *rows)):
        if category in of:
            yield image, category, people.get((image, category), []), rows.get((image, category), [])


def _match_in_two_rounds(table: OksTable) -> list[int | None]:
    """Index of the label that each prediction is matched to; None for none."""
    counts = np.array([not why for why in table.ignored], dtype=bool)
    ignored = (~counts).tolist()
    confident = np.where(counts, table.oks, -1)
    first = match_greedily(confident, MATCH_OKS, ignored=ignored, crowd=table.crowd)
    left = table.oks.copy()
    left[np.ix_((confident >= MATCH_OKS).any(axis=1), counts)] = -1  # duplicates
    left[[label is not None for label in first]] = -1
    left[:, [label for label in first if label is not None]] = -1
    second = match_greedily(left, ATTEMPT_OKS, ignored=ignored, crowd=table.crowd)
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


def _positions(rows: Sequence[Record], keypoints: int) -> Float[Tensor, "m k 2"]:
    flat = torch.tensor([row["keypoints"] for row in rows], dtype=torch.float64)
    return flat.reshape(len(rows), keypoints, 3)[..., :2]
