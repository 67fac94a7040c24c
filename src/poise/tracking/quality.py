"""How good a smoother is: jitter of keypoints at rest, and the lag behind the raw positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float

REST = 0.02
"""Speed, in body sizes a frame, below which a keypoint is at rest: that of its running mean over `WINDOW` frames."""

WINDOW = 9
"""Frames of the running mean."""

FARTHEST = 15
"""Longest lag that is looked for, frames."""


@final
@dataclass(frozen=True, eq=False)
class TrackPositions:
    """One person over the frames of a video.

    Attributes:
        xy: Keypoints of every frame, pixels; nan where they are not known.
        size: Longer side of the person's box, pixels; nan where the person is not there.
    """

    xy: Float[np.ndarray, "t k 2"]
    size: Float[np.ndarray, " t"]


def at_rest(track: TrackPositions) -> Bool[np.ndarray, "t k"]:
    """Where keypoints are at rest: their running mean moves slowly."""
    speed = np.full(track.xy.shape[:2], np.nan)
    half = WINDOW // 2
    for t in range(half, len(track.xy) - half - 1):
        now, later = (track.xy[t + shift - half : t + shift + half + 1].mean(axis=0) for shift in (0, 1))
        speed[t] = np.linalg.norm(later - now, axis=-1) / track.size[t]
    with np.errstate(invalid="ignore"):
        return np.asarray(speed < REST)


def jitter(
    tracks: Sequence[TrackPositions], rest: Sequence[Bool[np.ndarray, "t k"]] | None = None
) -> tuple[float, Float[np.ndarray, " k"]]:
    """Mean distance of a keypoint at rest from the middle of its neighbours in time, in thousandths of the body's size.

    Args:
        tracks: People with the same keypoints.
        rest: Where each of them is at rest, such as those of the raw positions while smoothed ones are measured; by default by
            `at_rest`.

    Returns:
        That of all keypoints, and of each; nan where none is ever at rest.
    """
    parts = []
    for track, still in zip(tracks, rest or [at_rest(track) for track in tracks], strict=True):
        away = np.linalg.norm(track.xy[1:-1] - (track.xy[:-2] + track.xy[2:]) / 2, axis=-1) / track.size[1:-1, None]
        parts.append(np.where(still[1:-1], 1000 * away, np.nan))
    joined = np.concatenate(parts) if parts else np.zeros((0, 0))
    known = np.isfinite(joined)
    counts, sums = known.sum(axis=0), np.where(known, joined, 0.0).sum(axis=0)
    each = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return (float(sums.sum() / counts.sum()) if counts.sum() else float("nan")), each


def lag(smoothed: Sequence[TrackPositions], raw: Sequence[TrackPositions]) -> float:
    """Frames by which smoothed positions come later than raw ones: the shift at which moving keypoints agree best.

    Args:
        smoothed: The people, smoothed.
        raw: Positions of the same people in the same frames, not smoothed.

    Returns:
        Frames, to about a tenth (a parabola through the best shift and its neighbours); nan where nothing moves.
    """
    errors = np.array([_error(smoothed, raw, shift) for shift in range(-2, FARTHEST + 1)])
    if not np.isfinite(errors).all():
        return float("nan")
    best = int(errors.argmin())
    if not 0 < best < len(errors) - 1:
        return float(best - 2)
    before, here, after = errors[best - 1 : best + 2]
    bend = before - 2 * here + after
    return float(best - 2 + (0.5 * (before - after) / bend if bend > 0 else 0.0))


def _error(smoothed: Sequence[TrackPositions], raw: Sequence[TrackPositions], shift: int) -> float:
    """Mean squared distance, in body sizes, where keypoints move, of smoothed positions from raw ones `shift` frames before."""
    total, count = 0.0, 0
    for a, b in zip(smoothed, raw, strict=True):
        frames = np.arange(2, len(a.xy) - FARTHEST)  # the same frames of the raw positions for every shift
        if not len(frames):
            continue
        moving = ~at_rest(b)[frames]
        away = ((a.xy[frames + shift] - b.xy[frames]) ** 2).sum(axis=-1) / b.size[frames, None] ** 2
        use = moving & np.isfinite(away)
        total, count = total + float(away[use].sum()), count + int(use.sum())
    return total / count if count else float("nan")
