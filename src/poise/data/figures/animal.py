"""Four-legged animals: species, textures and pose become tubes in space, and keypoints.

A figure has the keypoints of `QUADRUPED` and of `ANIMAL18` by name. The two layouts share eyes, base of the tail, elbows and
knees; hooves are paws. The chin is the front of the lower jaw, and the shoulders are the points of the shoulders, at both sides
of the breast.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures.animal_head import add_head
from poise.data.figures.body_part import BodyPart, Figure, FigureBuilder, Matrix, Trim, Vector, turn, vector
from poise.data.figures.gait import LEGS, Foot, Pose, random_stride
from poise.data.figures.legs import axis_height, leg
from poise.data.figures.pelt import Pelt, random_pelt
from poise.data.figures.rider import Rider, add_rider, random_rider
from poise.data.figures.species import SPECIES, Species
from poise.data.figures.view import View, Views
from poise.errors import unknown
from poise.skeletons import ANIMAL18, QUADRUPED, Skeleton

LAYOUTS = {"quadruped": QUADRUPED, "animal18": ANIMAL18}
"""The keypoints that animals can be labelled with, by name."""


@final
@dataclass(frozen=True, eq=False)
class Animal:
    """One animal, in any pose.

    Attributes:
        species: Its proportions.
        pelt: Its textures.
        rider: Who sits on its back; None for nobody.
    """

    species: Species
    pelt: Pelt
    rider: Rider | None = None

    @classmethod
    def random(cls, rng: np.random.Generator, kind: str, *, coats: str = "natural", riders: bool = False) -> "Animal":
        """A random individual.

        Args:
            rng: Random numbers.
            kind: Name of the species; "animals" for a random one.
            coats: Which coats.
            riders: Whether some animals have a rider.

        Raises:
            UnknownName: There is no such species.
        """
        if kind not in SPECIES and kind != "animals":
            raise unknown("animal", kind, ("animals", *SPECIES))
        name = list(SPECIES)[int(rng.integers(len(SPECIES)))] if kind == "animals" else kind
        species = SPECIES[name].varied(rng)
        pelt = random_pelt(rng, species, coats=coats)
        return cls(species, pelt, random_rider(rng) if riders and rng.random() < species.rider else None)

    def figure(self, pose: Pose, view: View, *, skeleton: Skeleton = QUADRUPED) -> Figure:
        """Its tubes and keypoints.

        Args:
            pose: Pose of the animal.
            view: From where it is seen.
            skeleton: Keypoints of the figure, of `LAYOUTS`.
        """
        builder = FigureBuilder()
        pitch = turn(0, pose.rise)
        _trunk(builder, self, pitch)
        for n, foot in enumerate(pose.feet):
            _leg(builder, self, pose, number=n, foot=foot)
        _tail(builder, self, pose, pitch)
        add_head(builder, self.species, self.pelt, pose=pose, trunk=pitch)
        if self.rider is not None:
            add_rider(builder, self.rider, depth=self.species.depth, width=self.species.width, trunk=pitch)
        air = pose.air * self.species.axis
        lowest = max(float(builder.keypoints[f"{name}_paw"][1]) for name in LEGS) + 0.8 * self.species.limb
        foot_level = max(lowest, axis_height(self.species, pose) if pose.height == 0 else lowest)
        return builder.build(skeleton, ground=foot_level + air).turned(view.rotation)


def random_animal(
    rng: np.random.Generator,
    *,
    kind: str = "animals",
    coats: str = "natural",
    views: Views | None = None,
    riders: bool = False,
    skeleton: Skeleton = QUADRUPED,
) -> Figure:
    """A random animal in a random pose.

    Args:
        rng: Random numbers.
        kind: Name of the species; "animals" for a random one.
        coats: Which coats.
        views: From where animals are seen.
        riders: Whether some animals have a rider.
        skeleton: Keypoints of the figure, of `LAYOUTS`.
    """
    animal = Animal.random(rng, kind, coats=coats, riders=riders)
    stride = random_stride(rng, sits=not animal.species.hooves)
    pose = stride.pose(float(rng.random()))
    return animal.figure(pose, (views or Views()).draw(rng), skeleton=skeleton)


def _trunk(builder: FigureBuilder, animal: Animal, trunk: Matrix) -> None:
    species, pelt, d = animal.species, animal.pelt, animal.species.depth
    chest, rump = trunk @ vector(0.0, 0.0, 0.27), trunk @ vector(0.0, -0.06 * d, -0.3)
    shape = trunk * np.array((species.width, 1.0, 0.2 / d))
    down = trunk @ vector(0.0, 1.0, 0.0)
    direction = (float(down[0]), float(down[1]), float(down[2]))
    belly = Trim(pelt.belly, direction=direction, offset=pelt.belly_line, sharp=6.0) if pelt.belly_line < 1 else None
    tuck = species.tuck
    builder.add(BodyPart(chest, rump, (d, (0.55 + 0.45 * tuck) * d, tuck * d), pelt.body, belly, shape))
    croup, withers = trunk @ vector(0.0, -0.22 * d, -0.32), trunk @ vector(0.0, -0.5 * d, 0.24)
    builder.add(
        BodyPart(croup, croup, (0.8 * d,) * 3, pelt.body, shape=trunk * np.array((species.width * 1.05, 1.0, 0.185 / d)))
    )
    builder.add(BodyPart(withers, trunk @ vector(0.0, -0.3 * d, 0.0), (0.52 * d, 0.5 * d, 0.3 * d), pelt.body, shape=shape))
    tail_base = trunk @ vector(0.0, -0.72 * d, -0.47)
    builder.add_keypoint("withers", trunk @ vector(0.0, -0.95 * d, 0.27), slack=0.7 * d)
    builder.add_keypoint("tail_base", tail_base, slack=0.55 * d)
    for side, name in ((1.0, "left"), (-1.0, "right")):
        shoulder = trunk @ vector(0.75 * side * species.width * d, 0.15 * d, 0.43)
        builder.add_keypoint(f"{name}_shoulder", shoulder, slack=0.6 * species.width * d)
    _humps(builder, animal, trunk)


def _humps(builder: FigureBuilder, animal: Animal, trunk: Matrix) -> None:
    d = animal.species.depth
    for place in {1: (-0.04,), 2: (0.16, -0.2)}.get(animal.species.humps[0], ()):
        base, tip = trunk @ vector(0.0, -0.5 * d, place), trunk @ vector(0.0, -1.5 * d, place - 0.03)
        shape = trunk * np.array((0.6, 1.0, 0.9))
        builder.add(BodyPart(base, tip, (0.78 * d, 0.66 * d, 0.3 * d), animal.pelt.body, shape=shape))


def _leg(builder: FigureBuilder, animal: Animal, pose: Pose, *, number: int, foot: Foot) -> None:
    species, pelt, front = animal.species, animal.pelt, number < 2
    side = -1.0 if number % 2 else 1.0
    joints = leg(species, pose, side=side, front=front, foot=foot)
    r, trunk = species.limb, turn(0, pose.rise)
    (_fore if front else _haunch)(builder, animal, joints.root, joints.elbow, trunk=trunk, side=side)
    socks = Trim(pelt.socks, along=1.0, offset=0.25) if pelt.socked[number] else None
    lower = pelt.socks if pelt.socked[number] else pelt.limbs
    first = (2.3 * r, 1.65 * r, 1.25 * r) if front else (0.4 * species.depth, 2.0 * r, 1.3 * r)
    dark = Trim(pelt.limbs, along=1.0, offset=0.3, sharp=6.0) if pelt.limbs is not pelt.body else None
    builder.add(BodyPart(joints.elbow, joints.knee, first, pelt.body, dark))
    builder.add(BodyPart(joints.knee, joints.fetlock, (1.25 * r, 0.88 * r, 1.05 * r), pelt.limbs, socks))
    builder.add(BodyPart(joints.fetlock, joints.hoof, (1.12 * r, 0.95 * r, 1.1 * r), lower))
    f = r * species.foot
    sole = (0.72 * f, 0.85 * f, 0.7 * f) if species.hooves else (0.85 * f, 0.95 * f, 0.75 * f)
    builder.add(BodyPart(joints.hoof, joints.toe, sole, pelt.hoof if species.hooves else lower))
    places = (("elbow", joints.elbow, 2.6), ("knee", joints.knee, 1.7), ("paw", joints.hoof, 2.0), ("hoof", joints.hoof, 2.0))
    for joint, place, deep in places:
        builder.add_keypoint(f"{LEGS[number]}_{joint}", place, slack=deep * r)


def _fore(builder: FigureBuilder, animal: Animal, root: Vector, elbow: Vector, *, trunk: Matrix, side: float) -> None:
    """The shoulder blade and the upper arm."""
    species, d = animal.species, animal.species.depth
    blade = trunk @ vector(0.6 * side * species.width * d, -0.5 * d, 0.26)
    flat = trunk * np.array((0.42, 1.0, 1.0))
    builder.add(BodyPart(blade, root, (0.36 * d, 0.5 * d, 0.42 * d), animal.pelt.body, shape=flat))
    builder.add(BodyPart(root, elbow, (0.46 * d, 0.42 * d, max(0.24 * d, 2.2 * species.limb)), animal.pelt.body, shape=flat))


def _haunch(builder: FigureBuilder, animal: Animal, root: Vector, elbow: Vector, *, trunk: Matrix, side: float) -> None:
    """The thigh."""
    d = animal.species.depth
    flat = trunk * np.array((0.55, 1.0, 1.0))
    builder.add(BodyPart(root, elbow, (0.6 * d, 0.62 * d, 0.44 * d), animal.pelt.body, shape=flat))


def _tail(builder: FigureBuilder, animal: Animal, pose: Pose, trunk: Matrix) -> None:
    species, pelt = animal.species, animal.pelt
    up, aside, curl = pose.tail
    height = max(species.tail_carriage + up - 0.5 * pose.rise, -84.0)
    base, length = trunk @ vector(0.0, -0.7 * species.depth, -0.45), species.tail
    place, r, b = base, min(0.024, 0.8 * species.limb), species.bush
    radii = ((1.5 * r, 1.1 * r, 0.5 * (r + b)), (0.5 * (r + b), b, b), (b, 0.9 * b, 0.25 * b))
    for n, thick in enumerate(radii):
        lifted = max(height + curl * n * (1.0 if height < 0 else 1.6), -98.0)
        end = place + length / 3 * (turn(1, aside) @ turn(0, -lifted) @ vector(0.0, 0.0, -1.0))
        texture = pelt.mane if n and (species.mane or (species.bush > 0.028 and pelt.limbs is not pelt.body)) else pelt.body
        builder.add(BodyPart(place, end, thick, texture))
        place = end
