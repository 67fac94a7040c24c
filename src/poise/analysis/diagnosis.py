"""Error diagnosis: every wrong keypoint is jitter, inversion, swap or miss, and what correcting each kind would gain.

Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (arXiv 1707.05388), sections 3 and 4;
`analysis/pairs.py` classifies the errors. Where the paper moves a corrected keypoint to the edge of what counts as good, here
it is moved onto its label, so that correcting everything gives AP 1, apart from keypoints that are good but not exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float

from poise.analysis.pairs import ERROR_KINDS, ErrorKind, Matching, match_people
from poise.metrics.coco import CocoScores, evaluate
from poise.metrics.coco_format import GroundTruth, Record, skeletons_by_category
from poise.skeletons import Skeleton

Correction = Literal["miss", "swap", "inversion", "jitter", "scoring", "false positives", "missed people"]
"""A type of error that can be corrected."""

CORRECTIONS: tuple[Correction, ...] = ("miss", "swap", "inversion", "jitter", "scoring", "false positives", "missed people")
"""All corrections in the order of the paper: keypoints, then scores, then false positives and missed people."""


@final
@dataclass(frozen=True, eq=False)
class CorrectedScore:
    """AP after a correction.

    Attributes:
        correction: Type of error that was corrected.
        ap: AP after it.
        gain: Gain in AP: over the AP as it is, or over that before this correction.
        curve: Precision at OKS 0.75 and recall 0, 0.01 .. 1.
    """

    correction: Correction
    ap: float
    gain: float
    curve: Float[np.ndarray, "101"]


@final
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The errors of an evaluation by type.

    Attributes:
        scores: Scores as they are.
        matching: Matching of predictions and people.
        keypoints: Number of errors of each type, by the name of the keypoint.
        separate: AP after each correction alone.
        cumulative: AP after each correction and all before it.
    """

    scores: CocoScores
    matching: Matching
    keypoints: Mapping[str, Mapping[ErrorKind, int]]
    separate: tuple[CorrectedScore, ...]
    cumulative: tuple[CorrectedScore, ...]

    @property
    def error_counts(self) -> dict[ErrorKind, int]:
        """Number of keypoints with each type of error."""
        return {kind: sum(counts[kind] for counts in self.keypoints.values()) for kind in ERROR_KINDS}


def diagnose(truth: GroundTruth, results: Sequence[Record], skeletons: Skeleton | Mapping[int, Skeleton]) -> Diagnosis:
    """Classify every error and compute what each kind costs. Arguments and errors are those of `metrics.coco.evaluate`."""
    of = skeletons_by_category(truth, skeletons)
    scores = evaluate(truth, results, of)  # refuses invalid results
    matching = match_people(truth, results, of)
    counts: dict[str, dict[ErrorKind, int]] = {n: dict.fromkeys(ERROR_KINDS, 0) for s in of.values() for n in s.keypoints}
    for pair in matching.pairs:
        names = of[truth["annotations"][pair.person]["category_id"]].keypoints
        for name, kind in zip(names, pair.kinds.tolist(), strict=True):
            if kind >= 0:
                counts[name][ERROR_KINDS[kind]] += 1
    before, separate, cumulative = scores.numbers["AP"], [], []
    best_corrected = _best_oks(
        truth, correct(truth, results, of, matching, CORRECTIONS[: CORRECTIONS.index("scoring")]), of, matching
    )
    for correction in CORRECTIONS:
        alone = evaluate(truth, correct(truth, results, of, matching, (correction,)), of)
        separate.append(_corrected_score(correction, alone, scores.numbers["AP"]))
        so_far = CORRECTIONS[: CORRECTIONS.index(correction) + 1]
        together = evaluate(truth, correct(truth, results, of, matching, so_far, best=best_corrected), of)
        cumulative.append(_corrected_score(correction, together, before))
        before = cumulative[-1].ap
    return Diagnosis(scores, matching, counts, tuple(separate), tuple(cumulative))


