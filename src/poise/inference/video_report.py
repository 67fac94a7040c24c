"""The page of a video: contact sheet, each person over time, speed and confidence, gaps and jumps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from poise.inference.video_results import read_frames
from poise.viz.draw import Pixels
from poise.viz.report import Report

MOST_TRACKS = 12
"""People with curves of their own; of more the longest tracks."""

POINTS = 600
"""Points of a curve at most."""

JUMP = 0.25
"""Step between two frames, in body sizes, above which a keypoint has jumped, where the others move less than half of it."""

TOLD = 30
"""Gaps and jumps that are listed."""


@final
@dataclass
class _Track:
    """One person over time."""

    frames: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    centres: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    filled: int = 0
    keypoints: Any = None


def video_report(
    poses: Path, *, title: str, names: Sequence[str], sheet: Sequence[tuple[str, Pixels]], facts: dict[str, str]
) -> Report:
    """The page.

    Args:
        poses: The `poses.jsonl` of the video.
        title: Title of the page.
        names: Names of the keypoints.
        sheet: Caption and picture of the frames of the contact sheet.
        facts: What is said of the run.
    """
    tracks: dict[int, _Track] = {}
    jumps: list[tuple[str, ...]] = []
    frames, people, last = 0, 0, 0.0
    for row in read_frames(poses):
        frames, people, last = frames + 1, people + len(row["people"]), row["time"]
        for person in row["people"]:
            if person.get("track", -1) > 0:
                _add(tracks.setdefault(person["track"], _Track()), row, person, names=names, jumps=jumps)
    length = {"length": f"{frames} frames, {last:.1f} s", "people": f"{len(tracks)}, {people / max(frames, 1):.2f} a frame"}
    page = Report(title).facts(length | facts)
    if sheet:
        page.section("Contact sheet").pictures(sheet, width=200)
    if tracks:
        _curves(page, tracks, last)
        _findings(page, tracks, jumps)
    else:
        page.section("People").text("Nobody was followed in this video.")
    return page


def _add(
    track: _Track, row: dict[str, Any], person: dict[str, Any], *, names: Sequence[str], jumps: list[tuple[str, ...]]
) -> None:
    values = np.array(person["keypoints"], dtype=np.float64)
    x0, y0, x1, y1 = person["box"]
    size, known = max(x1 - x0, y1 - y0, 1.0), values[:, 2] > 0.2
    if track.keypoints is not None and track.frames[-1] == row["frame"] - 1:
        before, sure = track.keypoints
        both = known & sure
        if both.sum() > 2:
            step = np.linalg.norm(values[:, :2] - before, axis=-1) / size
            usual = float(np.median(step[both]))
            for index in np.flatnonzero(both & (step > JUMP) & (step > 2 * usual)).tolist():
                jumps.append((str(row["frame"]), f"{row['time']:.2f}", names[index], f"{step[index]:.2f}"))
    track.keypoints = (values[:, :2], known)
    track.frames.append(row["frame"])
    track.times.append(row["time"])
    track.centres.append(((x0 + x1) / 2, (y0 + y1) / 2))
    track.sizes.append(size)
    track.scores.append(float(values[known, 2].mean()) if known.any() else 0.0)
    track.filled += len(person.get("filled", ()))


def _curves(page: Report, tracks: dict[int, _Track], last: float) -> None:
    longest = sorted(tracks, key=lambda track: -len(tracks[track].frames))[:MOST_TRACKS]
    shown = sorted(longest)
    page.section("People over time")
    spans = {f"person {track}": _span(tracks[track], last) for track in shown}
    said = [f"{tracks[track].times[0]:.1f} to {tracks[track].times[-1]:.1f} s" for track in shown]
    page.bars("in the picture", spans, said, parts=("before", "there", "missing"), longest=max(last, 1e-6), colours=(5, 2, 0))
    grid = np.linspace(0.0, max(last, 1e-6), min(POINTS, max(2, max(len(tracks[t].frames) for t in shown))))
    xs = [float(x) for x in grid]
    page.section("Speed and confidence")
    speeds = {f"person {t}": _on(grid, tracks[t], _speed(tracks[t])) for t in shown}
    page.curve("speed of the box, body sizes a second", xs, speeds, xlabel="seconds")
    scores = {f"person {t}": _on(grid, tracks[t], np.array(tracks[t].scores)) for t in shown}
    page.curve("mean confidence of the keypoints", xs, scores, xlabel="seconds", ylim=(0.0, 1.0))
    if len(tracks) > len(shown):
        page.text(f"{len(tracks) - len(shown)} more people with shorter tracks are in the files.")


def _span(track: _Track, last: float) -> tuple[float, float, float]:
    """Seconds before, in, and missing within a track."""
    whole = track.times[-1] - track.times[0]
    steps = np.diff(track.times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    missing = float(steps[steps > 1.5 * usual].sum()) if len(steps) else 0.0
    return track.times[0], max(whole - missing, last / 500), missing


def _speed(track: _Track) -> np.ndarray:
    if len(track.times) < 2:
        return np.zeros(len(track.times))
    moved = np.linalg.norm(np.diff(np.array(track.centres), axis=0), axis=-1)
    found = moved / np.maximum(np.diff(track.times), 1e-6) / np.array(track.sizes)[1:]
    return np.concatenate((found[:1], found))


def _on(grid: np.ndarray, track: _Track, values: np.ndarray) -> list[float]:
    """Values of a track at the times of a grid; nan where the person is not there."""
    times = np.array(track.times)
    place = np.searchsorted(times, grid).clip(0, len(times) - 1)
    step = grid[1] - grid[0]
    near = np.abs(times[place] - grid) <= max(step, 0.25)
    return [float(v) if use else float("nan") for v, use in zip(values[place], near, strict=True)]


def _findings(page: Report, tracks: dict[int, _Track], jumps: list[tuple[str, ...]]) -> None:
    gaps = [
        (str(track), f"{a}", f"{b}", str(b - a - 1))
        for track, own in sorted(tracks.items())
        for a, b in zip(own.frames[:-1], own.frames[1:], strict=True)
        if b - a > _every(own)
    ]
    page.section("Gaps and jumps")
    filled = sum(own.filled for own in tracks.values())
    page.text(f"{len(gaps)} gaps in tracks, {len(jumps)} jumps of single keypoints, {filled} keypoints were filled in.")
    if gaps:
        page.table(("person", "last seen in frame", "again in frame", "frames missing"), gaps[:TOLD])
    if jumps:
        page.table(("frame", "second", "keypoint", "body sizes"), jumps[:TOLD])


def _every(track: _Track) -> int:
    """Usual step from frame to frame."""
    return int(np.median(np.diff(track.frames))) if len(track.frames) > 1 else 1
