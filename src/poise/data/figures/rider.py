"""Riders: somebody on a saddle, who hides parts of a horse."""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.figures import texture
from poise.data.figures.body_part import BodyPart, FigureBuilder, Matrix, turn, vector
from poise.data.figures.texture import Texture


@final
@dataclass(frozen=True, eq=False)
class Rider:
    """Somebody on a saddle.

    Attributes:
        coat: Texture of trunk and arms.
        breeches: Texture of the upper legs.
        boots: Texture of the lower legs and the saddle.
        helmet: Texture of the helmet.
        skin: Texture of face and hands.
        cloth: Texture of the saddle cloth.
        lean: How far the rider leans forward, degrees.
        seat: Height of the seat above the saddle, lengths of the horse's trunk.
    """

    coat: Texture
    breeches: Texture
    boots: Texture
    helmet: Texture
    skin: Texture
    cloth: Texture
    lean: float
    seat: float


def random_rider(rng: np.random.Generator) -> Rider:
    """A random rider."""
    dark = texture.mixed(texture.colour(rng), (30.0, 26.0, 26.0), 0.8)
    return Rider(
        coat=texture.garment(rng),
        breeches=texture.plain(rng, texture.mixed(texture.colour(rng), (232.0, 228.0, 220.0), float(rng.random()))),
        boots=texture.plain(rng, dark),
        helmet=texture.plain(rng, dark if rng.random() < 0.6 else texture.colour(rng)),
        skin=texture.plain(rng, texture.skin(rng)),
        cloth=texture.garment(rng),
        lean=float(rng.uniform(-5, 50)),
        seat=float(rng.uniform(0, 0.1)),
    )


def add_rider(builder: FigureBuilder, rider: Rider, *, depth: float, width: float, trunk: Matrix) -> None:
    """Add a rider and a saddle.

    Args:
        builder: The horse.
        rider: The rider.
        depth: Half the height of the horse's chest.
        width: Width of the chest divided by its height.
        trunk: Rotation of the horse's trunk (3 3).
    """
    d, wide = depth, width * depth

    def at(x: float, y: float, z: float) -> np.ndarray:
        return trunk @ vector(x, y, z)

    flat = trunk * np.array((width, 1.0, 0.75))
    builder.add(
        BodyPart(
            at(0.0, -0.1 * d, 0.06), at(0.0, -0.1 * d, -0.08), (1.04 * d, 1.03 * d, 1.02 * d), rider.cloth, shape=flat * 0.98
        )
    )
    builder.add(BodyPart(at(0.0, -1.02 * d, 0.08), at(0.0, -1.02 * d, -0.12), (0.09, 0.07, 0.1), rider.boots))
    hips = at(0.0, -1.05 * d - 0.08 - rider.seat, -0.06)
    upright = turn(0, -rider.lean)
    neck = hips + upright @ vector(0.0, -0.36, 0.0)
    builder.add(BodyPart(hips, neck, (0.1, 0.095, 0.09), rider.coat, shape=trunk * np.array((1.15, 1.0, 0.85))))
    head = neck + upright @ vector(0.0, -0.13, 0.03)
    builder.add(BodyPart(neck, head, (0.045, 0.05, 0.075), rider.skin))
    builder.add(BodyPart(head + vector(0.0, -0.03, -0.01), head + vector(0.0, -0.04, 0.02), (0.083,) * 3, rider.helmet))
    hands = at(0.0, -1.1 * d - 0.1, 0.24)
    for side in (1.0, -1.0):
        shoulder = neck + upright @ vector(0.11 * side, 0.05, 0.0)
        hand = hands + vector(0.05 * side, 0.0, 0.0)
        elbow = 0.5 * (shoulder + hand) + vector(0.04 * side, 0.07, -0.06)
        builder.add(BodyPart(shoulder, elbow, (0.045, 0.042, 0.036), rider.coat))
        builder.add(BodyPart(elbow, hand, (0.036, 0.032, 0.03), rider.coat))
        knee = at((wide + 0.06) * side, -0.45 * d, 0.1)
        heel = at((wide + 0.05) * side, 0.75 * d, -0.06)
        builder.add(BodyPart(hips + vector(0.06 * side, 0.0, 0.0), knee, (0.08, 0.07, 0.055), rider.breeches))
        builder.add(BodyPart(knee, heel, (0.052, 0.05, 0.036), rider.boots))
        builder.add(BodyPart(heel, heel + trunk @ vector(0.0, 0.01, 0.09), (0.036, 0.03, 0.022), rider.boots))