def precision_curve(scores: CocoScores, threshold: float | None = None) -> Float[np.ndarray, "101"]:
    """Precision at recall 0, 0.01 .. 1, averaged over categories; NaN where no person is labelled.

    Args:
        scores: Scores of an evaluation.
        threshold: OKS threshold, one of 0.5, 0.55 .. 0.95; by default the mean over all.
    """
    index = None if threshold is None else round((threshold - 0.5) / 0.05)
    thresholds = slice(None) if index is None else slice(index, index + 1)
    precision = scores.precision[thresholds, :, :, 0, 0].transpose(1, 0, 2).reshape(101, -1)
    known = precision[:, (precision > -1).any(axis=0)]
    return known.mean(axis=1) if known.shape[1] else np.full(101, np.nan)


def correct(
    truth: GroundTruth,
    results: Sequence[Record],
    of: Mapping[int, Skeleton],
    matching: Matching,
    corrections: Sequence[Correction],
    *,
    best: Mapping[int, float] | None = None,
) -> list[Record]:
    """The results without some kinds of errors; the arguments are not changed.

    Keypoints are moved onto their labels. Scores become the OKS with the nearest person, which is the best possible order
    (section 3.2). False positives are removed. Missed people are added exactly, with the median score of those found.

    Args:
        truth: The annotations.
        results: Results in COCO's format, those of the matching.
        of: Skeleton of each category, by its id.
        matching: Matching of predictions and people.
        corrections: Types of errors to correct.
        best: OKS of each prediction with the nearest person once its keypoints are corrected; computed by default.
    """
    rows = {i: results[i] for i in matching.best}  # results beyond the first 20 of their image are not in it
    wrong = [ERROR_KINDS.index(kind) for kind in ERROR_KINDS if kind in corrections]
    for pair in matching.pairs:
        rows[pair.row] = _with_keypoints_corrected(
            rows[pair.row], truth["annotations"][pair.person], np.isin(pair.kinds, wrong)
        )
    if "scoring" in corrections:
        near = matching.best if not wrong else best or _best_oks(truth, list(rows.values()), of, matching)
        rows = {i: {**row, "score": near[i]} for i, row in rows.items()}
    scores = [rows[pair.row]["score"] for pair in matching.pairs]
    if "false positives" in corrections:
        removed = {*matching.background, *matching.duplicates, *matching.ignored}  # ignored ones count at higher OKS thresholds
        rows = {i: row for i, row in rows.items() if i not in removed}
    if "missed people" not in corrections:
        return list(rows.values())
    score = float(np.median(scores)) if scores else 1.0
    return [*rows.values(), *(_exact_prediction(truth["annotations"][i], score) for i in matching.missed)]


def _best_oks(
    truth: GroundTruth, corrected: Sequence[Record], of: Mapping[int, Skeleton], matching: Matching
) -> dict[int, float]:
    """The highest OKS of each prediction by its index in the results, after some keypoints were corrected."""
    found = match_people(truth, corrected, of).best
    return {i: found[at] for at, i in enumerate(matching.best)}


def _corrected_score(correction: Correction, scores: CocoScores, before: float) -> CorrectedScore:
    ap = scores.numbers["AP"]
    return CorrectedScore(correction, ap, ap - before, precision_curve(scores, 0.75))


def _with_keypoints_corrected(row: Record, annotation: Record, corrected: np.ndarray) -> Record:
    """A prediction with some keypoints moved onto their labels."""
    if not corrected.any():
        return row
    found, label = (np.array(one["keypoints"], dtype=np.float64).reshape(-1, 3) for one in (row, annotation))
    found[corrected, :2] = label[corrected, :2]
    return {**row, "keypoints": found.reshape(-1).tolist()}


def _exact_prediction(annotation: Record, score: float) -> Record:
    """A prediction that equals its label."""
    return {name: annotation[name] for name in ("image_id", "category_id", "keypoints")} | {"score": score}
