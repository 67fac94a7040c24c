"""Poses of people: joint angles for standing, gesturing, walking, running, sitting, crouching and jumping."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from poise.data.figures.sampling import LimbAngles, Limits, clipped, limb_angles, weighted_choice

ARM_LIMITS = ((-45.0, 175.0), (-5.0, 165.0), (-50.0, 70.0), (3.0, 145.0))
"""Limits of an arm, degrees: swing forward, raise sideways, turn inward, elbow."""
LEG_LIMITS = ((-25.0, 115.0), (-6.0, 45.0), (-10.0, 35.0), (2.0, 140.0))
"""Limits of a leg, degrees: swing forward, spread sideways, turn outward, knee."""
HEAD_LIMITS = ((-65.0, 65.0), (-40.0, 40.0), (-30.0, 30.0))
"""Limits of the head, degrees: turn to the left, nod down, tilt to the left."""
SPINE_LIMITS = ((-20.0, 75.0), (-25.0, 25.0), (-35.0, 35.0))
"""Limits of the spine, degrees: lean forward, bend to the left, twist to the left."""


@final
@dataclass(frozen=True)
class Pose:
    """The pose of a person, all angles in degrees. At zero they stand upright with hanging arms and face the viewer.

    Attributes:
        yaw: Rotation of the body; positive turns its face to its left (to the right in the image).
        tilt: Elevation of the camera; positive looks down on the body.
        roll: Rotation of the body in the image, clockwise.
        spine: LimbAngles of the spine: lean forward, bend to the left, twist to the left.
        head: LimbAngles of the head: turn to the left, nod down, tilt to the left.
        arms: LimbAngles of the left and the right arm: swing, raise, turn, elbow.
        legs: LimbAngles of the left and the right leg: swing, spread, turn, knee.
    """

    yaw: float
    tilt: float
    roll: float
    spine: tuple[float, float, float]
    head: tuple[float, float, float]
    arms: tuple[LimbAngles, LimbAngles]
    legs: tuple[LimbAngles, LimbAngles]


def random_pose(rng: np.random.Generator) -> Pose:
    """A random everyday pose: standing, gesturing, walking, running, sitting, crouching or jumping."""
    posture = weighted_choice(
        rng, ((_stand, 0.2), (_gesture, 0.3), (_stride, 0.24), (_sit, 0.08), (_crouch, 0.06), (_leap, 0.12))
    )
    arms, legs, lean = posture(rng)
    yaw = rng.normal(0, 40) if rng.random() < 0.6 else rng.uniform(-180, 180)
    return Pose(
        yaw=float(yaw),
        tilt=float(np.clip(rng.normal(7, 8), -12, 30)),
        roll=float(rng.normal(0, 7)),
        spine=_three(rng.normal((lean, 0, 0), (5, 6, 9)), SPINE_LIMITS),
        head=_three(rng.normal((0, 3, 0), (22, 10, 7)), HEAD_LIMITS),
        arms=(limb_angles(arms[0], ARM_LIMITS), limb_angles(arms[1], ARM_LIMITS)),
        legs=(limb_angles(legs[0], LEG_LIMITS), limb_angles(legs[1], LEG_LIMITS)),
    )


Posture = tuple[list[list[float]], list[list[float]], float]
"""LimbAngles of the arms and of the legs, and the lean of the spine, degrees, before they are clipped."""


def _three(angles: NDArray[np.float64], limits: Limits) -> tuple[float, float, float]:
    a, b, c = (clipped(angle, limit) for angle, limit in zip(angles, limits, strict=True))
    return a, b, c


def _hanging(rng: np.random.Generator) -> list[float]:
    return [rng.normal(3, 10), abs(rng.normal(9, 6)), rng.normal(5, 15), 8 + abs(rng.normal(0, 25))]


def _reaching(rng: np.random.Generator) -> list[float]:
    return [rng.uniform(-35, 130), rng.uniform(0, 130), rng.uniform(-40, 60), rng.uniform(5, 135)]


def _standing(rng: np.random.Generator) -> list[float]:
    return [rng.normal(2, 6), 3 + abs(rng.normal(0, 6)), rng.normal(10, 8), 2 + abs(rng.normal(0, 8))]


def _stand(rng: np.random.Generator) -> Posture:
    return [_hanging(rng), _hanging(rng)], [_standing(rng), _standing(rng)], 0.0


def _gesture(rng: np.random.Generator) -> Posture:
    arms = [_reaching(rng), _reaching(rng) if rng.random() < 0.6 else _hanging(rng)]
    if rng.random() < 0.5:
        arms.reverse()
    return arms, [_standing(rng), _standing(rng)], 0.0


def _stride(rng: np.random.Generator) -> Posture:
    """Walking or running: legs half a cycle apart, arms opposite to them; faster steps bend all joints more."""
    haste, phase = rng.uniform(0.4, 1.3), rng.uniform(0, 2 * np.pi)
    arms, legs = [], []
    for shift in (0.0, np.pi):
        step = np.sin(phase + shift)
        recover = max(0.0, np.cos(phase + shift))
        legs.append([8 * haste + 34 * haste * step, 3.0, 6.0, 8 + 70 * haste * recover + rng.normal(0, 5)])
        elbow = 15 + 70 * max(0.0, haste - 0.6) + abs(rng.normal(0, 15))
        arms.append([-34 * haste * step, 6 + abs(rng.normal(0, 5)), 12.0, elbow])
    return arms, legs, 8 * haste


def _sit(rng: np.random.Generator) -> Posture:
    legs = [[rng.uniform(70, 100), rng.uniform(0, 25), rng.uniform(0, 15), rng.uniform(60, 105)] for _ in range(2)]
    arms = [[rng.uniform(10, 60), rng.uniform(0, 25), rng.uniform(0, 40), rng.uniform(20, 100)] for _ in range(2)]
    return arms, legs, rng.uniform(-8, 20)


def _crouch(rng: np.random.Generator) -> Posture:
    swing, knee = rng.uniform(45, 105), rng.uniform(60, 130)
    legs = [[swing + rng.normal(0, 10), rng.uniform(5, 35), rng.uniform(5, 30), knee + rng.normal(0, 10)] for _ in range(2)]
    return [_reaching(rng), _reaching(rng)], legs, rng.uniform(10, 50)


def _leap(rng: np.random.Generator) -> Posture:
    legs = [[rng.uniform(-20, 70), rng.uniform(0, 42), rng.uniform(0, 25), rng.uniform(5, 100)] for _ in range(2)]
    return [_reaching(rng), _reaching(rng)], legs, rng.uniform(-10, 20)
