"""Who takes whom at one OKS threshold, and how average precision comes of it: COCO's protocol, step by step and slowly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float, Int64

from poise.analysis.oks_table import OksTable
from poise.metrics.matches import RECALLS
from poise.metrics.oks import EPSILON

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""Of OKS: 0.50, 0.55 .. 0.95."""

Verdict = Literal["TP", "FP", "ignored"]


@final
@dataclass(frozen=True, eq=False)
class ThresholdResult:
    """What happens at one OKS threshold.

    Attributes:
        threshold: The OKS a prediction needs.
        matches: Which label each prediction takes, by its place on the board.
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
    matches: tuple[int | None, ...]
    verdicts: tuple[Verdict, ...]
    tp: Int64[np.ndarray, " m"]
    fp: Int64[np.ndarray, " m"]
    recall: Float[np.ndarray, " m"]
    precision: Float[np.ndarray, " m"]
    envelope: Float[np.ndarray, " m"]
    levels: Float[np.ndarray, "101"]
    ap: float
    ar: float


def match_greedily(
    oks: Float[np.ndarray, "m n"], threshold: float, *, ignored: Sequence[bool], crowd: Sequence[bool]
) -> tuple[int | None, ...]:
    """Which label each prediction takes, at one threshold.

    Predictions choose one after another, by score. Each takes the most oks label that is still free and reaches the
    threshold; only if none that counts does, one that is ignored. A crowd stays free. What is most oks to a label (the
    highest of its column) may thus go away empty, because another of higher score was there before.

    >>> oks = np.array([[0.6, 0.1], [0.9, 0.2]])  # the second fits the first label better, and comes too late
    >>> matched(oks, 0.5, ignored=[False, False], crowd=[False, False])
    (0, None)
    >>> matched(oks, 0.65, ignored=[False, False], crowd=[False, False])
    (None, 0)

    Args:
        oks: OKS; predictions by score.
        threshold: Of OKS.
        ignored: Labels that do not count.
        crowd: Labels of groups.
    """
    free = np.ones(oks.shape[1], dtype=bool)
    counts, groups = ~np.asarray(ignored, dtype=bool), np.asarray(crowd, dtype=bool)
    taken: list[int | None] = []
    for row in oks:
        near = free & (row >= min(threshold, 1 - 1e-10))
        reach = np.flatnonzero(near & counts) if (near & counts).any() else np.flatnonzero(near)
        # Of equally oks ones the last, as pycocotools passes them in their order and takes what is not worse.
        place = None if not len(reach) else int(reach[::-1][np.argmax(row[reach[::-1]])])
        taken.append(place)
        if place is not None:
            free[place] = groups[place]
    return tuple(taken)


def score_at_threshold(board: OksTable, threshold: float) -> ThresholdResult:
    """Verdicts, precision, recall, AP and AR of one image at one OKS threshold."""
    taken = match_greedily(board.oks, threshold, ignored=[bool(why) for why in board.ignored], crowd=board.crowd)
    verdicts = tuple(_verdict(board, place, astray) for place, astray in zip(taken, board.out_of_area, strict=True))
    tp = np.cumsum([v == "TP" for v in verdicts], dtype=np.int64)
    fp = np.cumsum([v == "FP" for v in verdicts], dtype=np.int64)
    recall, precision = tp / max(board.people, 1), tp / (tp + fp + EPSILON)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    levels = interpolate_precision(recall, envelope)
    ap, ar = (float(levels.mean()), float(recall[-1]) if len(recall) else 0.0) if board.people else (-1.0, -1.0)
    return ThresholdResult(threshold, taken, verdicts, tp, fp, recall, precision, envelope, levels, ap, ar)


def _verdict(board: OksTable, place: int | None, astray: bool) -> Verdict:
    if place is None:
        return "ignored" if astray else "FP"
    return "ignored" if board.ignored[place] else "TP"


def interpolate_precision(recall: Float[np.ndarray, " m"], envelope: Float[np.ndarray, " m"]) -> Float[np.ndarray, "101"]:
    """What the curve is read as at recalls 0, 0.01 .. 1: the envelope where each is first reached, 0 beyond the last.

    >>> one_of_two = interpolated(np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.5, 0.33]))
    >>> int((one_of_two > 0).sum()), round(float(one_of_two.mean()), 4)
    (51, 0.2525)
    """
    place = np.searchsorted(recall, RECALLS, side="left")
    return np.append(envelope, 0.0)[place]
