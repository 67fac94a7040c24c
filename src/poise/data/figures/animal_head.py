"""Neck and head of four-legged animals: mane, muzzle, jaw, eyes, ears and horns."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from poise.data.figures.body_part import BodyPart, FigureBuilder, Matrix, Trim, Vector, turn, vector
from poise.data.figures.gait import Pose
from poise.data.figures.legs import axis_height
from poise.data.figures.pelt import Pelt
from poise.data.figures.species import Species
from poise.data.figures.texture import SIDE, Texture


def _even(grey: int) -> Texture:
    return Texture(np.full((SIDE, SIDE, 3), grey, np.uint8))


EYE, GLINT = _even(18), _even(225)


@final
@dataclass(frozen=True, eq=False)
class _Head:
    """The frame of a head: its centre, its directions, and the radius of the skull."""

    centre: Vector
    frame: Matrix
    s: float

    def at(self, x: float, y: float, z: float) -> Vector:
        """A point of the head: to its left, down and forward, in radii of the skull."""
        return self.centre + self.frame @ vector(x * self.s, y * self.s, z * self.s)


def add_head(builder: FigureBuilder, species: Species, pelt: Pelt, *, pose: Pose, trunk: Matrix) -> None:
    """Add neck and head with their keypoints."""
    base = trunk @ vector(0.0, -0.32 * species.depth, 0.34)
    raised = _raised(species, pose, base)
    aside = turn(1, pose.neck[1])
    nape = base + aside @ turn(0, raised) @ vector(0.0, 0.0, species.neck + 0.1)
    look, nod, tilt = pose.head
    grazing = max(0.0, -raised - 5.0)
    down = min(max(species.nod + nod + 0.55 * grazing, -30.0), 85.0)
    frame = aside @ turn(1, look) @ turn(0, -down) @ turn(2, tilt)
    head = _Head(nape + frame @ vector(0.0, 0.0, 0.45 * species.skull), frame, species.skull)
    _neck(builder, species, pelt, ends=(base, nape), aside=aside)
    _skull(builder, species, pelt, head)
    _eyes(builder, species, head)
    _ears(builder, species, pelt, head)
    _horns(builder, species, pelt, head)
    builder.add_keypoint(
        "throat", nape + frame @ vector(0.0, 0.75 * species.skull, -0.15 * species.skull), slack=1.2 * species.skull
    )


def _raised(species: Species, pose: Pose, base: Vector) -> float:
    """Angle of the neck above the horizon: not so low that the head is in the ground."""
    room = axis_height(species, pose) - float(base[1]) - 0.75 * species.muzzle
    lowest = -float(np.degrees(np.arcsin(np.clip(room / (species.neck + 0.1), 0.05, 1.0))))
    return float(np.clip(species.carriage + pose.neck[0] - 0.4 * min(pose.rise, 20.0), max(lowest, -62.0), 82.0))


def _neck(builder: FigureBuilder, species: Species, pelt: Pelt, *, ends: tuple[Vector, Vector], aside: Matrix) -> None:
    base, nape = ends
    line = nape - base
    below = np.cross(line / np.linalg.norm(line), aside[:, 0])
    below = below if below[1] > 0 or below[2] > 0 else -below
    middle = 0.5 * (base + nape) + 2 * species.sag * float(np.linalg.norm(line)) * below
    thick, thin = 0.76 * species.depth, species.crest * species.skull
    points = [(1 - t) ** 2 * base + 2 * t * (1 - t) * middle + t * t * nape for t in (0.0, 0.33, 0.67, 1.0)]
    radii = [thick * (1 - t) ** 1.3 + thin * (1 - (1 - t) ** 1.3) for t in np.linspace(0, 1, 7)]
    flat = np.stack((0.66 * aside[:, 0], *_across(line, aside)), axis=1)
    direction = (float(below[0]), float(below[1]), float(below[2]))
    pale = Trim(pelt.belly, direction=direction, offset=pelt.belly_line, sharp=6.0) if pelt.belly_line < 1 else None
    for n in range(3):
        builder.add(
            BodyPart(points[n], points[n + 1], (radii[2 * n], radii[2 * n + 1], radii[2 * n + 2]), pelt.body, pale, flat)
        )
    if species.mane:
        _mane(builder, species, pelt, points=points, radii=radii[::2], below=below)


def _across(line: Vector, aside: Matrix) -> tuple[Vector, Vector]:
    ahead = line / np.linalg.norm(line)
    return np.cross(ahead, aside[:, 0]), ahead


def _mane(
    builder: FigureBuilder, species: Species, pelt: Pelt, *, points: list[Vector], radii: list[float], below: Vector
) -> None:
    """Tufts along the crest; a long mane hangs to the right."""
    hangs = vector(-0.45, 0.9, 0.0) if species.mane > 0.09 else -below
    for n, t in enumerate((0.35, 0.85, 1.35, 1.85, 2.35, 2.85)):
        i, share = int(t), t - int(t)
        place = points[i] + share * (points[i + 1] - points[i])
        crest = place - (0.86 * (radii[i] + share * (radii[i + 1] - radii[i]))) * below
        tip = crest + species.mane * hangs * (1.0 + 0.15 * (n % 2))
        builder.add(BodyPart(crest, tip, (0.05, 0.052, 0.03), pelt.mane))


def _skull(builder: FigureBuilder, species: Species, pelt: Pelt, head: _Head) -> None:
    s, m, tip = head.s, species.muzzle / head.s, species.snout
    at, narrow = head.at, head.frame * np.array((0.86, 1.0, 1.0))
    pale = Trim(pelt.belly, along=1.0, offset=0.45, sharp=8.0) if pelt.belly_line < 1 else None
    builder.add(BodyPart(at(0.0, 0.0, -0.15), at(0.0, 0.05, 0.3), (s, s, 0.88 * s), pelt.body, shape=narrow))
    end = at(0.0, 0.3, m - tip)
    builder.add(BodyPart(at(0.0, 0.12, 0.3), end, (0.8 * s, 0.5 * (0.72 + tip) * s, tip * s), pelt.body, pale, narrow))
    jaw = at(0.0, 0.3 + 0.5 * tip, m - 1.25 * tip)
    builder.add(
        BodyPart(
            at(0.0, 0.6, 0.1), jaw, (0.55 * s, 0.5 * s, 0.62 * tip * s), pelt.body, pale, head.frame * np.array((0.7, 1.0, 1.0))
        )
    )
    if pelt.face:
        builder.add(BodyPart(at(0.0, -0.72, 0.35), at(0.0, 0.3 - 0.8 * tip, m - tip), (pelt.face * s,) * 3, pelt.socks))
    pad = (0.3, 0.3 - 0.1 * tip) if species.hooves else (0.18, 0.3 - 0.35 * tip)
    for side in (1.0, -1.0):
        nostril = at(side * pad[0] * tip * 2, pad[1], m - 0.38 * tip)
        builder.add(BodyPart(nostril, at(0.0, pad[1], m - 0.3 * tip), (0.17 * tip * s + 0.06 * s,) * 3, pelt.nose))
    builder.add_keypoint("nose", at(0.0, 0.3 - 0.15 * tip, m), slack=0.5 * s)
    builder.add_keypoint("chin", at(0.0, 0.3 + 0.95 * tip, m - 1.05 * tip), slack=0.6 * s)
    if species.trunk:
        _proboscis(builder, species, pelt, head)


def _proboscis(builder: FigureBuilder, species: Species, pelt: Pelt, head: _Head) -> None:
    """An elephant's trunk and tusks."""
    place, r = head.at(0.0, 0.25, species.muzzle / head.s - species.snout), species.snout * head.s
    for n, angle in enumerate((-62.0, -82.0, -70.0)):
        end = place + species.trunk / 3 * (turn(1, 0.0) @ turn(0, angle) @ vector(0.0, 0.0, 1.0))
        builder.add(BodyPart(place, end, tuple(r * (1 - 0.22 * (n + k)) for k in (0.0, 0.5, 1.0)), pelt.body))  # type: ignore[arg-type]
        place = end
    for side in (1.0, -1.0):
        builder.add(BodyPart(head.at(0.45 * side, 0.6, 0.9), head.at(0.6 * side, 0.9, 2.2), (0.025, 0.022, 0.01), pelt.socks))


