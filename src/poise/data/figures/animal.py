"""Four-legged animals: species, textures and pose become tubes in space and the keypoints of `QUADRUPED`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures import texture
from poise.data.figures.body_part import BodyPart, Figure, FigureBuilder, Matrix, Trim, Vector, turn, vector
from poise.data.figures.gait import Gait, random_gait
from poise.data.figures.species import BLACK, SPECIES, WHITE, Species
from poise.data.figures.texture import Colour, Texture
from poise.skeletons import QUADRUPED


@final
@dataclass(frozen=True, eq=False)
class Pelt:
    """The textures of an animal.

    Attributes:
        body: Texture of trunk, neck and upper legs.
        belly: Texture of the underside.
        socks: Texture of the lower legs, from `sock` on.
        mane: Texture of mane, end of the tail and inside of the ears.
        nose: Texture of nose and hooves.
        sock: Position on the last segment of a leg where the socks begin; above 1 for none.
        belly_line: Position where the underside begins: 0 at the middle of the trunk, above 1 for none.
    """

    body: Texture
    belly: Texture
    socks: Texture
    mane: Texture
    nose: Texture
    sock: float
    belly_line: float


def random_animal(rng: np.random.Generator) -> Figure:
    """A random animal in a random pose."""
    species = SPECIES[list(SPECIES)[rng.integers(len(SPECIES))]]
    vary = rng.normal(1, 0.07, 6).tolist()
    gait = random_gait(rng, neck=species.carriage, tail=species.tail_carriage, sits=not species.hooves)
    return animal(species, random_pelt(rng, species), gait, vary=vary)


def random_pelt(rng: np.random.Generator, species: Species) -> Pelt:
    """Random textures of a species."""
    base, mark = species.palette[rng.integers(len(species.palette))]
    tints = (_shifted(rng, base), _shifted(rng, mark))
    pattern = species.patterns[rng.integers(len(species.patterns))]
    pale = texture.mixed(tints[0], WHITE, rng.uniform(0.25, 0.7))
    dark = texture.mixed(tints[0], BLACK, rng.uniform(0.3, 0.9))
    return Pelt(
        body=texture.fur(rng, pattern, tints),
        belly=texture.plain(rng, pale, rough=0.1),
        socks=texture.plain(rng, (dark, tints[1])[rng.integers(2)], rough=0.1),
        mane=texture.plain(rng, dark, rough=0.25),
        nose=texture.plain(rng, texture.mixed(BLACK, (150.0, 96.0, 96.0), 0.6 * rng.random() ** 2)),
        sock=float(rng.uniform(-0.4, 0.7) if rng.random() < 0.45 else 1.5),
        belly_line=float(rng.uniform(0.35, 0.75) if rng.random() < 0.5 and pattern != "patches" else 1.5),
    )


def _shifted(rng: np.random.Generator, tint: Colour) -> Colour:
    r, g, b = np.clip(np.array(tint) * rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3), 12, 248).tolist()
    return r, g, b


def animal(species: Species, pelt: Pelt, gait: Gait, *, vary: list[float]) -> Figure:
    """The tubes and keypoints of an animal.

    Args:
        species: Proportions of the animal.
        pelt: Textures of the animal.
        gait: Pose of the animal.
        vary: Factors on the lengths of legs, girth, neck, head, ears and tail.
    """
    world = turn(0, -gait.tilt) @ turn(2, gait.roll) @ turn(1, gait.yaw)
    trunk = world @ turn(0, gait.rise)
    girth = species.girth * vary[1]
    builder = FigureBuilder()
    chest, rump = trunk @ vector(0.0, 0.0, 0.36), trunk @ vector(0.0, -0.02, -0.36)
    shape = trunk * np.array((0.78, 1.0, 0.62))
    down = trunk @ vector(0.0, 1.0, 0.0)
    belly = Trim(pelt.belly, direction=(down[0], down[1], down[2]), offset=pelt.belly_line, sharp=6.0)
    builder.add(BodyPart(chest, rump, (girth, 0.92 * girth, 0.84 * girth), pelt.body, belly, shape))
    tail_base = trunk @ vector(0.0, -0.7 * girth, -0.46)
    builder.add_keypoint("withers", trunk @ vector(0.0, -0.94 * girth, 0.3), slack=girth)
    builder.add_keypoint("tail_base", tail_base, slack=girth)
    _head(builder, species, pelt, gait=gait, trunk=trunk, girth=girth, vary=vary)
    _tail(builder, species, pelt, gait=gait, trunk=trunk, base=tail_base, length=species.tail * vary[5])
    for i, (side, name) in enumerate(((1.0, "left"), (-1.0, "right"))):
        for end, angles in (("front", gait.front[i]), ("back", gait.back[i])):
            joints = _leg(
                builder,
                species,
                pelt,
                end=end,
                frame=trunk,
                angles=angles,
                side=side,
                girth=girth,
                length=species.leg * vary[0],
            )
            for joint, position, depth in zip(("elbow", "knee", "paw"), joints, (2.6, 1.6, 1.6), strict=True):
                builder.add_keypoint(f"{name}_{end}_{joint}", position, slack=depth * species.limb)
    return builder.build(QUADRUPED, sole=0.04)


def _leg(
    builder: FigureBuilder,
    species: Species,
    pelt: Pelt,
    *,
    end: str,
    frame: Matrix,
    angles: tuple[float, float, float, float],
    side: float,
    girth: float,
    length: float,
) -> list[Vector]:
    swing, spread, first, second = angles
    front = end == "front"
    r = species.limb
    root = frame @ vector(side * 0.48 * girth, 0.15 * girth, 0.3 if front else -0.34)
    shares = (0.36, 0.36, 0.3) if front else (0.38, 0.38, 0.36)
    a, b, c = ((length - 0.15 * girth) * share for share in shares)
    upper = frame @ turn(0, swing) @ turn(2, -side * spread)
    middle = upper @ turn(0, first if front else -first)
    lower = middle @ turn(0, -second if front else second)
    elbow = root + upper @ vector(0.0, a, 0.0)
    knee = elbow + middle @ vector(0.0, b, 0.0)
    paw = knee + lower @ vector(0.0, c, 0.0)
    thick = (0.5 * girth, 2.1 * r, 1.5 * r) if front else (0.62 * girth, 0.42 * girth, 1.7 * r)
    socks = Trim(pelt.socks, along=1.0, offset=pelt.sock) if pelt.sock < 1 else None
    builder.add(BodyPart(root, elbow, thick, pelt.body, shape=frame * np.array((0.62, 1.0, 0.9))))
    builder.add(BodyPart(elbow, knee, (1.5 * r if front else 1.7 * r, 1.25 * r, 1.1 * r), pelt.body))
    builder.add(BodyPart(knee, paw, (1.12 * r, 0.85 * r, 0.95 * r), pelt.body, socks))
    toe = paw + _level(frame) @ vector(0.0, 0.2 * r, 1.1 * r * species.paws)
    foot = pelt.nose if species.hooves else pelt.socks if socks else pelt.body
    builder.add(BodyPart(paw, toe, (1.0 * r, r * species.paws, 0.8 * r * species.paws), foot))
    return [elbow, knee, paw]


def _level(frame: Matrix) -> Matrix:
    """The frame without the pitch of the trunk, so that paws are level with the ground."""
    left = frame[:, 0]
    down = np.array((0.0, 1.0, 0.0)) - left * left[1]
    down /= np.linalg.norm(down)
    return np.stack((left, down, np.cross(left, down)), axis=1)


def _tail(
    builder: FigureBuilder, species: Species, pelt: Pelt, *, gait: Gait, trunk: Matrix, base: Vector, length: float
) -> None:
    height, aside, curl = gait.tail
    first = trunk @ turn(1, aside) @ turn(0, -max(height, -85.0)) @ vector(0.0, 0.0, -1.0)
    second = trunk @ turn(1, aside) @ turn(0, -max(height + curl, -100.0)) @ vector(0.0, 0.0, -1.0)
    start = base + trunk @ vector(0.0, 0.03, 0.03)
    middle = base + 0.5 * length * first
    end = middle + 0.5 * length * second
    r = 0.022
    builder.add(BodyPart(start, middle, (r * 1.3, r, 0.5 * (r + species.bush)), pelt.body))
    builder.add(
        BodyPart(
            middle, end, (0.5 * (r + species.bush), species.bush, 0.5 * species.bush), pelt.mane if species.mane else pelt.body
        )
    )


def _head(
    builder: FigureBuilder,
    species: Species,
    pelt: Pelt,
    *,
    gait: Gait,
    trunk: Matrix,
    girth: float,
    vary: list[float],
) -> None:
    raised, aside = gait.neck
    look, nod, tilt = gait.head
    neck = trunk @ turn(1, aside) @ turn(0, raised)
    frame = trunk @ turn(1, aside + look) @ turn(0, 0.35 * raised - nod) @ turn(2, tilt)
    s = species.skull * (0.5 + 0.5 * vary[3])
    root = trunk @ vector(0.0, -0.15 * girth, 0.38)
    nape = root + neck @ vector(0.0, 0.0, species.neck * vary[2] + 0.12)
    centre = nape + frame @ vector(0.0, -0.1 * s, 0.45 * s)

    def at(x: float, y: float, z: float) -> Vector:
        return centre + frame @ vector(x, y, z)

    thick = (0.72 * girth, 0.5 * girth + 0.25 * s, 0.82 * s)
    builder.add(BodyPart(root, nape, thick, pelt.body, shape=neck * np.array((0.72, 1.0, 0.8))))
    if species.mane:
        crest, end = root + trunk @ vector(0.0, -0.7 * girth, 0.0), nape + frame @ vector(0.0, -0.75 * s, 0.0)
        builder.add(BodyPart(crest, end, (0.05, 0.055, 0.045), pelt.mane))
    length = species.muzzle * vary[3]
    builder.add(
        BodyPart(
            at(0.0, 0.0, -0.1 * s),
            at(0.0, 0.06 * s, 0.35 * s),
            (s, s, 0.82 * s),
            pelt.body,
            shape=frame * np.array((0.88, 1.0, 1.0)),
        )
    )
    tip = at(0.0, 0.35 * s, length - 0.34 * s)
    pale = Trim(pelt.belly, along=1.0, offset=0.35) if pelt.belly_line < 1 else None
    builder.add(
        BodyPart(
            at(0.0, 0.14 * s, 0.3 * s), tip, (0.74 * s, 0.6 * s, 0.46 * s), pelt.body, pale, frame * np.array((0.85, 1.0, 1.0))
        )
    )
    nose = at(0.0, 0.24 * s, length)
    builder.add(
        BodyPart(at(-0.1 * s, 0.2 * s, length - 0.12 * s), at(0.1 * s, 0.2 * s, length - 0.12 * s), (0.2 * s,) * 3, pelt.nose)
    )
    builder.add_keypoint("nose", nose, slack=0.3 * s)
    builder.add_keypoint("throat", nape + frame @ vector(0.0, 0.62 * s, -0.1 * s), slack=1.2 * s)
    _features(builder, species, pelt, at=at, s=s, ear=species.ear * vary[4])


def _features(
    builder: FigureBuilder,
    species: Species,
    pelt: Pelt,
    *,
    at: Callable[[float, float, float], Vector],
    s: float,
    ear: float,
) -> None:
    """Eyes, ears and horns."""
    dark = Texture(np.full_like(pelt.nose.tile, 18))
    glint = Texture(np.full_like(pelt.nose.tile, 225))
    for side, name in ((1.0, "left"), (-1.0, "right")):
        eye = at(side * 0.62 * s, -0.3 * s, 0.62 * s)
        builder.add(BodyPart(eye, eye, (0.16 * s,) * 3, dark))
        spark = at(side * 0.68 * s, -0.36 * s, 0.72 * s)
        builder.add(BodyPart(spark, spark, (0.05 * s,) * 3, glint))
        root = at(side * 0.66 * s, -0.68 * s, -0.3 * s)
        tip = (
            at(side * (0.66 * s + 0.55 * ear), -0.68 * s + 0.75 * ear, -0.3 * s)
            if species.flop
            else at(side * (0.66 * s + 0.3 * ear), -0.68 * s - 0.95 * ear, -0.35 * s)
        )
        width = (0.3 * s, 0.36 * s, 0.3 * s) if species.flop else (0.36 * s, 0.28 * s, 0.06 * s)
        builder.add(BodyPart(root, tip, width, pelt.body, Trim(pelt.mane, along=1.0, offset=0.8)))
        if species.horns:
            start, end = (
                at(side * 0.35 * s, -0.85 * s, -0.1 * s),
                at(side * (0.4 * s + 0.5 * species.horns), -0.85 * s - species.horns, -0.1 * s),
            )
            builder.add(BodyPart(start, end, (0.022, 0.018, 0.008), pelt.belly))
        builder.add_keypoint(f"{name}_eye", eye, slack=0.3 * s)
        builder.add_keypoint(f"{name}_ear", root, slack=0.55 * s)
