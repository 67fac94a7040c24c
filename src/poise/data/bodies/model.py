"""The parametric body `anny` (Apache-2.0, shapes CC0): its mesh, its shapes, and how bones move it."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from poise.data.bodies.kernels import Floats, Whole, skin
from poise.errors import MissingExtra
from poise.machine import compiled

WEIGHTS = 5
"""Most bones that move one vertex; the weights of others, below 0.02, are left out."""


@final
@dataclass(frozen=True, eq=False)
class BodyModel:
    """A body of any shape and pose. Axes: x to the person's left, y backwards, z up; metres.

    Attributes:
        template: Vertices of the mean body (v 3).
        shapes: What each shape coefficient adds to the vertices (s v 3).
        heads: Where the bones of the mean body begin (b 3); each turns about this point.
        head_shapes: What each shape coefficient adds to them (s b 3).
        bones: Bones that move each vertex (v `WEIGHTS`).
        weights: Their weights (v `WEIGHTS`).
        faces: Triangles (f 3), indices of vertices.
        uv: Texture coordinates of the corners of each triangle (f 3 2), 0 to 1.
        parents: Parent of each bone (b), -1 for the root; parents come first.
        names: Names of the bones.
        keypoints: Names of the keypoints.
        regressor: Keypoints as weighted means of vertices (k v).
        anny: The model itself.
    """

    template: Floats
    shapes: Floats
    heads: Floats
    head_shapes: Floats
    bones: Whole
    weights: Floats
    faces: Whole
    uv: Floats
    parents: tuple[int, ...]
    names: tuple[str, ...]
    keypoints: tuple[str, ...]
    regressor: Floats
    anny: Any

    def shaped(self, phenotype: dict[str, float]) -> tuple[Floats, Floats]:
        """Vertices (v 3) and bone heads (b 3) of a body in the rest pose.

        Args:
            phenotype: Gender, age, muscle, weight, height and proportions, each 0 to 1.
        """
        import torch

        given = {name: torch.tensor([value], dtype=torch.float32) for name, value in phenotype.items()}
        with torch.no_grad():
            found = self.anny.get_phenotype_blendshape_coefficients(**given)
        row: Floats = found[0].numpy()
        rest = self.template + (row @ self.shapes.reshape(len(row), -1)).reshape(-1, 3)
        heads = self.heads + (row @ self.head_shapes.reshape(len(row), -1)).reshape(-1, 3)
        return rest, heads

    def posed(self, rest: Floats, transforms: Floats) -> Floats:
        """Vertices (v 3) of the body moved by bones.

        Args:
            rest: Vertices of the rest pose (v 3).
            transforms: Transform of each bone (b 3 4).
        """
        return skinned(rest, transforms, bones=self.bones, weights=self.weights)

    def bone(self, name: str) -> int:
        """The index of a bone."""
        return self.names.index(name)


def skinned(rest: Floats, transforms: Floats, *, bones: Whole, weights: Floats) -> Floats:
    """Vertices (v 3) moved by bones.

    Args:
        rest: Vertices of the rest pose (v 3).
        transforms: Transform of each bone (b 3 4).
        bones: Bones that move each vertex (v w).
        weights: Their weights (v w).
    """
    out = np.empty_like(rest)
    compiled(skin)(rest, transforms, bones, weights, out)
    return out


@cache
def body_model() -> BodyModel:
    """The body model; its first use on a machine takes some minutes, in which `anny` writes its cache (0.8 GB).

    Raises:
        MissingExtra: `anny` is not installed.
    """
    import torch

    try:
        import anny
    except ImportError as error:
        raise MissingExtra(f"rendered people need the package anny ({error}): pip install 'poise[bodies]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = anny.Anny(skinning_method="lbs").to(dtype=torch.float32)
        regressor = anny.KeypointsRegressor.coco(model)
    names, rows = _more_keypoints(model, tuple(regressor.labels), regressor.regression_weights.numpy())
    weights, bones = model.vertex_bone_weights.sort(dim=1, descending=True)
    kept = weights[:, :WEIGHTS] / weights[:, :WEIGHTS].sum(dim=1, keepdim=True)
    return BodyModel(
        template=model.template_vertices.numpy(),
        shapes=model.blendshapes.numpy(),
        heads=model.template_bone_heads.numpy(),
        head_shapes=model.bone_heads_blendshapes.numpy(),
        bones=model.vertex_bone_indices.gather(1, bones)[:, :WEIGHTS].numpy().astype(np.int32),
        weights=np.ascontiguousarray(kept.numpy()),
        faces=model.faces.numpy().astype(np.int32),
        uv=model.texture_coordinates[model.face_texture_coordinate_indices].numpy(),
        parents=tuple(model.bone_parents),
        names=tuple(model.bone_labels),
        keypoints=names,
        regressor=rows,
        anny=model,
    )


def _more_keypoints(model: Any, names: tuple[str, ...], rows: Floats) -> tuple[tuple[str, ...], Floats]:
    """Names and regressors with those of the top of the head, the neck between the shoulders and the middle of the hips."""
    template = model.template_vertices.numpy()
    more = np.zeros((3, len(template)), np.float32)
    more[0, template[:, 2].argmax()] = 1
    neck = model.template_bone_heads.numpy()[list(model.bone_labels).index("neck01")]
    more[1, np.linalg.norm(template - neck, axis=1).argsort()[:60]] = 1 / 60
    more[2] = 0.5 * (rows[names.index("left_hip")] + rows[names.index("right_hip")])
    return (*names, "head", "neck", "hip"), np.concatenate((rows, more))
