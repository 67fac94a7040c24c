"""The poses of a frame as a tracker reads them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class Seen:
    """The poses of a frame as arrays of float64.

    Attributes:
        xy: Keypoints, pixels of the image.
        known: Which of them were found.
        boxes: x0, y0, x1, y1, pixels of the image.
        score: Confidences of the poses.
        looks: Appearance of each pose, vectors of length 1; None where it is not used.
        alone: Whether nobody stands before a person, so that the appearance is theirs; None as `looks`.
    """

    xy: Float[np.ndarray, "n k 2"]
    known: Bool[np.ndarray, "n k"]
    boxes: Float[np.ndarray, "n 4"]
    score: Float[np.ndarray, " n"]
    looks: Float[np.ndarray, "n d"] | None = None
    alone: Bool[np.ndarray, " n"] | None = None

    def shows(self, row: int) -> bool:
        """Whether the appearance of a pose is that of the person, and of nobody before them."""
        return self.alone is not None and bool(self.alone[row])


def unit(looks: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
    """Vectors of length 1; of zeros zeros."""
    found: np.ndarray = looks / np.maximum(np.linalg.norm(looks, axis=-1, keepdims=True), 1e-12)
    return found
