"""Matching of predictions and labels at one OKS threshold, and the average precision of it: COCO's protocol, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float, Int64

from poise.analysis.oks_table import OksTable
from poise.metrics.matches import RECALLS
from poise.metrics.oks import EPSILON

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""OKS thresholds of the protocol: 0.50, 0.55 .. 0.95."""

Verdict = Literal["TP", "FP", "ignored"]


@final
@dataclass(frozen=True, eq=False)
class ThresholdResult:
    """Matching and scores of one image at one OKS threshold.

    Attributes:
        threshold: Lowest OKS of a match.
        matches: Index of the label that each prediction is matched to; None for none.
        verdicts: TP: matched to a label that counts. FP: not matched. Ignored: neither.
        tp: Number of TP among the predictions up to each.
        fp: Number of FP among the predictions up to each.
        recall: `tp` divided by the number of people.
        precision: `tp` divided by `tp` + `fp`.
        envelope: Highest precision from each prediction on.
        levels: The envelope where the recall first reaches each of `RECALLS`; 0 where it never does.
        ap: AP: mean of `levels`; -1 where no person counts.
        ar: AR: the last recall; -1 where no person counts.
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
    """Index of the label that each prediction is matched to at one threshold; None for none.

    Predictions are matched one after another, by score. Each takes the free label of highest OKS that reaches the threshold;
    only if no label that counts does, an ignored one. A crowd stays free. So the prediction of highest OKS with a label (the
    maximum of its column) may stay unmatched, because one of higher score took the label before.

    >>> oks = np.array([[0.6, 0.1], [0.9, 0.2]])  # the second fits the first label better, and comes too late
    >>> match_greedily(oks, 0.5, ignored=[False, False], crowd=[False, False])
    (0, None)
    >>> match_greedily(oks, 0.65, ignored=[False, False], crowd=[False, False])
    (None, 0)

    Args:
        oks: OKS of each prediction with each label; predictions by score.
        threshold: Lowest OKS of a match.
        ignored: Whether a label does not count.
        crowd: Whether a label stands for a group.
    """
    free = np.ones(oks.shape[1], dtype=bool)
    counts, groups = ~np.asarray(ignored, dtype=bool), np.asarray(crowd, dtype=bool)
    matches: list[int | None] = []
    for row in oks:
        near = free & (row >= min(threshold, 1 - 1e-10))
        reach = np.flatnonzero(near & counts) if (near & counts).any() else np.flatnonzero(near)
        # Of equal OKS the last, as pycocotools goes through them in order and takes every one that is not worse.
        label = None if not len(reach) else int(reach[::-1][np.argmax(row[reach[::-1]])])
        matches.append(label)
        if label is not None:
            free[label] = groups[label]
    return tuple(matches)


def score_at_threshold(table: OksTable, threshold: float) -> ThresholdResult:
    """Matching, precision, recall, AP and AR of one image at one OKS threshold."""
    matches = match_greedily(table.oks, threshold, ignored=[bool(why) for why in table.ignored], crowd=table.crowd)
    verdicts = tuple(_verdict(table, label, out_of_area) for label, out_of_area in zip(matches, table.out_of_area, strict=True))
    tp = np.cumsum([v == "TP" for v in verdicts], dtype=np.int64)
    fp = np.cumsum([v == "FP" for v in verdicts], dtype=np.int64)
    recall, precision = tp / max(table.people, 1), tp / (tp + fp + EPSILON)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    levels = interpolate_precision(recall, envelope)
    ap, ar = (float(levels.mean()), float(recall[-1]) if len(recall) else 0.0) if table.people else (-1.0, -1.0)
    return ThresholdResult(threshold, matches, verdicts, tp, fp, recall, precision, envelope, levels, ap, ar)


def _verdict(table: OksTable, label: int | None, out_of_area: bool) -> Verdict:
    if label is None:
        return "ignored" if out_of_area else "FP"
    return "ignored" if table.ignored[label] else "TP"


def interpolate_precision(recall: Float[np.ndarray, " m"], envelope: Float[np.ndarray, " m"]) -> Float[np.ndarray, "101"]:
    """Precision at recalls 0, 0.01 .. 1: the envelope where each is first reached, 0 beyond the last.

    >>> one_of_two = interpolate_precision(np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.5, 0.33]))
    >>> int((one_of_two > 0).sum()), round(float(one_of_two.mean()), 4)
    (51, 0.2525)
    """
    label = np.searchsorted(recall, RECALLS, side="left")
    return np.append(envelope, 0.0)[label]
