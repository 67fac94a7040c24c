"""Poses of four-legged animals: standing, walking, trotting, galloping, jumping, grazing, lying and sitting.

A pose says where the feet are, and `legs` bends the joints so that they get there. Stepping gaits repeat after one phase: a
foot stays on the ground and moves back while the body passes over it, then it is lifted and carried forward. Orders of the feet
and shares of the time on the ground are those of the gaits of horses (Hildebrand, Science 150, 1965).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Literal, final

import numpy as np

from poise.data.figures.sampling import weighted_choice

GaitName = Literal["stand", "walk", "trot", "gallop", "jump", "lie", "sit"]
"""What an animal does."""

LEGS = ("left_front", "right_front", "left_back", "right_back")
"""Order of the legs in a pose."""


@final
@dataclass(frozen=True, kw_only=True)
class Foot:
    """Where a foot is, relative to where it is when the animal stands; lengths as shares of the height of the trunk's axis.

    Attributes:
        forward: Distance to the front.
        up: Height above the ground.
        out: Distance to the outside.
        fold: How far the upper part of the leg swings forward beyond what the foot asks for, degrees.
        flex: How far the hoof or paw is bent backward, degrees.
    """

    forward: float = 0.0
    up: float = 0.0
    out: float = 0.0
    fold: float = 0.0
    flex: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Pose:
    """The pose of an animal; all angles in degrees.

    Attributes:
        feet: The feet, in the order of `LEGS`.
        height: Height of the trunk's axis divided by that of the standing animal.
        rise: Pitch of the trunk; positive lifts the chest.
        air: Height of the ground below the feet, as a share of the height of the trunk's axis.
        neck: Angles of the neck: above what the species holds, to the left.
        head: Angles of the head: turn to the left, nod below what the species holds, tilt.
        tail: Angles of the tail: above what the species holds, to the left, curl.
    """

    feet: tuple[Foot, Foot, Foot, Foot]
    height: float = 1.0
    rise: float = 0.0
    air: float = 0.0
    neck: tuple[float, float] = (0.0, 0.0)
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tail: tuple[float, float, float] = (0.0, 0.0, 0.0)


@final
@dataclass(frozen=True, kw_only=True)
class Stride:
    """A way to move. With a phase it is a pose, so the same stride over growing phases is a motion.

    Attributes:
        name: The gait.
        reach: Distance that a foot travels on the ground, as a share of the height of the trunk's axis.
        lift: Height to which a foot is lifted, as the same share.
        lead: Delay between the two front and the two back feet of a gallop, as a share of the phase.
        still: The pose that the gait changes: carriage of head, neck and tail, and small offsets of the feet.
        sway: How much head, neck and tail move with the phase, degrees.
    """

    name: GaitName
    reach: float
    lift: float
    lead: float
    still: Pose
    sway: float

    def pose(self, phase: float) -> Pose:
        """The pose at a phase; whole numbers give the same pose."""
        return _swayed(_GAITS[self.name](self, phase % 1.0), phase % 1.0, self.sway)


def random_stride(rng: np.random.Generator, *, sits: bool, gait: GaitName | None = None) -> Stride:
    """A random way to move.

    Args:
        rng: Random numbers.
        sits: Whether the animal may sit.
        gait: The gait; a random one by default.
    """
    odds: tuple[tuple[GaitName, float], ...] = (
        ("stand", 0.2), ("walk", 0.32), ("trot", 0.14), ("gallop", 0.14), ("jump", 0.07), ("lie", 0.06), ("sit", 0.09 * sits),
    )  # fmt: skip
    name: GaitName = weighted_choice(rng, odds) if gait is None else gait
    reach, lift = {"walk": (0.62, 0.12), "trot": (0.72, 0.2), "gallop": (1.0, 0.3)}.get(name, (0.0, 0.0))
    return Stride(
        name=name,
        reach=reach * float(rng.uniform(0.7, 1.15)),
        lift=lift * float(rng.uniform(0.7, 1.3)),
        lead=float(rng.uniform(0.06, 0.16)),
        still=_still(rng, name),
        sway=float(rng.uniform(1, 4)),
    )


def _still(rng: np.random.Generator, name: GaitName) -> Pose:
    raised = _raised(rng, name)
    offsets = rng.normal(0, 0.07 if name == "stand" else 0.02, (4, 2)).tolist()
    folds = rng.normal(0, 4, 4).tolist()
    feet = [Foot(forward=f, out=0.5 * abs(o), fold=a) for (f, o), a in zip(offsets, folds, strict=True)]
    return Pose(
        feet=(feet[0], feet[1], feet[2], feet[3]),
        rise=float(rng.normal(0, 1.5)),
        neck=(float(raised), float(np.clip(rng.normal(0, 14), -45, 45))),
        head=(float(np.clip(rng.normal(0, 20), -65, 65)), float(np.clip(rng.normal(0, 11), -35, 35)), float(rng.normal(0, 5))),
        tail=(_tail_raised(rng), float(rng.normal(0, 18)), float(rng.normal(10, 18))),
    )


def _raised(rng: np.random.Generator, name: GaitName) -> float:
    """Angle of the neck above what the species holds, degrees: about 0, or lowered to sniff, or down to graze."""
    chance = rng.random()
    if chance < 0.2 and name in ("stand", "walk"):
        return float(rng.uniform(-90, -67))
    return float(rng.uniform(-67, -12) if chance > 0.75 else rng.normal(0, 12))


def _tail_raised(rng: np.random.Generator) -> float:
    """Angle of the tail above what the species holds, degrees: a raised tail must not be taken for a neck."""
    return float(rng.uniform(15, 75) if rng.random() < 0.25 else rng.normal(0, 18))


def _swayed(pose: Pose, phase: float, sway: float) -> Pose:
    """The pose with the small motions of head, neck and tail that go with a stride."""
    once, twice = sin(2 * pi * phase), sin(4 * pi * phase)
    return replace(
        pose,
        neck=(pose.neck[0] + sway * twice, pose.neck[1] + 0.5 * sway * once),
        head=(pose.head[0], pose.head[1] - 0.7 * sway * twice, pose.head[2]),
        tail=(pose.tail[0] + 1.5 * sway * twice, pose.tail[1] + 3 * sway * once, pose.tail[2]),
    )


def _stepped(stride: Stride, phase: float, *, shifts: tuple[float, float, float, float], ground: float) -> Pose:
    """Feet in a stepping cycle.

    Args:
        stride: The way to move.
        phase: The phase, 0 to 1.
        shifts: Phases of the feet.
        ground: Share of the phase that a foot spends on the ground.
    """
    feet = [
        _step(foot, (phase + shift) % 1.0, stride, ground=ground, back=n > 1)
        for n, (foot, shift) in enumerate(zip(stride.still.feet, shifts, strict=True))
    ]
    return replace(stride.still, feet=(feet[0], feet[1], feet[2], feet[3]))


def _step(foot: Foot, phase: float, stride: Stride, *, ground: float, back: bool) -> Foot:
    if phase < ground:
        share = phase / ground
        push = max(0.0, share - 0.7) / 0.3
        return replace(foot, forward=foot.forward + stride.reach * (0.5 - share), flex=-22 * push)
    share = (phase - ground) / (1 - ground)
    carried = 0.5 - 0.5 * cos(pi * share)
    lifted = sin(pi * share) ** 1.2
    return replace(
        foot,
        forward=foot.forward + stride.reach * (carried - 0.5),
        up=stride.lift * lifted * (1.0 if back else 1.25),
        fold=foot.fold + (26 if back else 20) * lifted * min(stride.lift / 0.2, 1.4),
        flex=60 * sin(pi * share) * (1 - 0.6 * share),
    )


def _stand(stride: Stride, phase: float) -> Pose:
    return stride.still


def _walk(stride: Stride, phase: float) -> Pose:
    walked = _stepped(stride, phase, shifts=(0.25, 0.75, 0.0, 0.5), ground=0.63)
    return replace(walked, height=0.965 + 0.012 * cos(4 * pi * phase))


def _trot(stride: Stride, phase: float) -> Pose:
    trotted = _stepped(stride, phase, shifts=(0.0, 0.5, 0.5, 0.0), ground=0.44)
    return replace(trotted, height=0.965 - 0.03 * cos(4 * pi * phase), air=0.02)


def _gallop(stride: Stride, phase: float) -> Pose:
    lead = stride.lead
    run = _stepped(stride, phase, shifts=(0.45, 0.45 + lead, 0.0, lead), ground=0.3)
    return replace(
        run, height=0.97 + 0.03 * cos(2 * pi * phase), rise=stride.still.rise - 7 * sin(2 * pi * (phase - 0.1)), air=0.06
    )


def _jump(stride: Stride, phase: float) -> Pose:
    """Over an obstacle: take-off at phase 0, highest at 0.5, landing at 1."""
    over = sin(pi * phase)
    tuck, push = Foot(forward=-0.02, up=0.5, fold=62.0, flex=80.0), Foot(forward=-0.55, up=0.12, fold=-28.0, flex=40.0)
    land, gather = Foot(forward=0.34, up=0.02, fold=14.0), Foot(forward=-0.1, up=0.42, fold=44.0, flex=50.0)
    front = [_between(tuck, land, max(0.0, 2 * phase - 1)), _between(tuck, land, max(0.0, 2.1 * phase - 1.1))]
    back = [_between(push, gather, min(1.0, 1.2 * phase)), _between(push, gather, min(1.0, 1.1 * phase))]
    rise = 30 * cos(pi * phase) + stride.still.rise
    return replace(stride.still, feet=(front[0], front[1], back[0], back[1]), rise=rise, air=0.15 + 0.7 * over)


def _between(a: Foot, b: Foot, share: float) -> Foot:
    mixed = (x + share * (y - x) for x, y in ((a.forward, b.forward), (a.up, b.up), (a.fold, b.fold), (a.flex, b.flex)))
    forward, up, fold, flex = mixed
    return Foot(forward=forward, up=up, fold=fold, flex=flex)


def _lie(stride: Stride, phase: float) -> Pose:
    """On the chest, legs folded below the trunk; `legs` stretches the front legs of animals with paws."""
    front, back = (
        Foot(forward=0.0, up=0.03, out=0.03, fold=28.0, flex=75.0),
        Foot(forward=0.3, up=0.03, out=0.12, fold=62.0, flex=0.0),
    )
    return replace(stride.still, feet=(front, front, back, back), height=0.0, rise=stride.still.rise + 3)


def _sit(stride: Stride, phase: float) -> Pose:
    front, back = Foot(forward=-0.18, fold=4.0), Foot(forward=0.28, out=0.12, fold=60.0)
    still = stride.still
    neck = (still.neck[0] + 10, still.neck[1])
    return replace(still, feet=(front, front, back, back), height=0.72, rise=42 + 4 * still.rise, neck=neck)


_GAITS: dict[GaitName, Callable[[Stride, float], Pose]] = {
    "stand": _stand, "walk": _walk, "trot": _trot, "gallop": _gallop, "jump": _jump, "lie": _lie, "sit": _sit,
}  # fmt: skip
