"""One person: a shape, a pose and a look, as a mesh in the world with its keypoints."""

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from poise.data.bodies.joints import Rig
from poise.data.bodies.kernels import normals
from poise.data.bodies.model import body_model
from poise.data.bodies.wear import Look
from poise.machine import compiled

Floats = NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Person:
    """A mesh in the world. Axes: z up; the ground is at z = 0.

    Attributes:
        vertices: Vertices (v 3), metres.
        rest: The same vertices in the rest pose (v 3), by which textures are laid on.
        directions: Normals (v 3).
        joints: Keypoints (k 3), metres, in the order of the body model.
        look: Its surface.
    """

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
        return Person(self.vertices + shift, self.rest, self.directions, self.joints + shift, self.look)


@cache
def rig() -> Rig:
    """The rig of the body model."""
    return Rig.of(body_model())


def person(phenotype: dict[str, float], angles: Floats, look: Look) -> Person:
    """A person whose lowest point touches the ground.

    Args:
        phenotype: Shape (`BodyModel.shaped`).
        angles: Pose (a), radians (`joints.NAMES`).
        look: Surface.
    """
    model = body_model()
    rest, heads = model.shaped(phenotype)
    with torch.no_grad():
        found = rig().transforms(torch.from_numpy(angles)[None], torch.from_numpy(heads)[None])
    transforms = np.ascontiguousarray(found[0].numpy())
    joints = model.regressor @ model.posed(rest, transforms)
    outward = np.empty_like(rest)
    compiled(normals)(rest, model.faces, outward)
    vertices = model.posed(rest + look.thickness[:, None] * outward, transforms)
    directions = np.empty_like(vertices)
    compiled(normals)(vertices, model.faces, directions)
    made = Person(vertices, rest, directions, joints.astype(np.float32), look)
    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    return made.moved(np.array((-centre[0], -centre[1], -vertices[:, 2].min()), np.float32))
