"""How one image gets its COCO score: who is compared with whom, who takes whom, and how average precision comes of it.

The protocol of COCO's keypoint task (cocodataset.org/#keypoints-eval), step by step and slowly. `metrics/coco.py` computes the
same for a data set at once; the tests hold the two to each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int64

from poise.errors import AnnotationError, InputError
from poise.geometry import from_xywh
from poise.metrics.coco import evaluate
from poise.metrics.entries import Row, Truth, skeletons_of
from poise.metrics.oks import EPSILON, oks
from poise.skeletons import Skeleton
from poise.structures import Labels

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""Of OKS: 0.50, 0.55 .. 0.95."""

RECALLS = np.linspace(0, 1, 101)
"""At which the curve is read: 0, 0.01 .. 1."""

MOST = 20
"""Predictions that count in an image, the ones of highest score."""

Area = Literal["all", "medium", "large"]

AREAS: Mapping[Area, tuple[float, float]] = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Square pixels of the people that count."""

Verdict = Literal["TP", "FP", "ignored"]


@final
@dataclass(frozen=True, eq=False)
class Board:
    """Everybody of one image, and how alike they are. Predictions stand by score; labels that count stand first.

    Attributes:
        similar: OKS of each prediction with each label.
        scores: Of the predictions; of equal ones the first of the file comes first.
        rows: Where each prediction stands among the results of the image.
        astray: Whether a prediction's own extent lies outside the areas that count; if it takes nobody, it is ignored.
        ids: Of the annotations.
        ignored: Why a label does not count, "" where it does.
        crowd: Whether it stands for a group, which any number of predictions may take.
        left_out: Predictions beyond the first `MOST`.
    """

    similar: Float[np.ndarray, "m n"]
    scores: tuple[float, ...]
    rows: tuple[int, ...]
    astray: tuple[bool, ...]
    ids: tuple[int, ...]
    ignored: tuple[str, ...]
    crowd: tuple[bool, ...]
    left_out: int = 0

    @property
    def people(self) -> int:
        """How many labels count."""
        return self.ignored.count("")


@final
@dataclass(frozen=True, eq=False)
class Round:
    """What happens at one OKS threshold.

    Attributes:
        threshold: The OKS a prediction needs.
        taken: Which label each prediction takes, by its place on the board.
        verdicts: TP: it takes a label that counts. FP: it takes nobody. Ignored: neither.
        tp: How many TP there are down to each prediction.
        fp: How many FP.
        recall: `tp` over the people.
        precision: `tp` over `tp` + `fp`.
        envelope: The highest precision from each prediction on; what is read.
        levels: The envelope where the recall first reaches each of `RECALLS`, 0 where it never does.
        ap: The mean of `levels`; -1 where nobody counts.
        ar: The last recall; -1 where nobody counts.
    """

    threshold: float
    taken: tuple[int | None, ...]
    verdicts: tuple[Verdict, ...]
    tp: Int64[np.ndarray, " m"]
    fp: Int64[np.ndarray, " m"]
    recall: Float[np.ndarray, " m"]
    precision: Float[np.ndarray, " m"]
    envelope: Float[np.ndarray, " m"]
    levels: Float[np.ndarray, "101"]
    ap: float
    ar: float


@final
@dataclass(frozen=True, eq=False)
class Explanation:
    """One image's score.

    Attributes:
        board: Who is compared with whom.
        rounds: One per threshold.
        protocol: COCO's ten numbers of this image, as `metrics.coco.evaluate` gives them.
    """

    board: Board
    rounds: tuple[Round, ...]
    protocol: dict[str, float]

    @property
    def ap(self) -> float:
        """The mean over the thresholds; -1 where nobody counts."""
        return float(np.mean([one.ap for one in self.rounds]))

    @property
    def ar(self) -> float:
        """The mean over the thresholds; -1 where nobody counts."""
        return float(np.mean([one.ar for one in self.rounds]))

    def at(self, threshold: float) -> Round:
        """What happened at a threshold.

        Raises:
            InputError: It is none of the ten.
        """
        near = min(self.rounds, key=lambda one: abs(one.threshold - threshold))
        if abs(near.threshold - threshold) > 1e-9:
            raise InputError(f"the protocol has no threshold {threshold:g}; it has {', '.join(f'{t:.2f}' for t in THRESHOLDS)}")
        return near


def explain(
    truth: Truth,
    results: Sequence[Row],
    skeletons: Skeleton | Mapping[int, Skeleton],
    *,
    image: int,
    category: int | None = None,
    area: Area = "all",
) -> Explanation:
    """Score one image by the COCO protocol, and keep every step.

    Args:
        truth: The annotations.
        results: Of any images; those of this one count.
        skeletons: Of all categories, or of each by category id.
        image: Its id.
        category: Of the people; the only one by default.
        area: Which people count; others are ignored.

    Raises:
        InputError: There is no such image or category, or several and none is named; a result is not finite.
        AnnotationError: The annotations cannot be scored against, or do not list the images of the results.
        SkeletonMismatch: Annotations or results have another number of keypoints than the skeleton.
    """
    of = skeletons_of(truth, skeletons)
    chosen = _category(of, category)
    part = one_image(truth, image, chosen)
    strange = sorted({repr(row["image_id"]) for row in results} - {repr(record["id"]) for record in truth["images"]})
    if strange:
        raise AnnotationError(f"results are for images {strange[:5]} that the annotations do not list; is it another file?")
    own = [row for row in results if row["image_id"] == image and row["category_id"] == chosen]
    protocol = evaluate(part, own, {chosen: of[chosen]}).numbers  # refuses what cannot be scored, before it is explained
    board = board_of(part["annotations"], own, of[chosen], area=area)
    return Explanation(board, tuple(at_threshold(board, t) for t in THRESHOLDS), protocol)


def _category(of: Mapping[int, Skeleton], category: int | None) -> int:
    if category is None and len(of) == 1:
        return next(iter(of))
    if category is None or category not in of:
        raise InputError(f"category {category} was asked for and the annotations have {', '.join(map(str, of))}; name one")
    return category


def one_image(truth: Truth, image: int, category: int) -> dict[str, list[Row]]:
    """The annotations of one image and category alone.

    Raises:
        InputError: There is no such image.
    """
    images = [record for record in truth["images"] if record["id"] == image]
    if not images:
        raise InputError(f"the annotations have no image {image}")
    people = [a for a in truth["annotations"] if a.get("image_id") == image and a.get("category_id") == category]
    categories = [c for c in truth["categories"] if c["id"] == category]
    return {"images": images, "annotations": people, "categories": categories}


def board_of(annotations: Sequence[Row], results: Sequence[Row], skeleton: Skeleton, *, area: Area = "all") -> Board:
    """The people of one image as the protocol lines them up.

    Args:
        annotations: Of the image, in COCO's form, with areas and boxes.
        results: Of the image.
        skeleton: Of both.
        area: Which people count.
    """
    low, high = AREAS[area]
    labels = labels_of(annotations, len(skeleton))
    reasons = [_ignored(annotation, labels, i, low=low, high=high) for i, annotation in enumerate(annotations)]
    order = sorted(range(len(reasons)), key=lambda i: bool(reasons[i]))
    best = sorted(range(len(results)), key=lambda i: -results[i]["score"])
    rows, left_out = best[:MOST], len(best[MOST:])
    flat = torch.tensor([results[i]["keypoints"] for i in rows], dtype=torch.float64)
    found = flat.reshape(len(rows), len(skeleton), 3)[..., :2]
    similar = oks(found, labels.select(torch.tensor(order, dtype=torch.int64)), skeleton.sigmas)
    extent = (found.amax(dim=1) - found.amin(dim=1)).prod(dim=1).tolist() if rows else []
    return Board(
        similar.numpy(),
        tuple(float(results[i]["score"]) for i in rows),
        tuple(rows),
        tuple(not low <= size <= high for size in extent),
        tuple(int(annotations[i].get("id", i + 1)) for i in order),
        tuple(reasons[i] for i in order),
        tuple(bool(labels.crowd[i]) for i in order),
        left_out,
    )


def labels_of(annotations: Sequence[Row], keypoints: int) -> Labels:
    """Annotations in COCO's form as labels, in double precision: OKS at a threshold must not hang on a rounding."""
    n = len(annotations)
    flat = [a.get("keypoints") or [0] * (3 * keypoints) for a in annotations]
    values = torch.tensor(flat, dtype=torch.float64).reshape(n, keypoints, 3)
    boxes = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float64).reshape(n, 4)
    ones = torch.ones(n, dtype=torch.int64)
    crowd = torch.tensor([bool(a.get("iscrowd")) for a in annotations], dtype=torch.bool)
    areas = torch.tensor([a["area"] for a in annotations], dtype=torch.float64)
    return Labels(values[..., :2], values[..., 2].long(), from_xywh(boxes), areas, crowd, ones, ones)


