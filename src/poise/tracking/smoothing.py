"""Smoothing of tracked poses: the contract of a smoother, a chain of several, and what both remember.

A smoother takes the poses of one frame after another and gives frames back in their order, at once (causal) or some frames
later (`lag`). It changes positions of keypoints, and says in `Poses.filled` where it put one in.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Key, Poses

KNOWN_SCORE = 0.05
"""Keypoints of a lower score are not known: they are not smoothed, and may be filled."""

RATE = 30.0
"""Frames a second of poses whose key has no time."""


class Smoother(ABC):
    """Makes the positions of tracked poses steadier.

    Attributes:
        name: Name in commands.
    """

    name: ClassVar[str]

    @abstractmethod
    def update(self, poses: Poses) -> list[Poses]:
        """The frames that are done after the next frame was given, in their order.

        Args:
            poses: Of the next frame, with tracks.

        Raises:
            InputError: The poses have no tracks.
        """

    def finish(self) -> list[Poses]:
        """The frames that are left at the end of the video, in their order; none by default."""
        return []

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """What it remembers, as plain types."""

    @abstractmethod
    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote.

        Args:
            values: Of `to_plain`.
            skeleton: Of the poses.
        """


@final
class Chain(Smoother):
    """Several smoothers one after another.

    Args:
        parts: The first gets the poses of the tracker; none changes nothing.
    """

    name = "chain"

    def __init__(self, parts: Sequence[Smoother] = ()) -> None:
        self.parts = list(parts)

    def update(self, poses: Poses) -> list[Poses]:
        """The frames that have come through all of them."""
        return self._through([poses], 0)

    def finish(self) -> list[Poses]:
        """The frames that are left in any of them."""
        left: list[Poses] = []
        for index, part in enumerate(self.parts):
            left += self._through(part.finish(), index + 1)
        return left

    def _through(self, frames: list[Poses], first: int) -> list[Poses]:
        for part in self.parts[first:]:
            frames = [out for frame in frames for out in part.update(frame)]
        return frames

    def to_plain(self) -> dict[str, Any]:
        """What each of them remembers."""
        return {"parts": [part.to_plain() for part in self.parts]}

    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote."""
        for part, own in zip(self.parts, values["parts"], strict=True):
            part.restore(own, skeleton)


def tracks_of(poses: Poses) -> list[int]:
    """Id of the track of each pose.

    Raises:
        InputError: The poses were not tracked.
    """
    if poses.track is None:
        raise InputError("smoothing needs to know who is who: give the poses to a Tracker first (poses.track is None)")
    return [int(track) for track in poses.track.tolist()]


def known_keypoints(poses: Poses) -> Bool[Tensor, "n k"]:
    """Keypoints with a position of some confidence."""
    return (poses.score >= KNOWN_SCORE) & poses.xy.isfinite().all(dim=-1)


def body_sizes(poses: Poses) -> Float[Tensor, " n"]:
    """Longer side of each pose's box, at least one pixel."""
    return (poses.boxes[:, 2:] - poses.boxes[:, :2]).amax(dim=1).clamp(min=1.0)


def time_of(poses: Poses, count: int) -> float:
    """Seconds of a frame from the start of the video.

    Args:
        poses: Of the frame.
        count: Frames before it.
    """
    frame = count if poses.key.frame is None else poses.key.frame
    return frame / RATE if poses.key.time is None else poses.key.time


def marked(poses: Poses, row: int, keypoints: Bool[np.ndarray, " k"]) -> Poses:
    """The poses with keypoints of one person marked as filled."""
    filled = torch.zeros(poses.xy.shape[:2], dtype=torch.bool) if poses.filled is None else poses.filled.clone()
    filled[row] |= torch.from_numpy(keypoints)
    return replace(poses, filled=filled)


TENSORS = ("xy", "score", "boxes", "box_score", "pose_score")


def poses_to_plain(poses: Poses) -> dict[str, Any]:
    """Poses as plain types, exactly; the skeleton is left out.

    Args:
        poses: On the CPU.
    """
    key = {name: getattr(poses.key, name) for name in ("file_name", "image_id", "source", "frame", "time")}
    values = {name: getattr(poses, name).tolist() for name in TENSORS}
    marks = {name: None if own is None else own.tolist() for name, own in (("track", poses.track), ("filled", poses.filled))}
    return {"key": key, "size": poses.size, "keypoints": poses.xy.shape[1], **values, **marks}


def poses_from_plain(values: dict[str, Any], skeleton: Skeleton | None) -> Poses:
    """The poses that `poses_to_plain` wrote.

    Args:
        values: Of `poses_to_plain`.
        skeleton: Of the poses.
    """
    k = int(values["keypoints"])
    shapes = {"xy": (-1, k, 2), "score": (-1, k), "boxes": (-1, 4), "box_score": (-1,), "pose_score": (-1,)}
    count = len(values["pose_score"])
    tensors: dict[str, Any] = {
        name: torch.tensor(values[name], dtype=torch.float32).reshape(count, *shape[1:]) for name, shape in shapes.items()
    }
    track = None if values["track"] is None else torch.tensor(values["track"], dtype=torch.int64)
    filled = None if values["filled"] is None else torch.tensor(values["filled"], dtype=torch.bool).reshape(count, k)
    size = None if values["size"] is None else (values["size"][0], values["size"][1])
    return Poses(**tensors, key=Key(**values["key"]), track=track, filled=filled, skeleton=skeleton, size=size)
