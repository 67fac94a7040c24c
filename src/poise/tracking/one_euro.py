"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012) on each keypoint of each track: causal, no lag in frames."""

from dataclasses import replace
from typing import Any, final

import torch

from poise.decoding.one_euro import OneEuro, OneEuroSettings
from poise.skeletons import Skeleton
from poise.structures import Poses
from poise.tracking.smoothing import Smoother, body_sizes, known_keypoints, time_of, tracks_of

AUTHORS = OneEuroSettings(min_cutoff=1.0, beta=1.5, derivative_cutoff=1.0)
"""The authors' cutoffs of 1 Hz. Their example has beta 0.007 with speeds in pixels a second; speeds here are in body sizes a
second, and 0.007 for a body of some 200 pixels is 1.5."""

FORGET = 30
"""Frames after which a track that is not seen starts anew."""


@final
class OneEuroSmoother(Smoother):
    """Smooths slow keypoints much and fast ones little; speeds count in body sizes, so people far away are smoothed alike.

    Args:
        settings: Cutoff frequencies in Hz, and how the cutoff grows with the speed in body sizes a second.
    """

    name = "one-euro"

    def __init__(self, settings: OneEuroSettings = AUTHORS) -> None:
        self.settings = settings
        self._filters: dict[int, OneEuro] = {}
        self._seen: dict[int, int] = {}
        self._frames = 0

    def update(self, poses: Poses) -> list[Poses]:
        """The frame itself, smoothed; keypoints that are not known stay where they are."""
        self._frames += 1
        known, sizes, xy = known_keypoints(poses), body_sizes(poses), poses.xy.clone()
        for row, track in enumerate(tracks_of(poses)):
            if track < 0:
                continue
            own = self._filters.setdefault(track, OneEuro(self.settings))
            both = known[row][:, None].expand(-1, 2)
            smooth = own(poses.xy[row], time=time_of(poses, self._frames - 1), scale=1 / float(sizes[row]), known=both)
            xy[row] = torch.where(both, smooth.to(xy), xy[row])
            self._seen[track] = self._frames
        for track in [track for track, last in self._seen.items() if self._frames - last > FORGET]:
            del self._seen[track], self._filters[track]
        return [replace(poses, xy=xy)]

    def to_plain(self) -> dict[str, Any]:
        """The filters of all tracks."""
        filters = {str(track): own.to_plain() for track, own in self._filters.items()}
        return {"frames": self._frames, "seen": {str(track): last for track, last in self._seen.items()}, "filters": filters}

    def restore(self, values: dict[str, Any], skeleton: Skeleton | None) -> None:
        """Remember what `to_plain` wrote."""
        self._frames, self._filters = values["frames"], {}
        self._seen = {int(track): last for track, last in values["seen"].items()}
        for track, own in values["filters"].items():
            self._filters[int(track)] = OneEuro(self.settings)
            self._filters[int(track)].restore(own)