def _eyes(builder: FigureBuilder, species: Species, head: _Head) -> None:
    aside, up = (0.74, -0.22) if species.hooves else (0.5, -0.3)
    for side, name in ((1.0, "left"), (-1.0, "right")):
        eye = head.at(side * aside, up, 0.66)
        builder.add(BodyPart(eye, eye, (0.15 * head.s,) * 3, EYE))
        spark = head.at(side * (aside + 0.05), up - 0.06, 0.75)
        builder.add(BodyPart(spark, spark, (0.045 * head.s,) * 3, GLINT))
        builder.add_keypoint(f"{name}_eye", eye, slack=0.35 * head.s)


def _ears(builder: FigureBuilder, species: Species, pelt: Pelt, head: _Head) -> None:
    ear, s = species.ear / head.s, head.s
    for side, name in ((1.0, "left"), (-1.0, "right")):
        root = head.at(side * 0.6, -0.66, -0.25)
        tips = {"up": (0.25, -0.95, -0.1), "side": (0.95, 0.1, -0.15), "hang": (0.4, 0.9, 0.0)}
        x, y, z = tips[species.ears]
        tip = head.at(side * (0.6 + x * ear), -0.66 + y * ear, -0.25 + z * ear)
        wide = 0.42 * species.ear if species.ears == "up" else 0.34 * species.ear
        radii = (0.7 * wide, wide, 0.2 * wide) if species.ears != "hang" else (0.8 * wide, 1.1 * wide, 0.7 * wide)
        radii = (max(radii[0], 0.22 * s), max(radii[1], 0.2 * s), radii[2])
        builder.add(BodyPart(root, tip, radii, pelt.body, Trim(pelt.mane, along=1.0, offset=0.75)))
        builder.add_keypoint(f"{name}_ear", root, slack=0.55 * s)


