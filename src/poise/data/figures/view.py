"""From where an animal is seen."""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures.body_part import Matrix, turn
from poise.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class View:
    """The direction of a camera; all angles in degrees.

    Attributes:
        yaw: Rotation of the body; at 0 it faces the camera, positive turns its face to its left (to the right in the image).
        tilt: Elevation of the camera; positive looks down on the body.
        roll: Rotation of the body in the image, clockwise.
    """

    yaw: float
    tilt: float = 0.0
    roll: float = 0.0

    @property
    def rotation(self) -> Matrix:
        """Rotation from the frame of the body to that of the camera (3 3)."""
        return turn(2, self.roll) @ turn(0, -self.tilt) @ turn(1, self.yaw)


@final
@dataclass(frozen=True, kw_only=True)
class Views:
    """Where cameras stand; angles in degrees.

    Attributes:
        around: Share of the cameras that stand anywhere around the animal; the others see a side of it.
        spread: Standard deviation of the directions of those that see a side.
        tilt: Mean elevation of the camera.
        tilt_spread: Standard deviation of the elevation.
        roll: Standard deviation of the rotation in the image.
        near: Least distance of the camera from the animal, lengths of its trunk; a near camera has more perspective.
        far: Greatest distance.
    """

    around: float = 0.25
    spread: float = 32.0
    tilt: float = 9.0
    tilt_spread: float = 8.0
    roll: float = 4.0
    near: float = 3.5
    far: float = 9.0

    def __post_init__(self) -> None:
        if not 0 <= self.around <= 1:
            raise InputError(f"found a share of cameras around of {self.around}; give 0 to 1")
        if not 1.5 <= self.near <= self.far:
            raise InputError(
                f"found distances of the camera from {self.near} to {self.far}; give at least 1.5, the smaller first"
            )

    def draw(self, rng: np.random.Generator) -> View:
        """A random camera."""
        side = 90 if rng.random() < 0.5 else -90
        yaw = rng.uniform(-180, 180) if rng.random() < self.around else rng.normal(side, self.spread)
        tilt = float(np.clip(rng.normal(self.tilt, self.tilt_spread), -20, 75))
        return View(yaw=float(yaw), tilt=tilt, roll=float(rng.normal(0, self.roll)))
