"""Joint angles of a body, their limits, and the transforms of bones that they give.

All functions are of PyTorch, batched and differentiable, so that poses can also be fitted to labels. Angles are radians; at
zero the person stands upright with hanging arms. For arms and legs a positive angle means the same on both sides.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import torch
from torch import Tensor

from poise.data.bodies.model import BodyModel

_ARM: Final = {
    "plane": (-50.0, 130.0), "raise": (-5.0, 175.0), "twist": (-80.0, 80.0), "elbow": (2.0, 148.0), "turn": (-80.0, 80.0),
    "wrist": (-60.0, 60.0), "curl": (0.0, 80.0),
}  # fmt: skip
_LEG: Final = {
    "flex": (-28.0, 125.0), "spread": (-18.0, 60.0), "rotate": (-30.0, 45.0), "knee": (0.0, 145.0), "ankle": (-45.0, 25.0),
}  # fmt: skip
LIMITS: Final[dict[str, tuple[float, float]]] = {
    "root_lean": (-360.0, 360.0), "root_bend": (-360.0, 360.0), "root_turn": (-360.0, 360.0),
    "spine_lean": (-25.0, 75.0), "spine_bend": (-32.0, 32.0), "spine_turn": (-42.0, 42.0),
    "neck_lean": (-45.0, 50.0), "neck_bend": (-35.0, 35.0), "neck_turn": (-70.0, 70.0),
    **{f"{side}_{name}": limits for side in ("left", "right") for name, limits in _ARM.items()},
    **{f"{side}_{name}": limits for side in ("left", "right") for name, limits in _LEG.items()},
}  # fmt: skip
"""Least and greatest value of each angle, degrees.

`lean` is forwards, `bend` and `turn` to the person's left. An arm is raised by `raise` in a `plane` (0 sideways, 90 forwards),
then `twist`ed inwards; `elbow`, `wrist` and `curl` (fingers) bend, `turn` turns the hand inwards. A leg is `flex`ed forwards,
`spread` sideways and `rotate`d outwards; `knee` bends, `ankle` lifts the toes.
"""
NAMES: Final = tuple(LIMITS)
"""Names of the angles, in the order of a pose's vector."""


