"""People: proportions, clothes and a pose become tubes in space and the 17 keypoints of COCO."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures import texture
from poise.data.figures.body_part import BodyPart, Figure, FigureBuilder, Matrix, Trim, Vector, turn, vector
from poise.data.figures.pose import Pose, random_pose
from poise.data.figures.sampling import LimbAngles, weighted_choice
from poise.data.figures.texture import Texture
from poise.skeletons import COCO17


@final
@dataclass(frozen=True)
class Build:
    """Proportions of a body. The unit of length is about the height of an average adult.

    Attributes:
        head: Size of the head divided by that of an adult's.
        girth: Thickness of trunk and limbs divided by that of a slim adult's.
        shoulders: Distance of the shoulder joints from the middle.
        hips: Distance of the hip joints from the middle.
        trunk: Distance from the hips to the shoulders.
        thigh: Distance from hip to knee.
        shin: Distance from knee to ankle.
        upper_arm: Distance from shoulder to elbow.
        forearm: Distance from elbow to wrist.
    """

    head: float
    girth: float
    shoulders: float
    hips: float
    trunk: float
    thigh: float
    shin: float
    upper_arm: float
    forearm: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Build":
        """Random proportions; one in five is a child, with a large head and short limbs."""
        child = rng.random() < 0.2
        limb = rng.normal(1, 0.05) * (0.82 if child else 1.0)
        girth = rng.uniform(0.85, 1.3)
        width = 0.5 + 0.5 * girth
        vary = rng.normal(1, 0.04, 5)
        return cls(
            head=rng.uniform(1.15, 1.4) if child else rng.uniform(0.95, 1.12),
            girth=girth,
            shoulders=0.112 * width * vary[0] * (0.9 if child else 1.0),
            hips=0.062 * width * vary[1],
            trunk=0.285 * vary[2] * (0.93 if child else 1.0),
            thigh=0.235 * limb * vary[3],
            shin=0.225 * limb * vary[4],
            upper_arm=0.165 * limb * vary[3],
            forearm=0.145 * limb * vary[4],
        )


@final
@dataclass(frozen=True, eq=False)
class Outfit:
    """Clothes, skin and hair.

    Attributes:
        skin: Texture of face, hands and bare limbs.
        hair: Texture of the hair, or of a cap.
        shirt: Texture of trunk and sleeves.
        trousers: Texture of hips and trouser legs.
        shoes: Texture of the feet.
        sleeve: Length of the sleeves: 0 none, 1 to the elbow, 2 to the wrist.
        leg: Length of the trouser legs: 0 to the hip, 1 to the knee, 2 to the ankle.
        skirt: Whether there is a skirt of length `leg` instead of trousers.
        tail: Long hair: 0 none, 1 loose, 2 tied.
        baldness: Threshold of the hairline; a higher value shows more of the skull.
    """

    skin: Texture
    hair: Texture
    shirt: Texture
    trousers: Texture
    shoes: Texture
    sleeve: float
    leg: float
    skirt: bool
    tail: int
    baldness: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Outfit":
        """Random clothes, skin and hair; shirt and trousers are sometimes of the same cloth."""
        shirt = texture.garment(rng)
        trousers = shirt if rng.random() < 0.12 else texture.garment(rng)
        return cls(
            skin=texture.plain(rng, texture.skin(rng)),
            hair=texture.garment(rng) if rng.random() < 0.12 else texture.plain(rng, texture.hair(rng), rough=0.25),
            shirt=shirt,
            trousers=trousers,
            shoes=texture.plain(rng, texture.colour(rng)),
            sleeve=weighted_choice(
                rng, ((0.1, 0.15), (rng.uniform(0.35, 0.7), 0.35), (rng.uniform(1.0, 1.6), 0.1), (2.0, 0.4))
            ),
            leg=weighted_choice(rng, ((rng.uniform(0.3, 0.6), 0.15), (rng.uniform(0.7, 1.1), 0.2), (2.0, 0.65))),
            skirt=rng.random() < 0.15,
            tail=weighted_choice(rng, ((0, 0.6), (1, 0.25), (2, 0.15))),
            baldness=rng.uniform(-0.1, 0.4) if rng.random() < 0.94 else 1.5,
        )


def random_person(rng: np.random.Generator) -> Figure:
    """A random person in a random pose."""
    return person(Build.random(rng), Outfit.random(rng), random_pose(rng))


def person(build: Build, outfit: Outfit, pose: Pose) -> Figure:
    """The tubes and keypoints of a person.

    Args:
        build: Proportions.
        outfit: Clothes, skin and hair.
        pose: Joint angles.
    """
    world = turn(0, -pose.tilt) @ turn(2, pose.roll) @ turn(1, pose.yaw)
    lean, bend, twist = pose.spine
    pelvis = world @ turn(0, -0.35 * lean) @ turn(2, -0.3 * bend)
    chest = pelvis @ turn(0, -0.65 * lean) @ turn(2, bend) @ turn(1, twist)
    builder = FigureBuilder()
    waist = pelvis @ vector(0.0, -0.4 * build.trunk, 0.0)
    neck = waist + chest @ vector(0.0, -0.6 * build.trunk, 0.0)
    _trunk(builder, build, outfit, frames=(pelvis, chest), places=(waist, neck))
    _head(builder, build, outfit, pose=pose, chest=chest, neck=neck)
    for side, name, arm, leg in ((1.0, "left", pose.arms[0], pose.legs[0]), (-1.0, "right", pose.arms[1], pose.legs[1])):
        shoulder = neck + chest @ vector(side * build.shoulders, 0.012, 0.0)
        hip = pelvis @ vector(side * build.hips, 0.01, 0.0)
        joints = _arm(builder, build, outfit, frame=chest, shoulder=shoulder, angles=arm, side=side)
        joints += _leg(builder, build, outfit, frame=pelvis, hip=hip, angles=leg, side=side)
        ends = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        depths = (0.06, 0.045, 0.04, 0.1, 0.06, 0.05)
        for end, joint, depth in zip(ends, joints, depths, strict=True):
            builder.add_keypoint(f"{name}_{end}", joint, slack=depth * build.girth)
    if outfit.skirt and max(abs(angles[0]) for angles in pose.legs) < 50:
        _skirt(builder, build, outfit, pelvis=pelvis, knees=(builder.keypoints["left_knee"], builder.keypoints["right_knee"]))
    return builder.build(COCO17, sole=0.05)


def _stretched(frame: Matrix, x: float, y: float, z: float) -> Matrix:
    stretched: Matrix = frame * np.array((x, y, z))
    return stretched


def _trunk(
    builder: FigureBuilder, build: Build, outfit: Outfit, *, frames: tuple[Matrix, Matrix], places: tuple[Vector, Vector]
) -> None:
    (pelvis, chest), (waist, neck) = frames, places
    g = build.girth
    wide = build.shoulders + 0.012
    top = neck + chest @ vector(0.0, 0.035, 0.0)
    shape = _stretched(chest, 1.0, 0.42, 0.58 * (0.7 + 0.3 * g))
    builder.add(BodyPart(top, waist, (wide, 0.1 * g + 0.008, 0.082 * g + 0.008), outfit.shirt, shape=shape))
    low = pelvis @ vector(0.0, -0.02, 0.0)
    shape = _stretched(pelvis, 1.0, 0.5, 0.7)
    hips = build.hips + 0.042 * g
    belt = Trim(outfit.trousers, along=1.0, offset=0.55)
    builder.add(BodyPart(waist, low, (0.082 * g + 0.008, 0.5 * (0.088 * g + hips), hips), outfit.shirt, belt, shape))


def _head(
    builder: FigureBuilder,
    build: Build,
    outfit: Outfit,
    *,
    pose: Pose,
    chest: Matrix,
    neck: Vector,
) -> None:
    look, nod, tilt = pose.head
    frame = chest @ turn(1, look) @ turn(0, -nod) @ turn(2, tilt)
    h = build.head
    base = neck + frame @ vector(0.0, -0.035, 0.004)
    centre = base + frame @ (h * vector(0.0, -0.07, 0.018))

    def at(x: float, y: float, z: float) -> Vector:
        return centre + frame @ (h * vector(x, y, z))

    thick = 0.034 * (0.6 + 0.4 * build.girth)
    builder.add(
        BodyPart(neck + chest @ vector(0.0, 0.02, 0.0), at(0.0, 0.03, -0.012), (thick * 1.3, thick, thick), outfit.skin)
    )
    border = frame @ vector(0.0, -1.0, -0.95)
    hair = Trim(outfit.hair, direction=(border[0], border[1], border[2]), offset=outfit.baldness, sharp=12.0)
    round_head = _stretched(frame, 0.92, 1.0, 1.08)
    builder.add(
        BodyPart(at(0.0, -0.022, 0.0), at(0.0, 0.034, 0.01), (0.066 * h, 0.064 * h, 0.046 * h), outfit.skin, hair, round_head)
    )
    if outfit.tail == 1:
        builder.add(BodyPart(at(0.0, -0.01, -0.03), at(0.0, 0.12, -0.045), (0.058 * h, 0.062 * h, 0.05 * h), outfit.hair))
    if outfit.tail == 2:
        builder.add(BodyPart(at(0.0, -0.01, -0.075), at(0.0, 0.11, -0.11), (0.02 * h, 0.026 * h, 0.012 * h), outfit.hair))
    _face(builder, outfit, at=at, frame=frame, h=h)
    names = {"nose": (0.0, 0.012, 0.088), "left_eye": (0.027, -0.008, 0.066), "right_eye": (-0.027, -0.008, 0.066)}
    ears = {"left_ear": (0.063, 0.006, -0.006), "right_ear": (-0.063, 0.006, -0.006)}
    for name, offset in (names | ears).items():
        builder.add_keypoint(name, at(*offset), slack=0.03 * h)


def _face(
    builder: FigureBuilder, outfit: Outfit, *, at: Callable[[float, float, float], Vector], frame: Matrix, h: float
) -> None:
    white = Texture(np.full_like(outfit.skin.tile, 235))
    dark = Texture(np.full_like(outfit.skin.tile, 25))
    lips = Texture((outfit.skin.tile * np.array((0.75, 0.45, 0.45))).astype(np.uint8))
    flat = _stretched(frame, 1.0, 0.7, 0.4)
    for side in (1.0, -1.0):
        eye = at(side * 0.027, -0.008, 0.064)
        builder.add(BodyPart(eye, eye, (0.0125 * h,) * 3, white, shape=flat))
        pupil = at(side * 0.027, -0.008, 0.067)
        builder.add(BodyPart(pupil, pupil, (0.0075 * h,) * 3, dark))
        brow = (at(side * 0.014, -0.027, 0.066), at(side * 0.042, -0.026, 0.058))
        builder.add(BodyPart(*brow, (0.005 * h,) * 3, outfit.hair))
        ear = (at(side * 0.063, -0.008, -0.006), at(side * 0.06, 0.016, -0.004))
        builder.add(BodyPart(*ear, (0.014 * h, 0.012 * h, 0.01 * h), outfit.skin))
    builder.add(BodyPart(at(0.0, -0.01, 0.066), at(0.0, 0.014, 0.078), (0.007 * h, 0.01 * h, 0.013 * h), outfit.skin))
    builder.add(BodyPart(at(-0.018, 0.044, 0.056), at(0.018, 0.044, 0.056), (0.005 * h, 0.009 * h, 0.005 * h), lips))


def _arm(
    builder: FigureBuilder, build: Build, outfit: Outfit, *, frame: Matrix, shoulder: Vector, angles: LimbAngles, side: float
) -> list[Vector]:
    swing, raised, inward, flexed = angles
    upper = frame @ turn(0, swing) @ turn(2, -side * raised) @ turn(1, -side * inward)
    elbow = shoulder + upper @ vector(0.0, build.upper_arm, 0.0)
    lower = upper @ turn(0, flexed)
    wrist = elbow + lower @ vector(0.0, build.forearm, 0.0)
    g = 0.5 + 0.5 * build.girth
    cloth = 0.006 if outfit.sleeve > 1 else 0.0
    builder.add(
        BodyPart(shoulder, elbow, (0.044 * g, 0.04 * g, 0.032 * g + cloth), outfit.shirt, _bare(outfit.skin, outfit.sleeve))
    )
    builder.add(
        BodyPart(
            elbow,
            wrist,
            (0.032 * g + cloth, 0.03 * g + cloth, 0.022 * g + cloth),
            outfit.shirt,
            _bare(outfit.skin, outfit.sleeve - 1),
        )
    )
    hand = wrist + lower @ turn(0, 12.0) @ vector(0.0, 0.05, 0.0)
    flat = _stretched(lower, 0.65, 1.0, 1.0)
    builder.add(BodyPart(wrist, hand, (0.021 * g, 0.031 * g, 0.02 * g), outfit.skin, shape=flat))
    thumb = wrist + lower @ vector(-side * 0.012, 0.042, 0.03)
    builder.add(BodyPart(wrist + lower @ vector(0.0, 0.012, 0.006), thumb, (0.012, 0.01, 0.009), outfit.skin))
    return [shoulder, elbow, wrist]


def _leg(
    builder: FigureBuilder, build: Build, outfit: Outfit, *, frame: Matrix, hip: Vector, angles: LimbAngles, side: float
) -> list[Vector]:
    swing, spread, outward, flexed = angles
    upper = frame @ turn(0, swing) @ turn(2, -side * spread) @ turn(1, side * outward)
    knee = hip + upper @ vector(0.0, build.thigh, 0.0)
    lower = upper @ turn(0, -flexed)
    ankle = knee + lower @ vector(0.0, build.shin, 0.0)
    g = build.girth
    reach = min(0.6 * outfit.leg, 0.9) if outfit.skirt else outfit.leg
    cloth = 0.008 if reach > 1 else 0.0
    thigh, calf = (0.068 * g, 0.06 * g, 0.043 * g + cloth), (0.042 * g + cloth, 0.043 * g + cloth, 0.027 * g + 1.4 * cloth)
    builder.add(BodyPart(hip, knee, thigh, outfit.trousers, _bare(outfit.skin, reach)))
    builder.add(BodyPart(knee, ankle, calf, outfit.trousers, _bare(outfit.skin, reach - 1)))
    foot = lower @ turn(0, 6.0)
    heel, toe = ankle + foot @ vector(0.0, 0.022, -0.012), ankle + foot @ vector(side * 0.006, 0.034, 0.095)
    builder.add(BodyPart(heel, toe, (0.03 * (0.7 + 0.3 * g), 0.032, 0.024), outfit.shoes))
    return [hip, knee, ankle]


def _bare(skin: Texture, reach: float) -> Trim | None:
    """Skin from the end of the cloth on; `reach` is the length of the cloth as a share of this limb."""
    return None if reach >= 1 else Trim(skin, along=1.0, offset=max(reach, -1.0))


def _skirt(builder: FigureBuilder, build: Build, outfit: Outfit, *, pelvis: Matrix, knees: tuple[Vector, Vector]) -> None:
    middle = 0.5 * (knees[0] + knees[1])
    hem = min(0.6 + 0.35 * outfit.leg, 1.05) * middle
    spread = 0.5 * float(np.linalg.norm(knees[0] - knees[1])) + 0.06
    waist = pelvis @ vector(0.0, -0.05, 0.0)
    shape = _stretched(pelvis, 1.0, 0.25, 0.75)
    width = (0.088 * build.girth, 0.5 * (0.1 * build.girth + spread) + 0.012, min(spread, 0.24))
    builder.add(BodyPart(waist, hem, width, outfit.trousers, shape=shape))
