"""What people look like: shape, skin, hair, clothes and shoes, as materials of triangles and the thickness of cloth."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from poise.data.bodies.model import BodyModel
from poise.data.bodies.regions import Regions, regions
from poise.data.figures import texture
from poise.data.figures.sampling import weighted_choice

MATERIALS: Final = ("skin", "hair", "top", "bottom", "shoes", "white", "iris", "lips", "brow", "socks", "hat", "dark", "inner")
Random = np.random.Generator


@final
@dataclass(frozen=True, eq=False)
class Look:
    """The surface of one person.

    Attributes:
        material: Material of each triangle (f), an index into `MATERIALS`.
        thickness: How far each vertex lies above the skin (v), metres.
        tiles: Texture of each material (m s s 3), 0 to 255.
        density: Pixels of the texture per metre (m).
        rough: How much folds change the light (m).
        hat: Whether there is a hat.
    """

    material: NDArray[np.int32]
    thickness: NDArray[np.float32]
    tiles: NDArray[np.float32]
    density: NDArray[np.float32]
    rough: NDArray[np.float32]
    hat: bool


def random_phenotype(rng: Random) -> dict[str, float]:
    """A random shape: mostly adults, but also babies, children and old people."""
    age = weighted_choice(rng, (((0.55, 0.9), 0.74), ((0.9, 1.0), 0.08), ((0.22, 0.55), 0.14), ((0.02, 0.22), 0.04)))
    found = {
        "gender": rng.beta(0.45, 0.45),
        "age": rng.uniform(*age),
        "muscle": rng.normal(0.5, 0.2),
        "weight": rng.normal(0.48, 0.2),
        "height": rng.normal(0.5, 0.18),
        "proportions": rng.uniform(0.2, 1.0),
    }
    return {name: float(np.clip(value, 0.02, 0.98)) for name, value in found.items()}


def random_look(rng: Random, model: BodyModel) -> Look:
    """A random surface of a person.

    Args:
        rng: Random numbers.
        model: The body.
    """
    where = regions()
    material = np.zeros(len(where.part), np.int32)
    lift = np.zeros(len(where.part), np.float32)
    for name, covered, thick in _layers(rng, where):
        material[covered] = MATERIALS.index(name)
        lift[covered] = thick
    _paint_face(rng, material, where)
    tiles, density, rough = _textures(rng)
    hat = bool((material == MATERIALS.index("hat")).any())
    return Look(material, _smooth(model, lift), tiles, density, rough, hat)


def _layers(rng: Random, where: Regions) -> list[tuple[str, NDArray[np.bool_], float]]:
    """Material, triangles and thickness (metres) of what covers the skin, from the inside to the outside."""
    sleeve = float(weighted_choice(rng, ((-0.1, 0.14), (rng.uniform(0.3, 0.75), 0.42), (rng.uniform(1.6, 2.0), 0.44))))
    hem = float(weighted_choice(rng, ((rng.uniform(0.2, 0.8), 0.28), (rng.uniform(1.1, 1.6), 0.06), (1.97, 0.66))))
    waist, neck = rng.uniform(0.02, 0.3), rng.uniform(0.98, 1.15)
    loose = rng.uniform(0.002, 0.02)
    arms, legs, trunk = where.is_part("arm"), where.is_part("leg"), where.is_part("trunk", "neck")
    bottom = (legs & (where.along < hem)) | (trunk & (where.height < rng.uniform(0.22, 0.32)))
    tucked = rng.random() < 0.3
    top = (arms & (where.along < sleeve)) | (trunk & (where.height > waist - (0.2 * (not tucked))) & (where.height < neck))
    found = [("socks", legs & (where.along > rng.uniform(1.5, 1.9)), 0.003)] if rng.random() < 0.5 else []
    if not tucked:
        top |= legs & (where.along < rng.uniform(-0.1, 0.25))
    bare = rng.random() < 0.06
    trousers = ("bottom", bottom, float(rng.uniform(0.002, 0.018)))
    shirt = [] if bare else [("top", top, loose)]
    if rng.random() < 0.22:  # an open jacket over a shirt
        gap = (np.abs(where.centre[:, 0]) < rng.uniform(0.015, 0.07)) & (where.centre[:, 1] < -0.02)
        shirt = [("inner", top, 0.003), ("top", top & ~(gap & trunk), loose)]
    found += [*shirt, trousers] if tucked else [trousers, *shirt]
    if rng.random() < 0.88:
        high = rng.uniform(1.75, 2.1)
        found.append(("shoes", where.is_part("foot") | (legs & (where.along > high)), float(rng.uniform(0.006, 0.014))))
    return found + _on_head(rng, where)


def _on_head(rng: Random, where: Regions) -> list[tuple[str, NDArray[np.bool_], float]]:
    """Hair, and perhaps a hat."""
    _, y, z = (where.centre / where.width).T
    head = where.is_part("head")
    front = rng.uniform(0.55, 1.05)  # above the eyes, where the forehead ends, in distances of the eyes
    back = rng.uniform(-1.8, -0.3)
    line = np.where(y < 0.6, front, front + (back - front) * np.clip((y - 0.6) / 1.6, 0, 1))
    hair = head & (z > line)
    found = []
    if rng.random() < 0.93:
        found.append(
            (
                "hair",
                hair,
                float(weighted_choice(rng, ((rng.uniform(0.003, 0.02), 0.5), (rng.uniform(0.02, 0.045), 0.4), (0.075, 0.1)))),
            )
        )
    if rng.random() < 0.2:
        found.append(("hat", head & (z > rng.uniform(0.4, 1.0)), float(rng.uniform(0.015, 0.035))))
    return found


def _paint_face(rng: Random, material: NDArray[np.int32], where: Regions) -> None:
    """Eyes, brows and lips."""
    x, y, z = (where.centre / where.width).T
    eye = where.is_part("eye")
    off = np.hypot(np.abs(x) - 0.5, z)
    material[eye] = MATERIALS.index("white")
    material[eye & (off < 0.09) & (y < 0)] = MATERIALS.index("iris")
    bare = where.is_part("head") & (material == 0) & (y < 0)
    brow = bare & (np.abs(np.abs(x) - 0.55) < 0.3) & (np.abs(z - 0.36) < 0.07)
    material[brow] = MATERIALS.index("brow")
    lips = bare & (np.abs(x) < 0.36) & (np.abs(z + 1.08) < 0.13)
    material[lips] = MATERIALS.index("lips")


def _textures(rng: Random) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    skin, hair = texture.skin(rng), texture.hair(rng)
    dark = (30.0, 22.0, 20.0)
    top, bottom = texture.garment(rng), texture.garment(rng)
    if rng.random() < 0.5:
        bottom = texture.plain(
            rng, weighted_choice(rng, (((36.0, 44.0, 68.0), 0.4), (dark, 0.3), ((150.0, 140.0, 120.0), 0.3)))
        )
    plain = {
        "skin": (skin, 0.05), "hair": (hair, 0.25), "shoes": (texture.colour(rng, loudness=0.5), 0.1),
        "white": ((225.0, 222.0, 218.0), 0.01), "iris": (texture.mixed(dark, texture.colour(rng), 0.35), 0.02),
        "lips": (texture.mixed(skin, (170.0, 60.0, 60.0), rng.uniform(0.25, 0.6)), 0.03),
        "brow": (texture.mixed(hair, skin, rng.uniform(0.1, 0.5)), 0.1), "socks": (texture.colour(rng, loudness=0.4), 0.06),
        "hat": (texture.colour(rng), 0.08), "dark": ((24.0, 24.0, 28.0), 0.02),
    }  # fmt: skip
    made = {name: texture.plain(rng, tint, rough=rough) for name, (tint, rough) in plain.items()} | {
        "top": top,
        "bottom": bottom,
        "inner": texture.garment(rng),
    }
    folds = {"top": rng.uniform(0.1, 0.4), "bottom": rng.uniform(0.1, 0.35), "hair": 0.5, "skin": 0.04}
    return (
        np.stack([made[name].tile for name in MATERIALS]).astype(np.float32),
        np.array([made[name].density for name in MATERIALS], np.float32),
        np.array([folds.get(name, 0.05) for name in MATERIALS], np.float32),
    )


def _smooth(model: BodyModel, lift: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thickness at vertices (v): the mean of the triangles around each."""
    around, count = model.faces.ravel(), len(model.template)
    total, number = np.bincount(around, np.repeat(lift, 3), count), np.bincount(around, minlength=count)
    return (total / np.maximum(number, 1)).astype(np.float32)
