"""What a figure is made of: tapered tubes in space, and points on them.

Space has x to the right of the image, y down and z towards the viewer. A body at rest faces the viewer, so its left is at
positive x, as in every photograph of somebody who looks at the camera.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from poise.data.figures.coat import Coat
from poise.skeletons import Skeleton

Vector = NDArray[np.float64]
"""Three numbers x, y, z, in units of the body."""
Matrix = NDArray[np.float64]
"""A turn, 3 x 3: its columns are where left, down and forward of a body part point."""


def vector(x: float, y: float, z: float) -> Vector:
    """A point or a direction."""
    return np.array((x, y, z))


def turn(axis: int, degrees: float) -> Matrix:
    """A turn about x (0: hanging things swing forward), y (1: the face turns to its left) or z (2: clockwise in the image)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = (
        ((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c)),
        ((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c)),
        ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)),
    )
    return np.array(rows[axis])


@final
@dataclass(frozen=True, eq=False)
class Trim:
    """A second coat on one part: it lies where `along * t + normal . direction > offset`.

    Attributes:
        coat: What is seen there.
        along: Weight of t, 0 at the start of the part and 1 at its end.
        direction: Weights of the surface's normal, in space.
        offset: Where the border is.
        sharp: How hard the border is; 8 is soft, 40 is a seam.
    """

    coat: Coat
    along: float = 0.0
    direction: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset: float = 0.0
    sharp: float = 30.0


@final
@dataclass(frozen=True, eq=False)
class BodyPart:
    """A tube from `start` to `end` whose radius follows a parabola through three values.

    Attributes:
        start: Centre of the first end.
        end: Centre of the other end.
        radii: At the start, in the middle and at the end.
        coat: What its surface looks like.
        trim: A second coat on a piece of it.
        shape: 3 x 3, stretches the round cross-section and the round ends: a turn with scaled columns. None for a round tube.
    """

    start: Vector
    end: Vector
    radii: tuple[float, float, float]
    coat: Coat
    trim: Trim | None = None
    shape: Matrix | None = None


@final
@dataclass(frozen=True, eq=False)
class Figure:
    """One body.

    Attributes:
        parts: Its tubes.
        points: Keypoints in space, k x 3.
        slack: How far below the surface each keypoint lies when it is in sight, k.
        foot: Height (y) of the ground under it.
    """

    parts: tuple[BodyPart, ...]
    points: NDArray[np.float64]
    slack: NDArray[np.float64]
    foot: float


@final
class Sketch:
    """A figure in the making.

    Attributes:
        parts: Its tubes so far.
        places: Its keypoints so far, in space.
    """

    def __init__(self) -> None:
        self.parts: list[BodyPart] = []
        self.places: dict[str, Vector] = {}
        self._slack: dict[str, float] = {}

    def add(self, part: BodyPart) -> None:
        """One tube more."""
        self.parts.append(part)

    def mark(self, name: str, place: Vector, *, slack: float) -> None:
        """One keypoint more; `slack` is how far below the surface it lies when it is in sight."""
        self.places[name], self._slack[name] = place, slack

    def finished(self, skeleton: Skeleton, *, sole: float) -> Figure:
        """The figure, its keypoints in the order of the skeleton; the ground is `sole` below the lowest one."""
        points = np.stack([self.places[name] for name in skeleton.keypoints])
        slack = np.array([self._slack[name] for name in skeleton.keypoints])
        return Figure(tuple(self.parts), points, slack, float(points[:, 1].max()) + sole)
