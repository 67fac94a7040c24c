"""Gaps in a track: keypoints and people who are missing for a few frames are put on the line between before and after."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Poses
from poise.tracking.smoothing import Smoother, known_keypoints, poses_from_plain, poses_to_plain, tracks_of

GAP = 5
"""Longest gap that is filled, frames."""


@dataclass(eq=False)
class _Held:
    """A frame that is kept: given out already, or still to come."""

    poses: Poses
    done: bool = False


@final
class GapFiller(Smoother):
    """Fills gaps of a few frames, and marks what it put in as filled; longer gaps stay.

    A keypoint that is not known between two frames in which it is lies on the straight line between these, with the lower of
    their scores. A person who is missing between two frames is put in likewise, as a whole. Causal, what is missing stays where
    it was seen last.

    Args:
        frames: Longest gap; as many frames come out later than they went in.
        causal: Whether no frame is waited for.

    Raises:
        InputError: `frames` is below 1.
    """

    name = "fill"

    def __init__(self, frames: int = GAP, *, causal: bool = False) -> None:
        if frames < 1:
            raise InputError(f"smoothing: a gap to fill has at least one frame, found {frames}")
        self.frames, self.causal = frames, causal
        self._held: deque[_Held] = deque()

    def update(self, poses: Poses) -> list[Poses]:
        """The frame that is `frames` back, or this one where it is causal."""
        self._held.append(_Held(poses))
        near = list(self._held)[-1 - self.frames :] if self.causal else [self._held[-1]]
        for track in sorted({t for held in near for t in tracks_of(held.poses)} - {-1}):
            self._hold(track) if self.causal else self._bridge(track)
        waiting = 0 if self.causal else self.frames
        ready = [held for held in list(self._held)[: max(0, len(self._held) - waiting)] if not held.done]
        for held in ready:
            held.done = True
        while len(self._held) > 2 * self.frames + 2:
            self._held.popleft()
        return [held.poses for held in ready]

    def finish(self) -> list[Poses]:
        """The frames that were waited for."""
        left = [held.poses for held in self._held if not held.done]
        self._held.clear()
        return left

    def _bridge(self, track: int) -> None:
        """Fill the gaps of a track that end in the newest frame."""
        newest = _Part.of(self._held[-1].poses, track)
        if newest is None:
            return
        missing = newest.known
        for back in range(1, min(self.frames + 1, len(self._held) - 1) + 1):
            before = _Part.of(self._held[-1 - back].poses, track)
            if before is None:
                continue
            wanted, missing = before.known & missing, missing & ~before.known
            between = [self._held[-1 - step] for step in range(back - 1, 0, -1)] if wanted.any() else []
            for step, held in enumerate(between, start=1):
                if not held.done:
                    held.poses = _put(held.poses, track, before.towards(newest, step / back), wanted)
            if not missing.any():
                return

    def _hold(self, track: int) -> None:
        """Keep what is missing in the newest frame where it was seen last."""
        newest = self._held[-1]
        own = _Part.of(newest.poses, track)
        missing = None if own is None else ~own.known
        for held in list(self._held)[-2 : -2 - self.frames : -1]:
            before = _Part.of(held.poses, track, found=True)
            if before is None:
                continue
            wanted = before.known if missing is None else before.known & missing
            if wanted.any():
                newest.poses = _put(newest.poses, track, before, wanted)
                missing = torch.zeros_like(wanted) if missing is None else missing & ~wanted

    def to_plain(self) -> dict[str, Any]:
        """The frames that are kept."""
        return {"held": [{"poses": poses_to_plain(held.poses), "done": held.done} for held in self._held]}

    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote."""
        self._held = deque(_Held(poses_from_plain(one["poses"], skeleton), bool(one["done"])) for one in values["held"])


@dataclass(frozen=True, eq=False)
class _Part:
    """One person in a frame: keypoints, score, box, scores of box and pose, and which keypoints were found."""

    xy: Tensor
    score: Tensor
    box: Tensor
    scores: Tensor
    known: Tensor

    @classmethod
    def of(cls, poses: Poses, track: int, *, found: bool = False) -> "_Part | None":
        """The person of a track; None where it is not there. `found`: without what was filled."""
        tracks = tracks_of(poses)
        if track not in tracks:
            return None
        row = tracks.index(track)
        known = known_keypoints(poses)[row]
        if poses.filled is not None:
            known = known & ~poses.filled[row]
        if found and not known.any():
            return None
        scores = torch.stack((poses.box_score[row], poses.pose_score[row]))
        return cls(poses.xy[row], poses.score[row], poses.boxes[row], scores, known)

    def towards(self, other: "_Part", share: float) -> "_Part":
        """Part of the way to where the person is later, with the lower of both scores."""
        return _Part(
            self.xy + (other.xy - self.xy) * share,
            torch.minimum(self.score, other.score),
            self.box + (other.box - self.box) * share,
            torch.minimum(self.scores, other.scores),
            self.known & other.known,
        )


def _put(poses: Poses, track: int, part: _Part, wanted: Tensor) -> Poses:
    """The poses with keypoints of a person put in; who is not there at all is added."""
    tracks = tracks_of(poses)
    poses = poses._complete(track=True, filled=True)
    assert poses.filled is not None
    if track in tracks:
        row = tracks.index(track)
        xy, score, filled = poses.xy.clone(), poses.score.clone(), poses.filled.clone()
        xy[row], score[row] = (
            torch.where(wanted[:, None], part.xy.to(xy), xy[row]),
            torch.where(wanted, part.score.to(score), score[row]),
        )
        filled[row] |= wanted
        return replace(poses, xy=xy, score=score, filled=filled)
    added = replace(
        poses,
        xy=torch.where(wanted[:, None], part.xy, 0.0)[None],
        score=torch.where(wanted, part.score, 0.0)[None],
        boxes=part.box[None],
        box_score=part.scores[:1],
        pose_score=part.scores[1:],
        track=torch.tensor([track]),
        filled=wanted[None],
    )
    return Poses.merge([poses, added])
