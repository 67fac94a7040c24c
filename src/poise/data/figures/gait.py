"""How a four-legged animal stands, walks, gallops, grazes and sits: joint angles within the limits of a body."""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures.sampling import weighted_choice

LegAngles = tuple[float, float, float, float]

FRONT_LIMITS = ((-60.0, 45.0), (-6.0, 20.0), (-25.0, 75.0), (-5.0, 80.0))
"""Degrees: swing of the upper arm (forward), spread, bend of the elbow (forward), bend of the knee (backward)."""
BACK_LIMITS = ((-35.0, 100.0), (-6.0, 20.0), (0.0, 130.0), (-10.0, 110.0))
"""Degrees: swing of the thigh (forward), spread, bend of the knee (backward), bend of the hock (forward)."""
HEAD_LIMITS = ((-75.0, 75.0), (-70.0, 60.0), (-25.0, 25.0))
"""Degrees: look (to the left), nod (down), tilt."""
NECK_LIMITS = ((-60.0, 80.0), (-45.0, 45.0))
"""Degrees: above the trunk, to the left."""


@final
@dataclass(frozen=True)
class Gait:
    """Joint angles in degrees; zero stands facing the viewer with straight legs.

    Attributes:
        yaw: Of the body; positive turns its face to its left (the image's right).
        tilt: Of the camera; positive looks down on the body.
        rise: Of the trunk; positive lifts the chest.
        roll: Of the body in the image, clockwise.
        neck: Above the trunk, to the left.
        head: Look, nod, tilt.
        front: Left and right: swing, spread, elbow, knee.
        back: Left and right: swing, spread, knee, hock.
        tail: Height above the trunk, to the left, curl.
    """

    yaw: float
    tilt: float
    rise: float
    roll: float
    neck: tuple[float, float]
    head: tuple[float, float, float]
    front: tuple[LegAngles, LegAngles]
    back: tuple[LegAngles, LegAngles]
    tail: tuple[float, float, float]


def random_gait(rng: np.random.Generator, *, neck: float, tail: float, sits: bool) -> Gait:
    """An animal at its business; `neck` and `tail` are how high its kind carries them, in degrees."""
    deed = weighted_choice(rng, ((_stand, 0.26), (_walk, 0.26), (_trot, 0.16), (_gallop, 0.2), (_sit, 0.15 * sits)))
    front, back, rise = deed(rng)
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
        neck=(_cut(raised - 0.6 * rise, NECK_LIMITS[0]), _cut(rng.normal(0, 14), NECK_LIMITS[1])),
        head=(
            _cut(rng.normal(0, 24), HEAD_LIMITS[0]),
            _cut(rng.normal(22, 14), HEAD_LIMITS[1]),
            _cut(rng.normal(0, 7), HEAD_LIMITS[2]),
        ),
        front=(_four(front[0], FRONT_LIMITS), _four(front[1], FRONT_LIMITS)),
        back=(_four(back[0], BACK_LIMITS), _four(back[1], BACK_LIMITS)),
        tail=(float(rng.normal(tail, 25)), float(rng.normal(0, 20)), float(rng.normal(10, 25))),
    )


Legs = list[list[float]]
Deed = tuple[Legs, Legs, float]


def _cut(angle: float, limits: tuple[float, float]) -> float:
    return float(min(max(angle, limits[0]), limits[1]))


def _four(angles: list[float], limits: tuple[tuple[float, float], ...]) -> LegAngles:
    a, b, c, d = (_cut(v, limit) for v, limit in zip(angles, limits, strict=True))
    return a, b, c, d


def _stepping(rng: np.random.Generator, *, reach: float, phases: tuple[float, float, float, float], start: float) -> Deed:
    """Each leg swings by `reach` degrees; phases of left front, right front, left back, right back."""
    legs: Legs = []
    for i, shift in enumerate(phases):
        step, lift = np.sin(start + shift), max(0.0, np.cos(start + shift))
        spread = rng.normal(2, 2)
        if i < 2:
            legs.append([-18 + reach * step, spread, 22 + 0.6 * reach * lift + rng.normal(0, 3), 4 + 1.5 * reach * lift])
        else:
            legs.append([24 + 0.9 * reach * step, spread, 50 + 0.9 * reach * lift, 28 + 0.5 * reach * lift + rng.normal(0, 4)])
    return legs[:2], legs[2:], float(rng.normal(0, 3))


def _stand(rng: np.random.Generator) -> Deed:
    phases = tuple(rng.uniform(0, 6.3, 4))
    return _stepping(rng, reach=rng.uniform(1, 9), phases=(phases[0], phases[1], phases[2], phases[3]), start=0.0)


def _walk(rng: np.random.Generator) -> Deed:
    q = np.pi / 2
    return _stepping(rng, reach=rng.uniform(12, 26), phases=(q, 3 * q, 0.0, 2 * q), start=rng.uniform(0, 6.3))


def _trot(rng: np.random.Generator) -> Deed:
    return _stepping(rng, reach=rng.uniform(15, 34), phases=(0.0, np.pi, np.pi, 0.0), start=rng.uniform(0, 6.3))


def _gallop(rng: np.random.Generator) -> Deed:
    lead = rng.uniform(0.3, 0.8)
    front, back, _ = _stepping(
        rng, reach=rng.uniform(28, 46), phases=(0.0, lead, np.pi, np.pi + lead), start=rng.uniform(0, 6.3)
    )
    return front, back, float(rng.normal(0, 9))


def _sit(rng: np.random.Generator) -> Deed:
    """Haunches on the ground: the trunk rises, forelegs stay upright, hind legs fold."""
    rise = rng.uniform(30, 55)
    front = [[-8 - rise + rng.normal(0, 4), rng.normal(3, 2), 14 + rng.normal(0, 3), abs(rng.normal(2, 3))] for _ in range(2)]
    back = [[80 - rise + rng.normal(0, 7), rng.uniform(4, 16), rng.normal(122, 6), rng.normal(96, 8)] for _ in range(2)]
    return front, back, float(rise)