def _ignored(annotation: Row, labels: Labels, row: int, *, low: float, high: float) -> str:
    counted = annotation.get("num_keypoints")
    if labels.crowd[row]:
        return "crowd"
    if (int((labels.visible[row] > 0).sum()) if counted is None else counted) == 0:
        return "no keypoint labelled"
    return "" if low <= float(annotation["area"]) <= high else "another area"


def matched(
    similar: Float[np.ndarray, "m n"], threshold: float, *, ignored: Sequence[bool], crowd: Sequence[bool]
) -> tuple[int | None, ...]:
    """Which label each prediction takes, at one threshold.

    Predictions choose one after another, by score. Each takes the most similar label that is still free and reaches the
    threshold; only if none that counts does, one that is ignored. A crowd stays free. What is most similar to a label (the
    highest of its column) may thus go away empty, because another of higher score was there before.

    >>> similar = np.array([[0.6, 0.1], [0.9, 0.2]])  # the second fits the first label better, and comes too late
    >>> matched(similar, 0.5, ignored=[False, False], crowd=[False, False])
    (0, None)
    >>> matched(similar, 0.65, ignored=[False, False], crowd=[False, False])
    (None, 0)

    Args:
        similar: OKS; predictions by score.
        threshold: Of OKS.
        ignored: Labels that do not count.
        crowd: Labels of groups.
    """
    free = np.ones(similar.shape[1], dtype=bool)
    counts, groups = ~np.asarray(ignored, dtype=bool), np.asarray(crowd, dtype=bool)
    taken: list[int | None] = []
    for row in similar:
        near = free & (row >= min(threshold, 1 - 1e-10))
        reach = np.flatnonzero(near & counts) if (near & counts).any() else np.flatnonzero(near)
        # Of equally similar ones the last, as pycocotools passes them in their order and takes what is not worse.
        place = None if not len(reach) else int(reach[::-1][np.argmax(row[reach[::-1]])])
        taken.append(place)
        if place is not None:
            free[place] = groups[place]
    return tuple(taken)


