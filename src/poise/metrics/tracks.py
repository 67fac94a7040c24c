"""Scores of tracking: HOTA, CLEAR MOT (MOTA, MOTP), IDF1, and MOTA of each keypoint as PoseTrack counts it.

All start from what each frame has: ids of labelled and of found people, and how similar they are (OKS, IoU, ...).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int64

ALPHAS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Similarities at which HOTA is averaged."""

THRESHOLD = 0.5
"""Similarity from which a pair matches, in CLEAR MOT and IDF1."""

TINY = float(np.finfo("float").eps)

Pairs = tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]
Solve = Callable[[Float[np.ndarray, "g n"]], Pairs]
"""Rows and columns of the assignment with the greatest sum."""


@final
@dataclass(frozen=True, eq=False)
class FrameTracks:
    """One frame: who is labelled, who was found, and how similar they are.

    Attributes:
        truth: Track id of each labelled person.
        found: Track id of each found person.
        similarity: OKS or IoU of each labelled person (rows) with each found one (columns), 0 to 1.
    """

    truth: Int64[np.ndarray, " g"]
    found: Int64[np.ndarray, " n"]
    similarity: Float[np.ndarray, "g n"]


@final
@dataclass(frozen=True, eq=False)
class _Sequence:
    """A video with ids from 0 on."""

    frames: list[FrameTracks]
    truths: int
    founds: int

    @classmethod
    def of(cls, frames: Sequence[FrameTracks]) -> "_Sequence":
        truth = {old: new for new, old in enumerate(sorted({int(i) for f in frames for i in f.truth}))}
        found = {old: new for new, old in enumerate(sorted({int(i) for f in frames for i in f.found}))}
        named = [
            FrameTracks(
                np.array([truth[int(i)] for i in f.truth], dtype=np.int64),
                np.array([found[int(i)] for i in f.found], dtype=np.int64),
                f.similarity,
            )
            for f in frames
        ]
        return cls(named, len(truth), len(found))


