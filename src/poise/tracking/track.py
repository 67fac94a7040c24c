"""One person as a tracker remembers them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from poise.tracking.motion import BoxMotion


@dataclass(eq=False)
class Track:
    """One person, as the tracker remembers them.

    Attributes:
        id: Number of the track, from 1; -1 until it is confirmed.
        motion: Box and its velocity.
        xy: Keypoints where they were seen last, pixels.
        known: Which of them were confident.
        centre: Centre of the box at that time.
        lost: Frames since then; 0 where the person was seen in the last frame.
        seen: Frames in a row in which the person has been seen, until it is confirmed.
        look: Appearance, of length 1; None where none was given.
        sure: Whether the person was alone when it was learnt.
    """

    id: int
    motion: BoxMotion
    xy: Float[np.ndarray, "k 2"]
    known: Bool[np.ndarray, " k"]
    centre: Float[np.ndarray, "2"]
    lost: int = 0
    seen: int = 1
    look: Float[np.ndarray, " d"] | None = None
    sure: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Its values as plain types."""
        return {
            "id": self.id,
            "motion": self.motion.to_plain(),
            "xy": self.xy.tolist(),
            "known": self.known.tolist(),
            "centre": self.centre.tolist(),
            "lost": self.lost,
            "seen": self.seen,
            "look": None if self.look is None else self.look.tolist(),
            "sure": self.sure,
        }

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "Track":
        """The track that `to_plain` wrote."""
        own = dict(values)
        arrays = {"xy": np.array(own["xy"], dtype=np.float64).reshape(-1, 2), "known": np.array(own["known"], dtype=bool)}
        look = None if own["look"] is None else np.array(own["look"])
        motion = BoxMotion.from_plain(own["motion"])
        return cls(**(own | arrays | {"motion": motion, "centre": np.array(own["centre"]), "look": look}))
