"""One person: a shape, a pose and a look, as a mesh in the world with its keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from poise.data.bodies.body_poses import BodyPoses
from poise.data.bodies.extras import Extra, Frame, random_extras
from poise.data.bodies.joints import Rig
from poise.data.bodies.kernels import Floats, Whole, normals
from poise.data.bodies.model import body_model, skinned
from poise.data.bodies.postures import random_posture
from poise.data.bodies.wear import MATERIALS, Look, random_look, random_phenotype
from poise.machine import compiled

FITTED = 0.6
"""Share of people whose pose is one of the fitted ones, where there are some."""


@final
@dataclass(frozen=True, eq=False)
class Person:
    """A mesh in the world: the body, then what is worn beside it. Axes: z up; the ground is at z = 0.

    Attributes:
        faces: Triangles (f 3), those of the body first.
        material: Material of each triangle (f), an index into `wear.MATERIALS`.
        extras: What is worn beside the body, in the order of their triangles.
        vertices: Vertices (v 3), metres.
        rest: Vertices in the rest pose (v 3), metres, by which textures are laid on.
        directions: Normals (v 3).
        joints: Keypoints (k 3), metres, in the order of the body model.
        look: Its surface.
    """

    faces: Whole
    material: Whole
    extras: tuple[Extra, ...]
    vertices: Floats
    rest: Floats
    directions: Floats
    joints: Floats
    look: Look

    def moved(self, shift: Floats) -> "Person":
        """The person elsewhere.

        Args:
            shift: How far (3), metres.
        """
        return replace(self, vertices=self.vertices + shift, joints=self.joints + shift)

    def showing(self, kind: str, body: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which triangles (f) do not hide a keypoint that lies behind them.

        Args:
            kind: Kind of the keypoint, such as "hip".
            body: Which triangles of the body do not.
        """
        return np.concatenate((body, *(np.full(len(extra.faces), kind in extra.shows) for extra in self.extras)))


@cache
def rig() -> Rig:
    """The rig of the body model."""
    return Rig.of(body_model())


def random_person(rng: np.random.Generator, *, poses: BodyPoses | None = None) -> Person:
    """A random person.

    Args:
        rng: Random numbers.
        poses: Poses that `FITTED` of the people have; the others, and all without it, have those of `postures`.
    """
    phenotype = random_phenotype(rng)
    angles = poses.draw(rng) if poses is not None and rng.random() < FITTED else random_posture(rng)
    return person(phenotype, angles, random_look(rng, body_model()), rng=rng)


def person(phenotype: dict[str, float], angles: Floats, look: Look, *, rng: np.random.Generator | None = None) -> Person:
    """A person whose lowest point touches the ground.

    Args:
        phenotype: Shape (`BodyModel.shaped`).
        angles: Pose (a), radians (`joints.NAMES`).
        look: Surface.
        rng: Random numbers of what is worn beside the body; None for nothing.
    """
    model = body_model()
    rest, heads = model.shaped(phenotype)
    with torch.no_grad():
        found = rig().transforms(torch.from_numpy(angles)[None], torch.from_numpy(heads)[None])
    transforms = np.ascontiguousarray(found[0].numpy())
    joints = model.regressor @ model.posed(rest, transforms)
    frame = Frame(model, rest, heads)
    worn = random_extras(rng, frame, feminine=phenotype["gender"], hat=look.hat) if rng is not None else []
    clothed = rest + look.thickness[:, None] * _normals(rest, model.faces)
    posed = [skinned(e.rest, transforms, bones=e.bones, weights=e.weights) for e in worn]
    vertices = np.concatenate((model.posed(clothed, transforms), *posed))
    faces = _joined([model.faces, *(e.faces for e in worn)], [len(rest), *(len(e.rest) for e in worn)])
    material = [look.material, *(np.full(len(e.faces), MATERIALS.index(e.material), np.int32) for e in worn)]
    made = Person(
        faces=faces,
        material=np.concatenate(material),
        extras=tuple(worn),
        vertices=vertices,
        rest=np.concatenate((rest, *(e.rest for e in worn))),
        directions=_normals(vertices, faces),
        joints=joints.astype(np.float32),
        look=look,
    )
    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    return made.moved(np.array((-centre[0], -centre[1], -vertices[:, 2].min()), np.float32))


def _joined(faces: Sequence[Whole], counts: Sequence[int]) -> Whole:
    """Triangles of several meshes as those of one; `counts` are their numbers of vertices."""
    starts = np.cumsum([0, *counts[:-1]])
    return np.concatenate([own + start for own, start in zip(faces, starts, strict=True)]).astype(np.int32)


def _normals(vertices: Floats, faces: Whole) -> Floats:
    out = np.empty_like(vertices)
    compiled(normals)(vertices, faces, out)
    return out
