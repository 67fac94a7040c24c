"""A fixed-lag Kalman smoother of each keypoint: constant velocity forward, then back from the frames that are waited for."""

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Poses
from poise.tracking.smoothing import (
    Smoother,
    body_sizes,
    known_keypoints,
    poses_from_plain,
    poses_to_plain,
    tracks_of,
)

LAG = 5
"""Frames that are waited for."""

NOISE = 0.01
"""Standard deviation of a found position, in body sizes."""

ACCELERATION = 0.005
"""Standard deviation of the change of a velocity from frame to frame, in body sizes a frame."""

FORGET = 30
"""Frames after which a track that is not seen starts anew."""

_STEP = np.array([[1.0, 1.0], [0.0, 1.0]])
_PUSH = np.array([[0.25, 0.5], [0.5, 1.0]])


@dataclass(frozen=True, eq=False)
class _State:
    """The keypoints of a track after a frame; nan before a keypoint is seen.

    Attributes:
        mean: Position (pixels) and velocity (pixels a frame) of each keypoint, along x and y.
        cov: Covariance of position and velocity, the same for x and y.
        push: Variance of the change of a velocity in the step to this frame.
    """

    mean: Float[np.ndarray, "k 2 2"]
    cov: Float[np.ndarray, "k 2 2"]
    push: float


