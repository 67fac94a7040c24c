"""Where a box will be in the next frame: a Kalman filter of constant velocity, as in SORT (arXiv 1602.00763) and ByteTrack."""

from typing import Any, final

import numpy as np
from jaxtyping import Float

POSITION = 1 / 20
"""Standard deviation of a measured position, and of a step of one, as a share of the longer side (ByteTrack's 1/20)."""

VELOCITY = 1 / 160
"""Standard deviation of the change of a velocity from frame to frame, as a share of the longer side (ByteTrack's 1/160)."""

START = 0.2
"""Standard deviation of the velocity of somebody new, as a share of the longer side a frame."""

_STEP = np.array([[1.0, 1.0], [0.0, 1.0]])


@final
class BoxMotion:
    """Centre and size of a box with their velocities, in pixels and pixels a frame.

    All four coordinates have the same noise, so they share one covariance.

    Args:
        box: x0 y0 x1 y1 of the first frame, pixels.
    """

    def __init__(self, box: Float[np.ndarray, "4"]) -> None:
        self.mean = np.stack((_centred(box), np.zeros(4)))
        size = self.size
        self.cov = np.diag([(2 * POSITION * size) ** 2, (START * size) ** 2])

    @property
    def size(self) -> float:
        """The longer side of the box, at least one pixel."""
        return max(float(self.mean[0, 2:].max()), 1.0)

    @property
    def box(self) -> Float[np.ndarray, "4"]:
        """The box x0 y0 x1 y1, pixels."""
        centre, half = self.mean[0, :2], np.maximum(self.mean[0, 2:], 1e-3) / 2
        return np.concatenate((centre - half, centre + half))

    @property
    def doubt(self) -> float:
        """Standard deviation of the expected centre, as a share of the longer side."""
        return float(np.sqrt(self.cov[0, 0])) / self.size

    def predict(self) -> None:
        """Move on to the next frame."""
        size = self.size
        self.mean = _STEP @ self.mean
        self.cov = _STEP @ self.cov @ _STEP.T + np.diag([(POSITION * size) ** 2, (VELOCITY * size) ** 2])

    def update(self, box: Float[np.ndarray, "4"]) -> None:
        """Learn where the box was found in this frame.

        Args:
            box: x0 y0 x1 y1, pixels.
        """
        gain = self.cov[:, 0] / (self.cov[0, 0] + (POSITION * self.size) ** 2)
        self.mean = self.mean + gain[:, None] * (_centred(box) - self.mean[0])[None]
        self.cov = self.cov - np.outer(gain, self.cov[0])

    def to_plain(self) -> dict[str, Any]:
        """Its numbers as plain lists."""
        return {"mean": self.mean.tolist(), "cov": self.cov.tolist()}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "BoxMotion":
        """The motion that `to_plain` wrote."""
        made = cls(np.array([0.0, 0.0, 1.0, 1.0]))
        made.mean, made.cov = np.array(values["mean"]), np.array(values["cov"])
        return made


def _centred(box: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    corners = np.asarray(box, dtype=np.float64)
    return np.concatenate(((corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]))
