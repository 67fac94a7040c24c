"""Where the errors come from: every wrong keypoint is jitter, inversion, swap or miss, and what mending each kind would gain.

Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (arXiv 1707.05388), sections 3 and 4;
`analysis/pairs.py` names the errors. Where the paper moves a mended keypoint to the edge of what is good, here it comes onto
its label, so that mending everything gives AP 1, but for keypoints that are good and not exact.
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
"""What can be mended."""

CORRECTIONS: tuple[Correction, ...] = ("miss", "swap", "inversion", "jitter", "scoring", "false positives", "missed people")
"""In the order of the paper: keypoints, then scores, then what is there too much and too little."""


@final
@dataclass(frozen=True, eq=False)
class CorrectedScore:
    """What AP would be.

    Attributes:
        correction: What was mended.
        ap: The AP then.
        gain: How much more that is: than the AP as it was, or than before this step.
        curve: Precision at OKS 0.75 and recall 0, 0.01 .. 1.
    """

    correction: Correction
    ap: float
    gain: float
    curve: Float[np.ndarray, "101"]


@final
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The errors of an evaluation by kind.

    Attributes:
        scores: As it is.
        matching: Who was found by what.
        keypoints: How many keypoints are of each kind, by the keypoint's name.
        separate: What AP would be if this kind alone were mended.
        cumulative: What AP would be if this kind and all before it were.
    """

    scores: CocoScores
    matching: Matching
    keypoints: Mapping[str, Mapping[ErrorKind, int]]
    separate: tuple[CorrectedScore, ...]
    cumulative: tuple[CorrectedScore, ...]

    @property
    def kinds(self) -> dict[ErrorKind, int]:
        """How many keypoints are of each kind."""
        return {kind: sum(counts[kind] for counts in self.keypoints.values()) for kind in ERROR_KINDS}


def diagnose(truth: GroundTruth, results: Sequence[Record], skeletons: Skeleton | Mapping[int, Skeleton]) -> Diagnosis:
    """Name every error, and say what each kind costs. Arguments and errors are those of `metrics.coco.evaluate`."""
    of = skeletons_by_category(truth, skeletons)
    scores = evaluate(truth, results, of)  # refuses what cannot be scored
    matching = match_people(truth, results, of)
    counts: dict[str, dict[ErrorKind, int]] = {n: dict.fromkeys(ERROR_KINDS, 0) for s in of.values() for n in s.keypoints}
    for pair in matching.pairs:
        names = of[truth["annotations"][pair.person]["category_id"]].keypoints
        for name, kind in zip(names, pair.kinds.tolist(), strict=True):
            if kind >= 0:
                counts[name][ERROR_KINDS[kind]] += 1
    before, alone, together = scores.numbers["AP"], [], []
    healed = _best_oks(truth, correct(truth, results, of, matching, CORRECTIONS[: CORRECTIONS.index("scoring")]), of, matching)
    for cure in CORRECTIONS:
        alone.append(
            _corrected_score(cure, evaluate(truth, correct(truth, results, of, matching, (cure,)), of), scores.numbers["AP"])
        )
        cures = CORRECTIONS[: CORRECTIONS.index(cure) + 1]
        together.append(
            _corrected_score(cure, evaluate(truth, correct(truth, results, of, matching, cures, best=healed), of), before)
        )
        before = together[-1].ap
    return Diagnosis(scores, matching, counts, tuple(alone), tuple(together))


def precision_curve(scores: CocoScores, threshold: float | None = None) -> Float[np.ndarray, "101"]:
    """Precision at recall 0, 0.01 .. 1, the mean of all categories; nan where nobody is.

    Args:
        scores: Of an evaluation.
        threshold: Of OKS, 0.5, 0.55 .. 0.95; the mean of all by default.
    """
    place = slice(None) if threshold is None else slice(round((threshold - 0.5) / 0.05), round((threshold - 0.5) / 0.05) + 1)
    precision = scores.precision[place, :, :, 0, 0].transpose(1, 0, 2).reshape(101, -1)
    known = precision[:, (precision > -1).any(axis=0)]
    return known.mean(axis=1) if known.shape[1] else np.full(101, np.nan)


def correct(
    truth: GroundTruth,
    results: Sequence[Record],
    of: Mapping[int, Skeleton],
    matching: Matching,
    cures: Sequence[Correction],
    *,
    best: Mapping[int, float] | None = None,
) -> list[Record]:
    """The results as they would be without some kinds of errors. Neither argument is changed.

    Keypoints come onto their labels. Scores become the OKS with the nearest person, the best order there is (section 3.2).
    False positives go. Missed people are found exactly, with the median score of those who were.

    Args:
        truth: The annotations.
        results: Of the matching.
        of: The skeleton of every category.
        matching: Who was found by what.
        cures: What to mend.
        best: The OKS of each prediction with the nearest person once its keypoints are mended; computed by default.
    """
    rows = {i: results[i] for i in matching.best}  # the others are beyond the first 20 of their image
    wrong = [ERROR_KINDS.index(kind) for kind in ERROR_KINDS if kind in cures]
    for pair in matching.pairs:
        rows[pair.row] = _with_keypoints_corrected(
            rows[pair.row], truth["annotations"][pair.person], np.isin(pair.kinds, wrong)
        )
    if "scoring" in cures:
        near = matching.best if not wrong else best or _best_oks(truth, list(rows.values()), of, matching)
        rows = {i: {**row, "score": near[i]} for i, row in rows.items()}
    scores = [rows[pair.row]["score"] for pair in matching.pairs]
    if "false positives" in cures:
        gone = {*matching.background, *matching.duplicates, *matching.ignored}  # the last count where OKS asks for more
        rows = {i: row for i, row in rows.items() if i not in gone}
    if "missed people" not in cures:
        return list(rows.values())
    score = float(np.median(scores)) if scores else 1.0
    return [*rows.values(), *(_exact_prediction(truth["annotations"][i], score) for i in matching.missed)]


def _best_oks(truth: GroundTruth, mended: Sequence[Record], of: Mapping[int, Skeleton], matching: Matching) -> dict[int, float]:
    """The highest OKS of each prediction, by its place among the results, of which some keypoints were mended."""
    found = match_people(truth, mended, of).best
    return {i: found[at] for at, i in enumerate(matching.best)}


def _corrected_score(cure: Correction, scores: CocoScores, before: float) -> CorrectedScore:
    ap = scores.numbers["AP"]
    return CorrectedScore(cure, ap, ap - before, precision_curve(scores, 0.75))


def _with_keypoints_corrected(row: Record, annotation: Record, moved: np.ndarray) -> Record:
    """A prediction with some keypoints on their labels."""
    if not moved.any():
        return row
    found, label = (np.array(one["keypoints"], dtype=np.float64).reshape(-1, 3) for one in (row, annotation))
    found[moved, :2] = label[moved, :2]
    return {**row, "keypoints": found.reshape(-1).tolist()}


def _exact_prediction(annotation: Record, score: float) -> Record:
    """A prediction that is its label."""
    return {name: annotation[name] for name in ("image_id", "category_id", "keypoints")} | {"score": score}