@final
class KalmanSmoother(Smoother):
    """Smooths positions with what comes `lag` frames later; keypoints that are not known stay where they are.

    Args:
        lag: Frames by which a frame comes out later: 0 is causal (a Kalman filter), None waits for the whole video.
        noise: Standard deviation of a found position, in body sizes.
        acceleration: Standard deviation of the change of a velocity from frame to frame, in body sizes a frame.

    Raises:
        InputError: A number is out of its range.
    """

    name = "kalman"

    def __init__(self, lag: int | None = LAG, *, noise: float = NOISE, acceleration: float = ACCELERATION) -> None:
        if (lag is not None and lag < 0) or noise <= 0 or acceleration <= 0:
            raise InputError(
                f"smoothing: lag is at least 0 frames, noise and acceleration are above 0, found {lag}, {noise}, {acceleration}"
            )
        self.lag, self.noise, self.acceleration = lag, noise, acceleration
        self._frames: deque[Poses] = deque()
        self._states: dict[int, deque[_State | None]] = {}
        self._last: dict[int, _State] = {}
        self._unseen: dict[int, int] = {}

    def update(self, poses: Poses) -> list[Poses]:
        """The frame that is `lag` back."""
        self._frames.append(poses)
        self._filter(poses)
        if self.lag is None or len(self._frames) <= self.lag:
            return []
        return [self._pop()]

    def finish(self) -> list[Poses]:
        """The frames that were waited for."""
        left = []
        while self._frames:
            left.append(self._pop())
        return left

    def _filter(self, poses: Poses) -> None:
        """One step forward for every track."""
        rows = {track: row for row, track in enumerate(tracks_of(poses)) if track >= 0}
        known, sizes = known_keypoints(poses), body_sizes(poses)
        for track in sorted({*self._states, *rows}):
            states = self._states.setdefault(track, deque([None] * (len(self._frames) - 1)))
            row, last = rows.get(track), self._last.get(track)
            self._unseen[track] = 0 if row is not None else self._unseen.get(track, 0) + 1
            new = None if last is None else _predicted(last, last.push)
            if row is not None:
                new = self._seen(last, poses.xy[row].double().numpy(), known[row].numpy(), float(sizes[row]))
            states.append(new)
            if new is None or self._unseen[track] > FORGET:
                self._last.pop(track, None)
            else:
                self._last[track] = new

    def _seen(self, last: _State | None, xy: np.ndarray, known: np.ndarray, size: float) -> _State:
        push, noise = (self.acceleration * size) ** 2, (self.noise * size) ** 2
        fresh = np.stack((xy, np.zeros_like(xy)), axis=-1)
        start = np.broadcast_to(np.diag([noise, (10 * self.acceleration * size) ** 2]), (len(xy), 2, 2))
        if last is None:
            unknown = ~known[:, None, None]
            return _State(np.where(unknown, np.nan, fresh), np.where(unknown, np.nan, start), push)
        ahead = _predicted(last, push)
        gain = ahead.cov[:, :, 0] / (ahead.cov[:, 0, 0] + noise)[:, None]
        mean = ahead.mean + gain[:, None, :] * (xy - ahead.mean[..., 0])[..., None]
        cov = ahead.cov - gain[:, :, None] * ahead.cov[:, None, 0, :]
        born = np.isfinite(ahead.mean[:, 0, 0])
        mean = np.where(born[:, None, None], mean, fresh)
        cov = np.where(born[:, None, None], cov, start)
        keep = ~known[:, None, None]
        return _State(np.where(keep, ahead.mean, mean), np.where(keep, ahead.cov, cov), push)

    def _pop(self) -> Poses:
        """The oldest frame, smoothed with all that came after it."""
        poses = self._frames.popleft()
        rows = {track: row for row, track in enumerate(tracks_of(poses)) if track >= 0}
        known, xy = known_keypoints(poses).numpy(), poses.xy.clone()
        for track, states in list(self._states.items()):
            if track in rows:
                row, place = rows[track], _backward(states)
                use = known[row] & np.isfinite(place).all(axis=-1)
                xy[row][torch.from_numpy(use)] = torch.from_numpy(place[use]).to(xy)
            states.popleft()
            if track not in self._last and not any(state is not None for state in states):
                del self._states[track], self._unseen[track]
        return replace(poses, xy=xy)

    def to_plain(self) -> dict[str, Any]:
        """The frames that are waited for, and the filters."""
        return {
            "frames": [poses_to_plain(one) for one in self._frames],
            "states": {str(track): [_plain(one) for one in states] for track, states in self._states.items()},
            "last": {str(track): _plain(one) for track, one in self._last.items()},
            "unseen": {str(track): count for track, count in self._unseen.items()},
        }

    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote."""
        self._frames = deque(poses_from_plain(one, skeleton) for one in values["frames"])
        self._states = {int(track): deque(map(_state, own)) for track, own in values["states"].items()}
        self._last = {int(track): one for track, own in values["last"].items() if (one := _state(own)) is not None}
        self._unseen = {int(track): count for track, count in values["unseen"].items()}


def _predicted(state: _State, push: float) -> _State:
    """The state one frame later, before anything is found there."""
    mean = state.mean @ _STEP.T
    return _State(mean, _STEP @ state.cov @ _STEP.T + push * _PUSH, push)


def _backward(states: Iterable[_State | None]) -> Float[np.ndarray, "k 2"]:
    """Positions after the first of several states, with all that was found later (Rauch, Tung, Striebel 1965)."""
    chain = list(itertools.takewhile(lambda state: state is not None, states))
    later = chain[-1]
    assert later is not None
    mean = later.mean
    for state, after in zip(chain[-2::-1], chain[:0:-1], strict=True):
        assert state is not None
        assert after is not None
        ahead = _predicted(state, after.push)
        born = np.isfinite(state.mean[:, 0, 0])
        cov = np.where(born[:, None, None], ahead.cov, np.eye(2))
        gain = np.where(born[:, None, None], state.cov @ _STEP.T @ np.linalg.inv(cov), 0.0)
        moved = state.mean + np.einsum("kij,kdj->kdi", gain, mean - ahead.mean)
        mean = np.where(born[:, None, None], moved, state.mean)
    place: np.ndarray = mean[..., 0]
    return place


def _plain(state: _State | None) -> Any:
    if state is None:
        return None
    values = [[None if np.isnan(v) else v for v in own.ravel().tolist()] for own in (state.mean, state.cov)]
    return {"mean": values[0], "cov": values[1], "push": state.push}


def _state(plain: Any) -> _State | None:
    if plain is None:
        return None
    mean, cov = (np.array([np.nan if v is None else v for v in plain[name]]).reshape(-1, 2, 2) for name in ("mean", "cov"))
    return _State(mean, cov, float(plain["push"]))