def at_threshold(board: Board, threshold: float) -> Round:
    """Verdicts, precision, recall, AP and AR of one image at one OKS threshold."""
    taken = matched(board.similar, threshold, ignored=[bool(why) for why in board.ignored], crowd=board.crowd)
    verdicts = tuple(_verdict(board, place, astray) for place, astray in zip(taken, board.astray, strict=True))
    tp = np.cumsum([v == "TP" for v in verdicts], dtype=np.int64)
    fp = np.cumsum([v == "FP" for v in verdicts], dtype=np.int64)
    recall, precision = tp / max(board.people, 1), tp / (tp + fp + EPSILON)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    levels = interpolated(recall, envelope)
    ap, ar = (float(levels.mean()), float(recall[-1]) if len(recall) else 0.0) if board.people else (-1.0, -1.0)
    return Round(threshold, taken, verdicts, tp, fp, recall, precision, envelope, levels, ap, ar)


def _verdict(board: Board, place: int | None, astray: bool) -> Verdict:
    if place is None:
        return "ignored" if astray else "FP"
    return "ignored" if board.ignored[place] else "TP"


def interpolated(recall: Float[np.ndarray, " m"], envelope: Float[np.ndarray, " m"]) -> Float[np.ndarray, "101"]:
    """What the curve is read as at recalls 0, 0.01 .. 1: the envelope where each is first reached, 0 beyond the last.

    >>> one_of_two = interpolated(np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.5, 0.33]))
    >>> int((one_of_two > 0).sum()), round(float(one_of_two.mean()), 4)
    (51, 0.2525)
    """
    place = np.searchsorted(recall, RECALLS, side="left")
    return np.append(envelope, 0.0)[place]


def reason(board: Board, one: Round, row: int) -> str:
    """Why a prediction got its verdict, in words."""
    place, labels = one.taken[row], board.similar[row]
    if place is not None:
        if board.ignored[place]:
            return f"takes a label that does not count ({board.ignored[place]})"
        best = int(labels.argmax())
        return "" if best == place else f"nearer to {board.ids[best]}, which is {_gone(board, one, row, best)}"
    if not len(labels):
        return "nobody is labelled"
    best = int(labels.argmax())
    if labels[best] < one.threshold:
        return f"the nearest, {board.ids[best]}, has {labels[best]:.3f}, less than {one.threshold:.2f}"
    return f"{board.ids[best]} has {labels[best]:.3f} and is {_gone(board, one, row, best)}"


def _gone(board: Board, one: Round, row: int, place: int) -> str:
    taker = next((i for i, other in enumerate(one.taken[:row]) if other == place and not board.crowd[place]), None)
    return "ignored while others can be taken" if taker is None else f"taken by p{taker + 1}"