@final
@dataclass(frozen=True, eq=False)
class Rig:
    """What the angles turn.

    Attributes:
        model: The body.
        hang: How far an arm of the rest pose is raised sideways, radians.
        elbow: How far an elbow of the rest pose is bent, radians.
        moved: Bones that turn, in order, parents first.
    """

    model: BodyModel
    hang: float
    elbow: float

    @classmethod
    def of(cls, model: BodyModel) -> "Rig":
        """The rig of a body model."""
        shoulder, elbow, wrist = (model.heads[model.bone(name)] for name in ("upperarm01.L", "lowerarm01.L", "wrist.L"))
        upper, lower = elbow - shoulder, wrist - elbow
        along = float(lower @ upper) / math.sqrt(float(upper @ upper))
        across = math.sqrt(max(float(lower @ lower) - along**2, 0.0))
        return cls(model, math.atan2(float(upper[0]), -float(upper[2])), math.atan2(across, along))

    def transforms(self, angles: Tensor, heads: Tensor) -> Tensor:
        """Transforms (n b 3 4) that bring vertices of the rest pose to the pose.

        Args:
            angles: Poses (n a), radians, in the order of `NAMES`.
            heads: Where bones begin in the rest pose (n b 3).
        """
        turns = self.turns(angles)
        found: list[tuple[Tensor, Tensor]] = []
        for bone, parent in enumerate(self.model.parents):
            turn = turns.get(self.model.names[bone])
            if turn is None:
                found.append(found[parent])
                continue
            head = heads[:, bone, :, None]
            shift = head - turn @ head
            if parent >= 0:
                above, moved = found[parent]
                turn, shift = above @ turn, above @ shift + moved
            found.append((turn, shift))
        return torch.cat((torch.stack([f[0] for f in found], 1), torch.stack([f[1] for f in found], 1)), dim=3)

    def turns(self, angles: Tensor) -> dict[str, Tensor]:
        """Rotations (n 3 3) of the bones that turn, by name, in the axes of the rest pose."""
        a = dict(zip(NAMES, angles.unbind(dim=1), strict=True))
        turns = {"root": about("z", a["root_turn"]) @ about("y", a["root_bend"]) @ about("x", a["root_lean"])}
        spine = _bent(a, "spine", share=0.2)
        turns |= {f"spine0{k}": spine for k in range(1, 6)}
        neck = _bent(a, "neck", share=0.25)
        turns |= dict.fromkeys(("neck01", "neck02", "neck03", "head"), neck)
        for side, letter, sign in (("left", "L", 1.0), ("right", "R", -1.0)):
            own = {name.removeprefix(f"{side}_"): value for name, value in a.items() if name.startswith(side)}
            turns |= {f"{bone}.{letter}": turn for bone, turn in (self._arm(own, sign) | _leg(own, sign)).items()}
        return turns

    def _arm(self, a: dict[str, Tensor], sign: float) -> dict[str, Tensor]:
        lifted = 0.25 * torch.relu(a["raise"] - math.radians(40))  # the shoulder blade takes its part of a raised arm
        plane, raised = about("z", -sign * a["plane"]), about("y", -sign * (a["raise"] - lifted))
        swung = plane @ raised @ plane.mT @ about("z", -sign * a["twist"])
        rest = torch.full_like(a["raise"], self.hang)
        bend = about("x", self.elbow - a["elbow"])
        fore = about("y", -sign * rest)
        finger = fore @ about("y", sign * a["curl"]) @ fore.mT
        curls = {f"finger{f}-{k}": finger for f in range(2, 6) for k in range(1, 4)}
        return {
            "clavicle": about("y", -sign * lifted),
            "upperarm01": swung @ about("y", sign * rest),
            "lowerarm01": fore @ bend @ fore.mT,
            "lowerarm02": fore @ _about_forearm(self.elbow, -sign * a["turn"]) @ fore.mT,
            "wrist": fore @ about("x", -a["wrist"]) @ fore.mT,
        } | curls


def _about_forearm(elbow: float, angle: Tensor) -> Tensor:
    """A turn about the forearm of a hanging arm of the rest pose."""
    tilt = about("x", torch.full_like(angle, -elbow))
    return tilt @ about("z", angle) @ tilt.mT


def _leg(a: dict[str, Tensor], sign: float) -> dict[str, Tensor]:
    thigh = about("x", -a["flex"]) @ about("y", -sign * a["spread"]) @ about("z", sign * a["rotate"])
    return {"upperleg01": thigh, "lowerleg01": about("x", a["knee"]), "foot": about("x", -a["ankle"])}


def _bent(a: dict[str, Tensor], part: str, *, share: float) -> Tensor:
    lean, bend, turn = (share * a[f"{part}_{name}"] for name in ("lean", "bend", "turn"))
    return about("z", turn) @ about("y", bend) @ about("x", lean)


def about(axis: str, angle: Tensor) -> Tensor:
    """Rotations (n 3 3) about an axis of the body ("x", "y" or "z") by angles (n), radians."""
    c, s = torch.cos(angle), torch.sin(angle)
    o, i = torch.zeros_like(c), torch.ones_like(c)
    rows = {"x": (i, o, o, o, c, -s, o, s, c), "y": (c, o, s, o, i, o, -s, o, c), "z": (c, -s, o, s, c, o, o, o, i)}[axis]
    return torch.stack(rows, dim=-1).reshape(*angle.shape, 3, 3)


@cache
def limits() -> Tensor:
    """Least and greatest value of each angle (2 a), radians."""
    return torch.deg2rad(torch.tensor(list(LIMITS.values()), dtype=torch.float32).T.contiguous())
