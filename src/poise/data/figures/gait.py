"""Poses of four-legged animals: joint angles for standing, walking, trotting, galloping, grazing and sitting."""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures.sampling import LimbAngles, clipped, limb_angles, weighted_choice

FRONT_LIMITS = ((-60.0, 45.0), (-6.0, 20.0), (-25.0, 75.0), (-5.0, 80.0))
"""Limits of a front leg, degrees: upper arm forward, spread, elbow forward, knee backward."""
BACK_LIMITS = ((-35.0, 100.0), (-6.0, 20.0), (0.0, 130.0), (-10.0, 110.0))
"""Limits of a back leg, degrees: thigh forward, spread, knee backward, hock forward."""
HEAD_LIMITS = ((-75.0, 75.0), (-70.0, 60.0), (-25.0, 25.0))
"""Limits of the head, degrees: turn to the left, nod down, tilt."""
NECK_LIMITS = ((-60.0, 80.0), (-45.0, 45.0))
"""Limits of the neck, degrees: above the trunk, to the left."""


@final
@dataclass(frozen=True)
class Gait:
    """The pose of an animal, all angles in degrees. At zero it faces the viewer with straight legs.

    Attributes:
        yaw: Rotation of the body; positive turns its face to its left (to the right in the image).
        tilt: Elevation of the camera; positive looks down on the body.
        rise: Pitch of the trunk; positive lifts the chest.
        roll: Rotation of the body in the image, clockwise.
        neck: Angles of the neck: above the trunk, to the left.
        head: Angles of the head: turn to the left, nod down, tilt.
        front: Angles of the left and the right front leg: upper arm, spread, elbow, knee.
        back: Angles of the left and the right back leg: thigh, spread, knee, hock.
        tail: Angles of the tail: above the trunk, to the left, curl.
    """

    yaw: float
    tilt: float
    rise: float
    roll: float
    neck: tuple[float, float]
    head: tuple[float, float, float]
    front: tuple[LimbAngles, LimbAngles]
    back: tuple[LimbAngles, LimbAngles]
    tail: tuple[float, float, float]


def random_gait(rng: np.random.Generator, *, neck: float, tail: float, sits: bool) -> Gait:
    """A random pose.

    Args:
        rng: Random numbers.
        neck: Mean angle of the neck above the trunk, degrees.
        tail: Mean angle of the tail above the trunk, degrees.
        sits: Whether the animal may sit.
    """
    posture = weighted_choice(rng, ((_stand, 0.26), (_walk, 0.26), (_trot, 0.16), (_gallop, 0.2), (_sit, 0.15 * sits)))
    front, back, rise = posture(rng)
    side = 90 if rng.random() < 0.5 else -90
    yaw = rng.normal(side, 32) if rng.random() < 0.75 else rng.uniform(-180, 180)
    raised = rng.normal(neck, 12)
    if rise < 20 and rng.random() < 0.15:
        raised = rng.uniform(-60, -25)
    return Gait(
        yaw=float(yaw),
        tilt=float(np.clip(rng.normal(9, 8), -10, 32)),
        rise=float(rise),
        roll=float(rng.normal(0, 4)),
        neck=(clipped(raised - 0.6 * rise, NECK_LIMITS[0]), clipped(rng.normal(0, 14), NECK_LIMITS[1])),
        head=(
            clipped(rng.normal(0, 24), HEAD_LIMITS[0]),
            clipped(rng.normal(22, 14), HEAD_LIMITS[1]),
            clipped(rng.normal(0, 7), HEAD_LIMITS[2]),
        ),
        front=(limb_angles(front[0], FRONT_LIMITS), limb_angles(front[1], FRONT_LIMITS)),
        back=(limb_angles(back[0], BACK_LIMITS), limb_angles(back[1], BACK_LIMITS)),
        tail=(float(rng.normal(tail, 25)), float(rng.normal(0, 20)), float(rng.normal(10, 25))),
    )


Legs = list[list[float]]
Posture = tuple[Legs, Legs, float]
"""Angles of the front legs and of the back legs, and the rise of the trunk, degrees, before they are clipped."""


def _stepping(rng: np.random.Generator, *, reach: float, phases: tuple[float, float, float, float], start: float) -> Posture:
    """Legs in a stepping cycle.

    Args:
        rng: Random numbers.
        reach: Amplitude of the swing, degrees.
        phases: Phase of the left front, right front, left back and right back leg, radians.
        start: Phase added to all legs, radians.
    """
    legs: Legs = []
    for i, shift in enumerate(phases):
        step, lift = np.sin(start + shift), max(0.0, np.cos(start + shift))
        spread = rng.normal(2, 2)
        if i < 2:
            legs.append([-18 + reach * step, spread, 22 + 0.6 * reach * lift + rng.normal(0, 3), 4 + 1.5 * reach * lift])
        else:
            legs.append([24 + 0.9 * reach * step, spread, 50 + 0.9 * reach * lift, 28 + 0.5 * reach * lift + rng.normal(0, 4)])
    return legs[:2], legs[2:], float(rng.normal(0, 3))


def _stand(rng: np.random.Generator) -> Posture:
    phases = tuple(rng.uniform(0, 6.3, 4))
    return _stepping(rng, reach=rng.uniform(1, 9), phases=(phases[0], phases[1], phases[2], phases[3]), start=0.0)


def _walk(rng: np.random.Generator) -> Posture:
    q = np.pi / 2
    return _stepping(rng, reach=rng.uniform(12, 26), phases=(q, 3 * q, 0.0, 2 * q), start=rng.uniform(0, 6.3))


def _trot(rng: np.random.Generator) -> Posture:
    return _stepping(rng, reach=rng.uniform(15, 34), phases=(0.0, np.pi, np.pi, 0.0), start=rng.uniform(0, 6.3))


def _gallop(rng: np.random.Generator) -> Posture:
    lead = rng.uniform(0.3, 0.8)
    front, back, _ = _stepping(
        rng, reach=rng.uniform(28, 46), phases=(0.0, lead, np.pi, np.pi + lead), start=rng.uniform(0, 6.3)
    )
    return front, back, float(rng.normal(0, 9))


def _sit(rng: np.random.Generator) -> Posture:
    """Sitting: the trunk rises, the front legs stay upright, the back legs fold."""
    rise = rng.uniform(30, 55)
    front = [[-8 - rise + rng.normal(0, 4), rng.normal(3, 2), 14 + rng.normal(0, 3), abs(rng.normal(2, 3))] for _ in range(2)]
    back = [[80 - rise + rng.normal(0, 7), rng.uniform(4, 16), rng.normal(122, 6), rng.normal(96, 8)] for _ in range(2)]
    return front, back, float(rise)
