"""Who was found by what, and what every keypoint of theirs is: good, jitter, inversion, swap or miss.

Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (arXiv 1707.05388), section 3. A
keypoint's similarity to a label is exp(-d^2 / (2 s^2 (2 sigma)^2)), d the distance, s^2 the area of the labelled person: OKS
of this keypoint alone.
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
"""What a labelled keypoint of a found person is."""

ERROR_KINDS: tuple[ErrorKind, ...] = ("good", "jitter", "inversion", "swap", "miss")

GOOD_SIMILARITY = 0.85
"""From this similarity on a keypoint is good: people who label twice differ as much (section 3.1)."""

MISS_SIMILARITY = 0.5
"""Below this similarity to everything a keypoint is a miss."""

ATTEMPT_OKS = 0.1
"""From this OKS on a prediction is an attempt at a person, and no false positive (section 3.3)."""

MATCH_OKS = 0.5
"""What COCO's protocol takes for found at its loosest; such pairs are made first."""


@final
@dataclass(frozen=True, eq=False)
class MatchedPerson:
    """A labelled person who was found.

    Attributes:
        image: Its id.
        person: Place among the annotations.
        row: Place among the results.
        oks: How alike they are.
        kinds: Of each keypoint, its place in `ERROR_KINDS`; -1 where it is not labelled.
    """

    image: int
    person: int
    row: int
    oks: float
    kinds: Int64[np.ndarray, " k"]


@final
@dataclass(frozen=True, eq=False)
class Matching:
    """Who was found by what. Rows and people are places among the results and the annotations.

    Attributes:
        pairs: People who were found.
        missed: People who were not.
        background: Predictions where nobody is, or nobody who was labelled.
        duplicates: Predictions of people whom another had found already.
        ignored: Predictions where the protocol ignores the label: a crowd, or somebody without labelled keypoints.
        best: For each prediction that counts, the highest OKS with a person who counts.
    """

    pairs: tuple[MatchedPerson, ...]
    missed: tuple[int, ...]
    background: tuple[int, ...]
    duplicates: tuple[int, ...]
    ignored: tuple[int, ...]
    best: Mapping[int, float]


def match_people(truth: GroundTruth, results: Sequence[Record], of: Mapping[int, Skeleton]) -> Matching:
    """Pair people and predictions, by score: first whom the protocol takes for found (OKS 0.5), then attempts (OKS 0.1).

    The paper does the second alone. In a crowd a sure double of one person would then take their neighbour away from who
    found them, and pass for a swap; here what would do for somebody (OKS 0.5) who is taken is a double of theirs.

    Args:
        truth: The annotations.
        results: That can be scored; the first 20 of an image count.
        of: The skeleton of every category.
    """
    pairs: list[MatchedPerson] = []
    missed: list[int] = []
    background: list[int] = []
    doubles: list[int] = []
    ignored: list[int] = []
    best: dict[int, float] = {}
    for image, category, people, rows in _by_image_and_category(truth, results, of):
        skeleton = of[category]
        annotations = [{**truth["annotations"][i], "id": i} for i in people]
        board = build_oks_table(annotations, [results[i] for i in rows], skeleton)
        own = [rows[i] for i in board.rows]
        taken = _match_in_two_rounds(board)
        counts = np.array([not why for why in board.ignored], dtype=bool)
        nearest = board.oks[:, counts].max(axis=1, initial=0.0)
        best |= dict(zip(own, nearest.tolist(), strict=True))
        missed += [board.ids[i] for i in np.flatnonzero(counts).tolist() if i not in taken]
        for at, place in enumerate(taken):
            if place is not None and not counts[place]:
                ignored.append(own[at])
            elif place is None:
                (doubles if nearest[at] >= ATTEMPT_OKS else background).append(own[at])
        found = [(at, place) for at, place in enumerate(taken) if place is not None and counts[place]]
        labels = labels_from_coco([truth["annotations"][i] for i in board.ids], len(skeleton))
        xy = _positions([results[own[at]] for at, _ in found], len(skeleton))
        kinds = classify_keypoints(xy, labels, torch.tensor([place for _, place in found], dtype=torch.int64), skeleton)
        pairs += [
            MatchedPerson(image, board.ids[place], own[at], float(board.oks[at, place]), kind)
            for (at, place), kind in zip(found, kinds.numpy(), strict=True)
        ]
    return Matching(tuple(pairs), tuple(missed), tuple(background), tuple(doubles), tuple(ignored), best)


