"""Random poses of people: standing, walking, sitting, lying, crouching, sport, and anything that joints allow."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from poise.data.bodies.joints import LIMITS, NAMES
from poise.data.figures.sampling import weighted_choice

Random = np.random.Generator
Number = float | int
Span = tuple[Number, Number]
"""Mean and standard deviation, degrees."""
Angles = dict[str, float]
"""Angles by name, degrees (`joints.LIMITS`); those that are missing are 0."""


def random_posture(rng: Random) -> NDArray[np.float32]:
    """A random pose (a), radians, in the order of `joints.NAMES`, within the limits of the joints."""
    angles = weighted_choice(rng, POSTURES)(rng)
    for name, (low, high) in LIMITS.items():
        angles[name] = min(max(angles.get(name, 0.0), low), high)
    return np.radians([angles[name] for name in NAMES]).astype(np.float32)


def _between(rng: Random, **spans: Span) -> Angles:
    """Angles normally distributed: mean and deviation of each."""
    return {name: float(rng.normal(mean, deviation)) for name, (mean, deviation) in spans.items()}


def _trunk(rng: Random, *, lean: Number = 4, spread: Number = 7) -> Angles:
    """Spine and head."""
    loose = 1.0 if rng.random() < 0.75 else 2.2
    return _between(
        rng, spine_lean=(lean, spread), spine_bend=(0, 5 * loose), spine_turn=(0, 8 * loose),
        neck_lean=(6, 12), neck_bend=(0, 7 * loose), neck_turn=(0, 16 * loose),
    )  # fmt: skip


def _of(side: str, angles: Angles) -> Angles:
    return {f"{side}_{name}": value for name, value in angles.items()}


def _sides(rng: Random) -> tuple[str, str]:
    """Both sides in random order."""
    return ("left", "right") if rng.random() < 0.5 else ("right", "left")


def _arm(rng: Random, plane: Span, lift: Span, twist: Span,
         elbow: Span) -> Angles:  # fmt: skip
    found = _between(rng, plane=plane, twist=twist, elbow=elbow, turn=(0, 30), wrist=(0, 15))
    return found | {"raise": float(rng.normal(*lift)), "curl": float(abs(rng.normal(20, 22)))}


def _hanging(rng: Random) -> Angles:
    return _arm(rng, (15, 35), (10, 7), (15, 20), (18, 12))


def _holding(rng: Random) -> Angles:
    """The hand before the body: a telephone, a bag, a cup, a rein, a handlebar."""
    return _arm(rng, (75, 25), (30, 18), (25, 22), (80, 25))


def _at_head(rng: Random) -> Angles:
    return _arm(rng, (60, 28), (48, 22), (15, 28), (132, 12))


def _reaching(rng: Random) -> Angles:
    return _arm(rng, (70, 30), (80, 22), (10, 30), (25, 20))


def _raised(rng: Random) -> Angles:
    return _arm(rng, (40, 40), (140, 25), (0, 40), (30, 28))


def _sideways(rng: Random) -> Angles:
    return _arm(rng, (0, 18), (75, 25), (0, 40), (25, 22))


def _on_hip(rng: Random) -> Angles:
    return _arm(rng, (-10, 12), (42, 8), (62, 10), (95, 12))


def _behind(rng: Random) -> Angles:
    return _arm(rng, (-35, 12), (35, 14), (40, 25), (40, 25))


def _any_arm(rng: Random) -> Angles:
    found = {name.removeprefix("left_"): float(rng.uniform(*LIMITS[name])) for name in NAMES if name.startswith("left_")}
    return {name: found[name] for name in ("plane", "raise", "twist", "elbow", "turn", "wrist", "curl")}


ARMS: Final = (
    (_hanging, 0.28), (_holding, 0.27), (_at_head, 0.1), (_reaching, 0.1), (_raised, 0.07), (_sideways, 0.05), (_on_hip, 0.05),
    (_behind, 0.03), (_any_arm, 0.05),
)  # fmt: skip
"""What an arm does, and how often."""


def _arms(rng: Random) -> Angles:
    """Both arms: alike, or each for itself."""
    first, second = _sides(rng)
    one = weighted_choice(rng, ARMS)
    other = one if rng.random() < 0.55 else weighted_choice(rng, ARMS)
    return _of(first, one(rng)) | _of(second, other(rng))


def _standing_leg(rng: Random) -> Angles:
    return _between(rng, flex=(3, 6), spread=(2, 5), rotate=(8, 8), knee=(5, 5), ankle=(0, 4))


def _standing(rng: Random) -> Angles:
    legs = {name: value for side in ("left", "right") for name, value in _of(side, _standing_leg(rng)).items()}
    return _trunk(rng) | _arms(rng) | legs


def _step(rng: Random, phase: float, *, stride: Number, lift: Number) -> Angles:
    """A leg in a phase of its stride, 0 to 1: the foot is set down at 0, leaves the ground at about 0.6."""
    swing = stride * np.cos(2 * np.pi * phase)
    knee = 6 + lift * max(0.0, np.sin(2 * np.pi * (phase - 0.5))) ** 1.3
    found = _between(rng, spread=(1, 3), rotate=(5, 6), ankle=(0, 8))
    return found | {"flex": float(swing + 0.12 * lift + rng.normal(0, 3)), "knee": float(knee + abs(rng.normal(0, 4)))}


def _going(rng: Random, *, stride: Number, lift: Number, lean: Number, elbow: Number) -> Angles:
    phase, (first, second) = rng.random(), _sides(rng)
    legs = _of(first, _step(rng, phase, stride=stride, lift=lift)) | _of(
        second, _step(rng, (phase + 0.5) % 1, stride=stride, lift=lift)
    )
    swing = 0.9 * stride * np.cos(2 * np.pi * phase)
    arms: Angles = {}
    for side, angle in ((first, -swing), (second, swing)):
        forwards = _arm(rng, (85 if angle > 0 else -95, 10), (abs(angle) + 6, 5), (10, 15), (elbow, 10))
        arms |= _of(side, forwards)
    return _trunk(rng, lean=lean) | (arms if rng.random() < 0.7 else _arms(rng)) | legs


def _walking(rng: Random) -> Angles:
    return _going(rng, stride=rng.uniform(12, 30), lift=rng.uniform(35, 60), lean=4, elbow=22)


def _running(rng: Random) -> Angles:
    return _going(rng, stride=rng.uniform(28, 55), lift=rng.uniform(70, 115), lean=12, elbow=85)


def _sitting(rng: Random) -> Angles:
    """On a chair, a saddle or a bench; legs alike, stretched, or crossed."""
    both = _between(rng, flex=(82, 12), spread=(9, 9), rotate=(5, 12), knee=(82, 22), ankle=(0, 9))
    legs = {f"{s}_{n}": v + float(rng.normal(0, 5)) for s in ("left", "right") for n, v in both.items()}
    if rng.random() < 0.15:
        legs |= _of(_sides(rng)[0], _between(rng, flex=(98, 6), spread=(-14, 4), rotate=(18, 8), knee=(80, 12)))
    return _trunk(rng, lean=float(rng.choice((0.0, 12.0, 30.0))), spread=9) | _arms(rng) | legs


def _on_ground(rng: Random) -> Angles:
    """Sitting on the ground: legs stretched, drawn up or crossed."""
    flex, spread, rotate, knee = ((85, 14, 6, 8), (115, 8, 4, 115), (92, 42, 44, 125))[int(rng.integers(3))]
    both = _between(rng, flex=(flex, 7), spread=(spread, 7), rotate=(rotate, 6), knee=(knee, 9), ankle=(-12, 12))
    legs = {f"{s}_{n}": v + float(rng.normal(0, 5)) for s in ("left", "right") for n, v in both.items()}
    return _trunk(rng, lean=18, spread=14) | _arms(rng) | legs


def _crouching(rng: Random) -> Angles:
    """Squatting, kneeling on one knee, or bent over with slightly bent knees (a catcher, a skier, a gardener)."""
    flex, knee, lean = ((110, 125, 18), (60, 75, 30), (38, 42, 34))[int(rng.integers(3))]
    both = _between(rng, flex=(flex, 10), spread=(14, 9), rotate=(10, 9), knee=(knee, 12), ankle=(14, 6))
    legs = {f"{s}_{n}": v + float(rng.normal(0, 6)) for s in ("left", "right") for n, v in both.items()}
    if rng.random() < 0.25:
        legs |= _of(_sides(rng)[0], _between(rng, flex=(5, 8), knee=(95, 10), ankle=(-20, 8)))
    return _trunk(rng, lean=lean, spread=10) | _arms(rng) | legs | {"root_lean": float(rng.normal(12, 8))}


def _lying(rng: Random) -> Angles:
    """On the back, the belly or a side; legs stretched or drawn up."""
    drawn = rng.uniform(0, 90) if rng.random() < 0.5 else 5.0
    legs = {
        f"{side}_{name}": value
        for side in ("left", "right")
        for name, value in _between(rng, flex=(0.8 * drawn, 14), spread=(7, 8), rotate=(10, 12), knee=(drawn, 12)).items()
    }
    down = {"root_lean": float(rng.choice((-90.0, -90.0, 90.0)))} if rng.random() < 0.7 else {"root_bend": 90.0}
    tilted = {name: value + float(rng.normal(0, 9)) for name, value in down.items()}
    return _trunk(rng, lean=0) | _arms(rng) | legs | tilted


def _sport(rng: Random) -> Angles:
    """A lunge, a kick or a wide stance, with arms that strike, throw, reach or keep balance; the trunk turned and bent."""
    first, second = _sides(rng)
    kind = int(rng.integers(3))
    if kind == 0:
        legs = _of(first, _between(rng, flex=(60, 18), spread=(12, 10), knee=(65, 20), ankle=(5, 8)))
        legs |= _of(second, _between(rng, flex=(-12, 10), spread=(12, 10), knee=(25, 20), ankle=(-10, 12)))
    elif kind == 1:
        legs = _of(first, _between(rng, flex=(60, 35), spread=(20, 18), knee=(35, 30), ankle=(-20, 15)))
        legs |= _of(second, _standing_leg(rng))
    else:
        legs = {n: v for side in ("left", "right") for n, v in _of(side, _wide(rng)).items()}
    trunk = _between(rng, spine_lean=(18, 16), spine_bend=(0, 14), spine_turn=(0, 22), neck_lean=(0, 16), neck_turn=(0, 28))
    return trunk | _swing(rng) | legs | _between(rng, root_lean=(6, 14), root_bend=(0, 10))


def _wide(rng: Random) -> Angles:
    return _between(rng, flex=(30, 16), spread=(22, 9), rotate=(14, 10), knee=(35, 18), ankle=(8, 8))


def _swing(rng: Random) -> Angles:
    """Both hands together as on a bat or a club, or two arms for themselves."""
    if rng.random() < 0.4:
        first, second = _sides(rng)
        lift = rng.uniform(25, 130)
        near = _arm(rng, (35, 15), (lift, 8), (20, 15), (85, 25))
        far = _arm(rng, (120, 8), (lift, 8), (20, 15), (40, 20))
        return _of(first, near) | _of(second, far)
    wide = ((_raised, 0.3), (_sideways, 0.25), (_reaching, 0.2), (_any_arm, 0.15), (_holding, 0.1))
    return _of("left", weighted_choice(rng, wide)(rng)) | _of("right", weighted_choice(rng, wide)(rng))


def _jumping(rng: Random) -> Angles:
    tuck = rng.uniform(0, 1)
    legs = {
        f"{side}_{name}": value
        for side in ("left", "right")
        for name, value in _between(
            rng, flex=(80 * tuck, 22), spread=(12, 12), knee=(90 * tuck + 10, 28), ankle=(-22, 12)
        ).items()
    }
    return _trunk(rng, lean=10, spread=16) | _swing(rng) | legs | _between(rng, root_lean=(0, 22), root_bend=(0, 18))


def _anything(rng: Random) -> Angles:
    """Any angles within the limits, nearer to their middle, in any direction: gymnastics, falls, dance."""
    found: Angles = {}
    for name, (low, high) in LIMITS.items():
        if not name.startswith("root"):
            found[name] = float(rng.uniform(low, high)) * float(rng.uniform(0.3, 1.0))
    return found | _between(rng, root_lean=(0, 60), root_bend=(0, 40))


POSTURES: Final[tuple[tuple[Callable[[Random], Angles], float], ...]] = (
    (_standing, 0.27), (_walking, 0.13), (_running, 0.06), (_sitting, 0.19), (_on_ground, 0.05), (_crouching, 0.07),
    (_lying, 0.04), (_sport, 0.11), (_jumping, 0.04), (_anything, 0.04),
)  # fmt: skip
"""What people do, and how often."""
