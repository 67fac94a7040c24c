"""Regions of the body's mesh: limbs and how far along them, trunk, scalp, eyes, brows and lips."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from poise.data.bodies.model import BodyModel, body_model

PARTS: Final = ("head", "neck", "trunk", "arm", "hand", "leg", "foot", "eye")
"""Parts of the body; arms and legs are told apart by `Regions.side`."""
_STARTS: Final = (
    ("eye", "eye"), ("head", "head"), ("neck", "neck"), ("upperarm", "arm"), ("lowerarm", "arm"), ("wrist", "hand"),
    ("finger", "hand"), ("metacarpal", "hand"), ("upperleg", "leg"), ("lowerleg", "leg"), ("foot", "foot"), ("toe", "foot"),
)  # fmt: skip


@final
@dataclass(frozen=True, eq=False)
class Regions:
    """Where each triangle of the mesh is on the body.

    Attributes:
        part: Part of each triangle (f), an index into `PARTS`.
        side: Side of each triangle (f): 1 left, -1 right.
        along: How far along an arm or a leg (f): 0 at its root, 1 at elbow or knee, 2 at wrist or ankle.
        height: Height on the trunk (f): 0 at the hips, 1 at the shoulders.
        centre: Centre in the mean body's rest pose (f 3), metres; of the head, from the middle between the eyes.
        width: Distance between the eyes of the mean body, metres.
    """

    part: NDArray[np.int64]
    side: NDArray[np.int64]
    along: NDArray[np.float32]
    height: NDArray[np.float32]
    centre: NDArray[np.float32]
    width: float

    def is_part(self, *names: str) -> NDArray[np.bool_]:
        """Which triangles (f) are of these parts."""
        found = np.zeros(len(self.part), np.bool_)
        for name in names:
            found |= self.part == PARTS.index(name)
        return found


def _part(bone: str) -> int:
    return PARTS.index(next((part for start, part in _STARTS if bone.startswith(start)), "trunk"))


@cache
def regions() -> Regions:
    """The regions of the body model's mesh."""
    model = body_model()
    parts = np.array([_part(name) for name in model.names])
    part = parts[model.bones[model.faces[:, 0], 0]]
    centre = model.template[model.faces].mean(axis=1)
    along = np.zeros(len(part), np.float32)
    for name, joints in (("arm", ("upperarm01", "lowerarm01", "wrist")), ("leg", ("upperleg01", "lowerleg01", "foot"))):
        of = part == PARTS.index(name)
        along[of] = _along(centre[of], np.stack([model.heads[model.bone(f"{joint}.L")] for joint in joints]))
    hips, shoulders = (float(model.heads[model.bone(name), 2]) for name in ("upperleg01.L", "upperarm01.L"))
    eyes = np.stack([model.heads[model.bone(name)] for name in ("eye.L", "eye.R")])
    near = centre - eyes.mean(axis=0) * (np.isin(part, (PARTS.index("head"), PARTS.index("eye"))))[:, None]
    height = (centre[:, 2] - hips) / (shoulders - hips)
    side = np.where(centre[:, 0] >= 0, 1, -1)
    return Regions(part, side, along, height.astype(np.float32), near.astype(np.float32), float(np.ptp(eyes[:, 0])))


def _along(points: NDArray[np.float32], joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far along a limb points (n 3) are whose joints (3 3), on the left, are given."""
    mirrored = points * np.where(points[:, :1] < 0, (-1, 1, 1), (1, 1, 1))
    shares = []
    for a, b in pairwise(joints):
        line = b - a
        shares.append((mirrored - a) @ line / (line @ line))
    found: NDArray[np.float32] = np.where(shares[0] < 1, shares[0], 1 + np.clip(shares[1], 0, 1)).astype(np.float32)
    return found


def keypoint_parts(model: BodyModel) -> list[NDArray[np.bool_]]:
    """Which triangles (f) show each keypoint of the model when they lie before it."""
    where = regions()
    return [_shows(name, where) for name in model.keypoints]


def _shows(name: str, where: Regions) -> NDArray[np.bool_]:
    middle = {"head": ("head",), "neck": ("neck", "trunk"), "hip": ("trunk",)}
    if name in middle:
        return where.is_part(*middle[name])
    side, _, joint = name.rpartition("_") if name == "nose" else name.partition("_")
    if joint in ("nose", "eye", "ear"):
        return where.is_part("head", "eye", "neck")
    own = where.side == (1 if side == "left" else -1)
    low, high = {"shoulder": (-9.0, 0.6), "elbow": (0.5, 1.5), "wrist": (1.5, 9.0)}.get(joint, (9.0, -9.0))
    arm = where.is_part("arm") & (where.along >= low) & (where.along <= high)
    low, high = {"hip": (-9.0, 0.6), "knee": (0.5, 1.5), "ankle": (1.5, 9.0)}.get(joint, (9.0, -9.0))
    leg = where.is_part("leg") & (where.along >= low) & (where.along <= high)
    more = {"shoulder": ("trunk", "neck"), "wrist": ("hand",), "hip": ("trunk",), "elbow": (), "knee": (), "ankle": ("foot",)}
    shows: NDArray[np.bool_] = (arm | leg | where.is_part(*more.get(joint, ("foot",)))) & own
    return shows
