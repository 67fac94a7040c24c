"""The geometry of a figure: tapered tubes in space, and keypoints.

In space x points to the right of the image, y down and z towards the viewer. A body at rest faces the viewer, so its left side
is at positive x.
"""

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from poise.data.figures.texture import Texture
from poise.skeletons import Skeleton

Vector = NDArray[np.float64]
"""A point or direction x, y, z, in units of the body."""
Matrix = NDArray[np.float64]
"""A rotation (3 3): its columns are the directions left, down and forward of a body part."""


def vector(x: float, y: float, z: float) -> Vector:
    """A point or a direction."""
    return np.array((x, y, z))


def turn(axis: int, degrees: float) -> Matrix:
    """A rotation about one axis.

    Args:
        axis: 0 for x (a hanging limb swings forward), 1 for y (the face turns to its left), 2 for z (clockwise in the image).
        degrees: The angle.
    """
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
    """A second texture on a body part, where `along * t + normal . direction > offset`.

    Attributes:
        texture: The second texture.
        along: Weight of t, which is 0 at the start of the part and 1 at its end.
        direction: Weights (x, y, z) of the surface normal.
        offset: Threshold that places the border.
        sharp: Sharpness of the border; 8 is soft, 40 is a seam.
    """

    texture: Texture
    along: float = 0.0
    direction: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset: float = 0.0
    sharp: float = 30.0

    def turned(self, rotation: Matrix) -> "Trim":
        """The trim of a part that is turned.

        Args:
            rotation: The rotation (3 3).
        """
        x, y, z = (rotation @ np.array(self.direction)).tolist() if any(self.direction) else self.direction
        return replace(self, direction=(x, y, z))


@final
@dataclass(frozen=True, eq=False)
class BodyPart:
    """A tube from `start` to `end` whose radius follows a parabola through three values.

    Attributes:
        start: Centre of the first end.
        end: Centre of the other end.
        radii: Radius at the start, in the middle and at the end, units of the body.
        texture: Texture of the surface.
        trim: A second texture on a part of the surface; None for none.
        shape: Matrix (3 3) that stretches the cross-section and the round ends, a rotation with scaled columns; None for a
            round tube.
    """

    start: Vector
    end: Vector
    radii: tuple[float, float, float]
    texture: Texture
    trim: Trim | None = None
    shape: Matrix | None = None

    def turned(self, rotation: Matrix) -> "BodyPart":
        """The part turned about the origin.

        Args:
            rotation: The rotation (3 3).
        """
        trim = self.trim and self.trim.turned(rotation)
        shape = None if self.shape is None else rotation @ self.shape
        return BodyPart(rotation @ self.start, rotation @ self.end, self.radii, self.texture, trim, shape)


@final
@dataclass(frozen=True, eq=False)
class Figure:
    """The body of a person or an animal.

    Attributes:
        parts: The tubes.
        points: Keypoint positions in space (k 3), units of the body.
        slack: Depth of each keypoint below the surface up to which it counts as visible (k), units of the body.
        foot: Distance of the ground from the origin, along `down`.
        down: Unit vector (3) that points to the ground; y by default.
    """

    parts: tuple[BodyPart, ...]
    points: NDArray[np.float64]
    slack: NDArray[np.float64]
    foot: float
    down: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def turned(self, rotation: Matrix) -> "Figure":
        """The figure turned about its origin, together with the ground.

        Args:
            rotation: The rotation (3 3).
        """
        x, y, z = (rotation @ np.array(self.down)).tolist()
        parts = tuple(part.turned(rotation) for part in self.parts)
        return replace(self, parts=parts, points=self.points @ rotation.T, down=(x, y, z))


@final
class FigureBuilder:
    """Collects the tubes and keypoints of a figure.

    Attributes:
        parts: The tubes so far.
        keypoints: Positions of the keypoints so far, by name.
    """

    def __init__(self) -> None:
        self.parts: list[BodyPart] = []
        self.keypoints: dict[str, Vector] = {}
        self._slack: dict[str, float] = {}

    def add(self, part: BodyPart) -> None:
        """Add a tube."""
        self.parts.append(part)

    def add_keypoint(self, name: str, position: Vector, *, slack: float) -> None:
        """Add a keypoint.

        Args:
            name: Name of the keypoint.
            position: Its position in space.
            slack: Depth below the surface up to which it counts as visible, units of the body.
        """
        self.keypoints[name], self._slack[name] = position, slack

    def build(self, skeleton: Skeleton, *, sole: float = 0.0, ground: float | None = None) -> Figure:
        """The finished figure.

        Args:
            skeleton: Gives the order of the keypoints.
            sole: Distance of the ground below the lowest keypoint, units of the body.
            ground: y of the ground, units of the body; by default `sole` below the lowest keypoint.
        """
        points = np.stack([self.keypoints[name] for name in skeleton.keypoints])
        slack = np.array([self._slack[name] for name in skeleton.keypoints])
        return Figure(tuple(self.parts), points, slack, float(points[:, 1].max()) + sole if ground is None else ground)