def classify_keypoints(
    found: Float[Tensor, "m k 2"], labels: Labels, people: Int64[Tensor, " m"], skeleton: Skeleton
) -> Int64[Tensor, "m k"]:
    """What every keypoint is: its place in `ERROR_KINDS`, or -1 where it is not labelled (section 3.1).

    Good: nearer than 0.85 to its label. Else it is named by what it is nearest to: its label (jitter), that of the mirrored
    keypoint of the same person (inversion), the same or the mirrored keypoint of somebody else (swap). Where that is below
    0.5, it is a miss.

    Args:
        found: Poses of one image, pixels.
        labels: Everybody in the image.
        people: Whom each pose is of: rows of the labels.
        skeleton: Of both.
    """
    m = len(found)
    if not m:
        return torch.zeros((0, len(skeleton)), dtype=torch.int64)
    similar = keypoint_similarity(found, labels, skeleton)
    mine = torch.nn.functional.one_hot(people, len(labels)).bool()[:, :, None, None]
    own = similar[torch.arange(m), people]
    right, mirrored = own[:, 0], own[:, 1]
    other = similar.masked_fill(mine, 0).flatten(1, 2).amax(dim=1)
    kinds = torch.full_like(people[:, None].expand(m, len(skeleton)), ERROR_KINDS.index("swap")).clone()
    kinds[mirrored >= other] = ERROR_KINDS.index("inversion")
    kinds[(right >= mirrored) & (right >= other)] = ERROR_KINDS.index("jitter")
    kinds[torch.stack((right, mirrored, other)).amax(dim=0) < MISS_SIMILARITY] = ERROR_KINDS.index("miss")
    kinds[right >= GOOD_SIMILARITY] = ERROR_KINDS.index("good")
    kinds[labels.visible[people] == 0] = -1
    return kinds


def keypoint_similarity(found: Float[Tensor, "m k 2"], labels: Labels, skeleton: Skeleton) -> Float[Tensor, "m n 2 k"]:
    """Of every keypoint with the label of the same, and of the mirrored one, of everybody; 0 where that is not labelled.

    Args:
        found: Poses, pixels.
        labels: The people of the image.
        skeleton: Of both; a keypoint of no pair has no mirrored one.
    """
    flip = skeleton.flip
    paired = flip != torch.arange(len(flip))
    places = torch.stack((labels.xy, labels.xy[:, flip]), dim=1).double()
    known = torch.stack((labels.visible > 0, (labels.visible[:, flip] > 0) & paired), dim=1)
    width = (2 * torch.tensor(skeleton.sigmas, dtype=torch.float64)).square()
    scale = 2 * width * (labels.area.double() + EPSILON)[:, None, None]
    gap = (found.double()[:, None, None] - places[None]).square().sum(dim=-1)
    return torch.exp(-gap / scale) * known


def _by_image_and_category(
    truth: GroundTruth, results: Sequence[Record], of: Mapping[int, Skeleton]
) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Image, category, and the places of its people and of its results."""
    people: dict[tuple[int, int], list[int]] = {}
    rows: dict[tuple[int, int], list[int]] = {}
    for lists, found in ((people, truth["annotations"]), (rows, results)):
        for place, one in enumerate(found):
            lists.setdefault((one["image_id"], one["category_id"]), []).append(place)
    for image, category in dict.fromkeys((*people, *rows)):
        if category in of:
            yield image, category, people.get((image, category), []), rows.get((image, category), [])


def _match_in_two_rounds(board: OksTable) -> list[int | None]:
    """Whom each prediction is paired with, by its place on the board."""
    counts = np.array([not why for why in board.ignored], dtype=bool)
    ignored = (~counts).tolist()
    sure = np.where(counts, board.oks, -1)
    first = match_greedily(sure, MATCH_OKS, ignored=ignored, crowd=board.crowd)
    left = board.oks.copy()
    left[np.ix_((sure >= MATCH_OKS).any(axis=1), counts)] = -1  # doubles
    left[[place is not None for place in first]] = -1
    left[:, [place for place in first if place is not None]] = -1
    second = match_greedily(left, ATTEMPT_OKS, ignored=ignored, crowd=board.crowd)
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


def _positions(rows: Sequence[Record], keypoints: int) -> Float[Tensor, "m k 2"]:
    flat = torch.tensor([row["keypoints"] for row in rows], dtype=torch.float64)
    return flat.reshape(len(rows), keypoints, 3)[..., :2]
