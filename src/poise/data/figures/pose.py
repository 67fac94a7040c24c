"""How a person stands, walks, sits and reaches: joint angles within the limits of a body."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from poise.data.figures.sampling import weighted_choice

Angles = tuple[float, float, float, float]

ARM_LIMITS = ((-45.0, 175.0), (-5.0, 165.0), (-50.0, 70.0), (3.0, 145.0))
"""Degrees: swing (forward), raise (sideways), turn (inward), elbow."""
LEG_LIMITS = ((-25.0, 115.0), (-6.0, 45.0), (-10.0, 35.0), (2.0, 140.0))
"""Degrees: swing (forward), spread (sideways), turn (outward), knee."""
HEAD_LIMITS = ((-65.0, 65.0), (-40.0, 40.0), (-30.0, 30.0))
"""Degrees: look (to the left), nod (down), tilt (to the left)."""
SPINE_LIMITS = ((-20.0, 75.0), (-25.0, 25.0), (-35.0, 35.0))
"""Degrees: lean (forward), bend (to the left), twist (to the left)."""


@final
@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees; zero is upright, arms hanging, facing the viewer.

    Attributes:
        yaw: Of the body; positive turns its face to its left (the image's right).
        tilt: Of the camera; positive looks down on the body.
        roll: Of the body in the image, clockwise.
        spine: Lean, bend, twist.
        head: Look, nod, tilt.
        arms: Left and right: swing, raise, turn, elbow.
        legs: Left and right: swing, spread, turn, knee.
    """

    yaw: float
    tilt: float
    roll: float
    spine: tuple[float, float, float]
    head: tuple[float, float, float]
    arms: tuple[Angles, Angles]
    legs: tuple[Angles, Angles]


def random_pose(rng: np.random.Generator) -> Pose:
    """A pose out of everyday life: standing, gesturing, walking, running, sitting, crouching, jumping."""
    deed = weighted_choice(rng, ((_stand, 0.2), (_gesture, 0.3), (_stride, 0.24), (_sit, 0.08), (_crouch, 0.06), (_leap, 0.12)))
    arms, legs, lean = deed(rng)
    yaw = rng.normal(0, 40) if rng.random() < 0.6 else rng.uniform(-180, 180)
    return Pose(
        yaw=float(yaw),
        tilt=float(np.clip(rng.normal(7, 8), -12, 30)),
        roll=float(rng.normal(0, 7)),
        spine=_within(rng.normal((lean, 0, 0), (5, 6, 9)), SPINE_LIMITS),
        head=_within(rng.normal((0, 3, 0), (22, 10, 7)), HEAD_LIMITS),
        arms=(_four(arms[0], ARM_LIMITS), _four(arms[1], ARM_LIMITS)),
        legs=(_four(legs[0], LEG_LIMITS), _four(legs[1], LEG_LIMITS)),
    )


Limits = tuple[tuple[float, float], ...]
Deed = tuple[list[list[float]], list[list[float]], float]


def _within(angles: NDArray[np.float64], limits: Limits) -> tuple[float, float, float]:
    a, b, c = (float(min(max(v, low), high)) for v, (low, high) in zip(angles, limits, strict=True))
    return a, b, c


def _four(angles: list[float], limits: Limits) -> Angles:
    a, b, c, d = (float(min(max(v, low), high)) for v, (low, high) in zip(angles, limits, strict=True))
    return a, b, c, d


def _hanging(rng: np.random.Generator) -> list[float]:
    return [rng.normal(3, 10), abs(rng.normal(9, 6)), rng.normal(5, 15), 8 + abs(rng.normal(0, 25))]


def _reaching(rng: np.random.Generator) -> list[float]:
    return [rng.uniform(-35, 130), rng.uniform(0, 130), rng.uniform(-40, 60), rng.uniform(5, 135)]


def _standing(rng: np.random.Generator) -> list[float]:
    return [rng.normal(2, 6), 3 + abs(rng.normal(0, 6)), rng.normal(10, 8), 2 + abs(rng.normal(0, 8))]


def _stand(rng: np.random.Generator) -> Deed:
    return [_hanging(rng), _hanging(rng)], [_standing(rng), _standing(rng)], 0.0


def _gesture(rng: np.random.Generator) -> Deed:
    arms = [_reaching(rng), _reaching(rng) if rng.random() < 0.6 else _hanging(rng)]
    if rng.random() < 0.5:
        arms.reverse()
    return arms, [_standing(rng), _standing(rng)], 0.0


def _stride(rng: np.random.Generator) -> Deed:
    """Legs half a step apart, arms against them; the faster, the more everything bends."""
    haste, phase = rng.uniform(0.4, 1.3), rng.uniform(0, 2 * np.pi)
    arms, legs = [], []
    for shift in (0.0, np.pi):
        step = np.sin(phase + shift)
        recover = max(0.0, np.cos(phase + shift))
        legs.append([8 * haste + 34 * haste * step, 3.0, 6.0, 8 + 70 * haste * recover + rng.normal(0, 5)])
        elbow = 15 + 70 * max(0.0, haste - 0.6) + abs(rng.normal(0, 15))
        arms.append([-34 * haste * step, 6 + abs(rng.normal(0, 5)), 12.0, elbow])
    return arms, legs, 8 * haste


def _sit(rng: np.random.Generator) -> Deed:
    legs = [[rng.uniform(70, 100), rng.uniform(0, 25), rng.uniform(0, 15), rng.uniform(60, 105)] for _ in range(2)]
    arms = [[rng.uniform(10, 60), rng.uniform(0, 25), rng.uniform(0, 40), rng.uniform(20, 100)] for _ in range(2)]
    return arms, legs, rng.uniform(-8, 20)


def _crouch(rng: np.random.Generator) -> Deed:
    swing, knee = rng.uniform(45, 105), rng.uniform(60, 130)
    legs = [[swing + rng.normal(0, 10), rng.uniform(5, 35), rng.uniform(5, 30), knee + rng.normal(0, 10)] for _ in range(2)]
    return [_reaching(rng), _reaching(rng)], legs, rng.uniform(10, 50)


def _leap(rng: np.random.Generator) -> Deed:
    legs = [[rng.uniform(-20, 70), rng.uniform(0, 42), rng.uniform(0, 25), rng.uniform(5, 100)] for _ in range(2)]
    return [_reaching(rng), _reaching(rng)], legs, rng.uniform(-10, 20)
