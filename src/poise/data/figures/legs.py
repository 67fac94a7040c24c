"""Legs of four-legged animals: where the joints are, given where the feet are.

Positions are in the animal's own frame: x to its left, y down, z forward, the trunk's axis at the origin.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures.body_part import Vector, turn, vector
from poise.data.figures.gait import Foot, Pose
from poise.data.figures.species import Species


@final
@dataclass(frozen=True, eq=False)
class Leg:
    """The joints of a leg.

    Attributes:
        root: Shoulder or hip.
        elbow: Elbow, or knee (stifle) of a back leg.
        knee: Front knee (carpus) or hock.
        fetlock: Fetlock; ball of a paw.
        hoof: Middle of the hoof or paw, near the ground.
        toe: Front of the hoof or paw.
    """

    root: Vector
    elbow: Vector
    knee: Vector
    fetlock: Vector
    hoof: Vector
    toe: Vector


def axis_height(species: Species, pose: Pose) -> float:
    """Height of the trunk's axis above the ground, before the animal leaves it."""
    return max(pose.height * species.axis, 0.92 * species.depth)


def leg(species: Species, pose: Pose, *, side: float, front: bool, foot: Foot) -> Leg:
    """The joints of a leg.

    Args:
        species: Proportions.
        pose: The pose of the trunk.
        side: 1 for the left, -1 for the right.
        front: Whether it is a front leg.
        foot: Where the foot is.
    """
    stood = _stood(species, front=front)
    pitch = turn(0, pose.rise)
    wide = side * species.width * species.depth * (0.62 if front else 0.55)
    root = pitch @ vector(wide, stood[0][1], stood[0][0])
    ground = axis_height(species, pose)
    scale = species.axis
    lying = pose.height == 0 and front and not species.hooves
    ahead = stood[4][0] + scale * (foot.forward + (0.42 if lying else 0.0))
    target = vector(wide + side * scale * foot.out, ground - scale * foot.up, ahead)
    flex = 10.0 if lying else foot.flex
    back_to_fetlock = turn(0, -flex) @ vector(0.0, stood[3][1] - stood[4][1], stood[3][0] - stood[4][0])
    elbow = root + pitch @ _swung(stood, foot, root=root, target=target, front=front)
    lengths = (math.dist(stood[1], stood[2]), math.dist(stood[2], stood[3]))
    bent = vector(0.0, -0.25, 1.0) if front else vector(0.0, -0.25, -1.0)
    knee, fetlock = bend(elbow, target + back_to_fetlock, lengths=lengths, towards=bent)
    hoof = fetlock - back_to_fetlock
    toe = hoof + turn(0, -0.6 * flex) @ vector(0.0, 0.15 * species.limb, 1.1 * species.limb * species.foot)
    return Leg(root, elbow, knee, fetlock, hoof, toe)


def _stood(species: Species, *, front: bool) -> tuple[tuple[float, float], ...]:
    """Positions (z, y) of root, elbow, knee, fetlock and hoof of the standing animal."""
    d, ground = species.depth, species.axis
    low = ground - 0.7 * species.limb
    high = ground - 0.72 * d
    fetlock = ground - max(species.fetlock * high, 1.2 * species.limb)
    slope = 0.03 if species.hooves else 0.0
    if front:
        return (
            (0.43, 0.15 * d),
            (0.32, 0.74 * d),
            (0.34, ground - species.carpus * high),
            (0.335, fetlock),
            (0.335 + slope, low),
        )
    hock = ground - species.hock * ground * 0.9
    return (-0.36, -0.3 * d), (-0.2, 0.66 * d), (-0.44, hock), (-0.41, fetlock), (-0.41 + slope, low)


def _swung(stood: tuple[tuple[float, float], ...], foot: Foot, *, root: Vector, target: Vector, front: bool) -> Vector:
    """The elbow relative to the root: it follows the foot, and swings forward as far as the pose folds the leg."""
    (z, y), (elbow_z, elbow_y) = stood[0], stood[1]
    stood_angle = math.atan2(stood[4][0] - z, stood[4][1] - y)
    angle = math.atan2(float(target[2] - root[2]), max(float(target[1] - root[1]), 0.3 * (stood[4][1] - y)))
    follow = math.degrees(angle - stood_angle) * (0.4 if front else 0.55)
    return turn(0, float(np.clip(follow, -40, 45)) + foot.fold) @ vector(0.0, elbow_y - y, elbow_z - z)


def bend(root: Vector, target: Vector, *, lengths: tuple[float, float], towards: Vector) -> tuple[Vector, Vector]:
    """The middle joint and the end of two bones that reach for a target; what is out of reach is reached for.

    Args:
        root: Start of the first bone.
        target: Where the second bone should end.
        lengths: Lengths of the bones.
        towards: The side to which the joint bends.
    """
    a, b = lengths
    line = target - root
    distance = float(np.linalg.norm(line))
    axis = line / max(distance, 1e-9) if distance > 1e-6 else vector(0.0, 1.0, 0.0)
    reach = min(max(distance, 1.05 * abs(a - b), 0.2 * min(a, b)), 0.997 * (a + b))
    along = (a * a - b * b + reach * reach) / (2 * reach)
    aside = towards - axis * float(axis @ towards)
    aside = aside / max(float(np.linalg.norm(aside)), 1e-9)
    joint = root + along * axis + math.sqrt(max(a * a - along * along, 0.0)) * aside
    return joint, root + reach * axis
