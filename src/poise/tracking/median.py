"""Single-frame jumps: a keypoint that leaves its place for one frame is put where its neighbours in time are."""

from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Poses
from poise.tracking.smoothing import (
    Smoother,
    body_sizes,
    known_keypoints,
    marked,
    poses_from_plain,
    poses_to_plain,
    tracks_of,
)

JUMP = 0.15
"""Distance from the median of three frames, in body sizes, above which a keypoint has jumped."""


@final
class MedianSmoother(Smoother):
    """Replaces keypoints that are far from the median of three frames by it, and marks them as filled; others stay.

    The three frames are the one before, the frame itself and the next (a lag of one frame); causal, the last three frames: a
    jump that stays is then believed one frame later.

    Args:
        jump: Distance from the median, in body sizes, above which a keypoint is replaced.
        causal: Whether no frame is waited for.

    Raises:
        InputError: `jump` is not above 0.
    """

    name = "median"

    def __init__(self, jump: float = JUMP, *, causal: bool = False) -> None:
        if jump <= 0:
            raise InputError(f"smoothing: a jump is a distance above 0 body sizes, found {jump}")
        self.jump, self.causal = jump, causal
        self._frames: list[Poses] = []

    def update(self, poses: Poses) -> list[Poses]:
        """The frame before, or this one where it is causal."""
        tracks_of(poses)
        self._frames = [*self._frames[-2:], poses]
        if self.causal:
            return [self._mended(self._frames, len(self._frames) - 1)]
        return [self._mended(self._frames, len(self._frames) - 2)] if len(self._frames) > 1 else []

    def finish(self) -> list[Poses]:
        """The last frame as it is, where it was waited for."""
        left = self._frames[-1:] if not self.causal else []
        self._frames = []
        return left

    def _mended(self, frames: list[Poses], middle: int) -> Poses:
        poses = frames[middle]
        if len(frames) < 3:
            return poses
        for row, track in enumerate(tracks_of(poses)):
            each = [_of_track(frame, track) for frame in frames]
            if track < 0 or any(one is None for one in each):
                continue
            places = np.stack([one[0] for one in each if one is not None])
            known = np.stack([one[1] for one in each if one is not None]).all(axis=0)
            median = np.median(places, axis=0)
            away = np.linalg.norm(places[middle] - median, axis=-1)
            jumped = known & (away > self.jump * float(body_sizes(poses)[row]))
            if jumped.any():
                xy = poses.xy.clone()
                xy[row][torch.from_numpy(jumped)] = torch.from_numpy(median[jumped]).to(xy)
                poses = marked(replace(poses, xy=xy), row, jumped)
        return poses

    def to_plain(self) -> dict[str, Any]:
        """The last frames."""
        return {"frames": [poses_to_plain(one) for one in self._frames]}

    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote."""
        self._frames = [poses_from_plain(one, skeleton) for one in values["frames"]]


def _of_track(poses: Poses, track: int) -> tuple[Float[np.ndarray, "k 2"], Bool[np.ndarray, " k"]] | None:
    """Keypoints of a track in a frame, and which are known; None where it is not there."""
    tracks = tracks_of(poses)
    if track not in tracks:
        return None
    row = tracks.index(track)
    return poses.xy[row].double().numpy(), known_keypoints(poses)[row].numpy()