def hungarian(similarity: Float[np.ndarray, "g n"]) -> Pairs:
    """The assignment with the greatest sum, by scipy."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return rows.astype(np.int64), columns.astype(np.int64)


def track_scores(videos: Sequence[Sequence[FrameTracks]]) -> dict[str, float]:
    """All scores of several videos together: counts are summed, as in TrackEval's combined row.

    Args:
        videos: The frames of each video; ids of different videos have nothing to do with each other.

    Returns:
        HOTA, DetA, AssA, LocA, DetRe, DetPr, AssRe, AssPr; MOTA, MOTP, IDSW, FP, FN, Frag, MT, ML; IDF1, IDP, IDR; and how many
        people were labelled (`truth`, `truth ids`) and found (`found`, `found ids`). Shares are 0 to 1.
    """
    sequences = [_Sequence.of(frames) for frames in videos]
    counts = {
        "truth": sum(len(f.truth) for s in sequences for f in s.frames),
        "found": sum(len(f.found) for s in sequences for f in s.frames),
        "truth ids": sum(s.truths for s in sequences),
        "found ids": sum(s.founds for s in sequences),
    }
    return {**_hota(sequences), **_clear(sequences), **_identity(sequences), **{k: float(v) for k, v in counts.items()}}


# HOTA (Luiten et al., IJCV 2021)


def _hota(sequences: Sequence[_Sequence]) -> dict[str, float]:
    tp, fn, fp, loc = (np.zeros(len(ALPHAS)) for _ in range(4))
    association = {name: np.zeros(len(ALPHAS)) for name in ("AssA", "AssRe", "AssPr")}
    for sequence in sequences:
        hits, misses, extra, near, matched, truth, found = _hota_counts(sequence)
        tp, fn, fp, loc = tp + hits, fn + misses, fp + extra, loc + near
        for a in range(len(ALPHAS)):
            m = matched[a]
            parts = (m / np.maximum(1, truth + found - m), m / np.maximum(1, truth), m / np.maximum(1, found))
            for name, part in zip(association, parts, strict=True):
                association[name][a] += float((m * part).sum())
    scores = {name: summed / np.maximum(1, tp) for name, summed in association.items()}
    scores["DetA"] = tp / np.maximum(1, tp + fn + fp)
    scores["DetRe"], scores["DetPr"] = tp / np.maximum(1, tp + fn), tp / np.maximum(1, tp + fp)
    scores["LocA"] = np.where(tp > 0, loc / np.maximum(tp, 1), 1.0)
    scores["HOTA"] = np.sqrt(scores["DetA"] * scores["AssA"])
    order = ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr")
    return {name: float(scores[name].mean()) for name in order}


def _hota_counts(
    sequence: _Sequence,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """TP, FN, FP and summed similarity at each alpha; matches of each pair of ids; frames of each labelled and found id."""
    potential = np.zeros((sequence.truths, sequence.founds))
    truth, found = np.zeros((sequence.truths, 1)), np.zeros((1, sequence.founds))
    for f in sequence.frames:
        union = f.similarity.sum(axis=0)[None] + f.similarity.sum(axis=1)[:, None] - f.similarity
        potential[f.truth[:, None], f.found[None]] += np.where(union > TINY, f.similarity / np.maximum(union, TINY), 0.0)
        truth[f.truth] += 1
        found[0, f.found] += 1
    aligned = potential / np.maximum(truth + found - potential, TINY)
    matched = np.zeros((len(ALPHAS), sequence.truths, sequence.founds))
    tp, fn, fp, loc = (np.zeros(len(ALPHAS)) for _ in range(4))
    for f in sequence.frames:
        rows, columns = hungarian(aligned[f.truth[:, None], f.found[None]] * f.similarity)
        near = f.similarity[rows, columns]
        for a, alpha in enumerate(ALPHAS):
            good = near >= alpha - TINY
            matched[a, f.truth[rows[good]], f.found[columns[good]]] += 1
            tp[a], loc[a] = tp[a] + good.sum(), loc[a] + near[good].sum()
            fn[a], fp[a] = fn[a] + len(f.truth) - good.sum(), fp[a] + len(f.found) - good.sum()
    return tp, fn, fp, loc, matched, truth, found


# CLEAR MOT (Bernardin, Stiefelhagen 2008)


@dataclass
class _Clear:
    """Counts of CLEAR MOT."""

    tp: int = 0
    fn: int = 0
    fp: int = 0
    switches: int = 0
    fragments: int = 0
    tracked: int = 0
    lost: int = 0
    similarity: float = 0.0


def _clear(sequences: Sequence[_Sequence]) -> dict[str, float]:
    total = _Clear()
    for sequence in sequences:
        _clear_counts(sequence, total)
    labelled = total.tp + total.fn
    return {
        "MOTA": (total.tp - total.fp - total.switches) / max(1, labelled),
        "MOTP": total.similarity / max(1, total.tp),
        "IDSW": float(total.switches),
        "FP": float(total.fp),
        "FN": float(total.fn),
        "Frag": float(total.fragments),
        "MT": float(total.tracked),
        "ML": float(total.lost),
    }


def _clear_counts(sequence: _Sequence, total: _Clear) -> None:
    last = np.full(sequence.truths, -1)  # whom each labelled person was matched with last
    before = np.full(sequence.truths, -1)  # and in the frame before
    frames, matched, begun = (np.zeros(sequence.truths, dtype=int) for _ in range(3))
    for f in sequence.frames:
        score = (f.found[None] == before[f.truth][:, None]) * 1000.0 + f.similarity
        score[f.similarity < THRESHOLD - TINY] = 0
        rows, columns = hungarian(score)
        good = score[rows, columns] > TINY
        truth, found = f.truth[rows[good]], f.found[columns[good]]
        known = last[truth] >= 0
        total.switches += int((known & (last[truth] != found)).sum())
        frames[f.truth] += 1
        matched[truth] += 1
        gone = before < 0
        last[truth] = found
        before = np.full(sequence.truths, -1)
        before[truth] = found
        begun += gone & (before >= 0)
        total.tp += len(truth)
        total.fn += len(f.truth) - len(truth)
        total.fp += len(f.found) - len(found)
        total.similarity += float(f.similarity[rows[good], columns[good]].sum())
    share = matched[frames > 0] / frames[frames > 0]
    total.tracked += int((share > 0.8).sum())
    total.lost += int((share < 0.2).sum())
    total.fragments += int((begun[begun > 0] - 1).sum())


# IDF1 (Ristani et al. 2016)


def _identity(sequences: Sequence[_Sequence]) -> dict[str, float]:
    tp = fn = fp = 0.0
    for sequence in sequences:
        common = np.zeros((sequence.truths, sequence.founds))
        truth, found = np.zeros(sequence.truths), np.zeros(sequence.founds)
        for f in sequence.frames:
            common[f.truth[:, None], f.found[None]] += f.similarity >= THRESHOLD
            truth[f.truth] += 1
            found[f.found] += 1
        rows, columns = hungarian(common)
        hits = common[rows, columns].sum()
        tp, fn, fp = tp + hits, fn + truth.sum() - hits, fp + found.sum() - hits
    return {
        "IDF1": float(tp / max(1.0, tp + 0.5 * fn + 0.5 * fp)),
        "IDP": float(tp / max(1.0, tp + fp)),
        "IDR": float(tp / max(1.0, tp + fn)),
    }


# PoseTrack


@final
@dataclass(frozen=True, eq=False)
class FrameKeypoints:
    """The keypoints of one frame.

    Attributes:
        truth: Track id of each labelled person.
        found: Track id of each found person.
        truth_xy: Labelled keypoints, pixels; nan where not labelled.
        found_xy: Found keypoints, pixels; nan where not found.
        head: Size of each labelled person's head, pixels: a keypoint matches within half of it.
    """

    truth: Int64[np.ndarray, " g"]
    found: Int64[np.ndarray, " n"]
    truth_xy: Float[np.ndarray, "g k 2"]
    found_xy: Float[np.ndarray, "n k 2"]
    head: Float[np.ndarray, " g"]


def keypoint_mota(videos: Sequence[Sequence[FrameKeypoints]], keypoints: int) -> tuple[float, Float[np.ndarray, " k"]]:
    """MOTA of every keypoint, and their mean, in PoseTrack's manner (arXiv 1710.10000, section 4).

    People are assigned by the share of labelled keypoints that match, each to one; keypoints of a pair of people match where
    they are within half of the head's size. Then each keypoint is counted as CLEAR MOT counts people.

    Args:
        videos: The frames of each video.
        keypoints: How many there are.
    """
    each = np.full(keypoints, np.nan)
    for k in range(keypoints):
        sequences = [_Sequence.of([_keypoint_frame(frame, k) for frame in frames]) for frames in videos]
        if any(len(f.truth) for s in sequences for f in s.frames):
            each[k] = _clear(sequences)["MOTA"]
    return (float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")), each


def _keypoint_frame(frame: FrameKeypoints, k: int) -> FrameTracks:
    """One keypoint of all people, of whom only assigned pairs may match."""
    away = np.linalg.norm(frame.truth_xy[:, None] - frame.found_xy[None], axis=-1)
    with np.errstate(invalid="ignore"):
        match = away <= 0.5 * frame.head[:, None, None]
    labelled = np.isfinite(frame.truth_xy).all(axis=-1)
    share = match.sum(axis=-1) / np.maximum(labelled.sum(axis=-1), 1)[:, None]
    rows, columns = hungarian(share)
    paired = np.zeros(share.shape, dtype=bool)
    paired[rows, columns] = share[rows, columns] > 0
    there, seen = labelled[:, k], np.isfinite(frame.found_xy[:, k]).all(axis=-1)
    near = (match[..., k] & paired).astype(np.float64)
    return FrameTracks(frame.truth[there], frame.found[seen], near[there][:, seen])