def _horns(builder: FigureBuilder, species: Species, pelt: Pelt, head: _Head) -> None:
    if species.horns == "none" or not species.horn:
        return
    for side in (1.0, -1.0):
        points = [head.at(side * x, y, z) for x, y, z in _horn(species.horns, species.horn / head.s)]
        thick = 0.12 * species.horn + 0.008
        for n, (a, b) in enumerate(pairwise(points)):
            radii = (thick * (1 - 0.25 * n), thick * (0.9 - 0.25 * n), thick * (0.7 - 0.25 * n))
            builder.add(BodyPart(a, b, radii, pelt.hoof))


def _horn(shape: str, long: float) -> Iterator[tuple[float, float, float]]:
    """Points along a left horn, in radii of the skull."""
    steps = {
        "out": ((0.55, -0.25, 0.0), (0.3, -0.55, 0.15), (-0.05, -0.4, 0.1)),
        "up": ((0.1, -0.55, -0.1), (0.15, -0.45, -0.3)),
        "curl": ((0.4, -0.3, -0.4), (0.3, 0.4, -0.2), (0.1, 0.4, 0.4)),
        "antlers": ((0.3, -0.45, -0.25), (0.3, -0.35, 0.2), (0.05, -0.4, 0.2)),
    }[shape]
    x, y, z = 0.42, -0.82, -0.1
    yield x, y, z
    for dx, dy, dz in steps:
        x, y, z = x + dx * long, y + dy * long, z + dz * long
        yield x, y, z
