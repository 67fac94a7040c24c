"""Coats of four-legged animals: natural ones, natural patterns in any colours, and random textures."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from poise.data.figures import texture
from poise.data.figures.species import BLACK, SPECIES, WHITE, Species
from poise.data.figures.texture import Colour, Texture

Coats = Literal["natural", "any", "random"]
"""Coats: those of the species; the patterns of all species in any colours; random textures on every part of the body."""


@final
@dataclass(frozen=True, eq=False)
class Pelt:
    """The textures of an animal.

    Attributes:
        body: Texture of trunk, neck and head.
        limbs: Texture of the legs.
        belly: Texture of the underside and of a pale muzzle.
        socks: Texture of the lower legs.
        mane: Texture of mane, end of the tail and inside of the ears.
        nose: Texture of the nose.
        hoof: Texture of hooves and horns.
        socked: Which legs have socks, in the order of `gait.LEGS`.
        belly_line: Position where the underside begins: 0 at the middle of the trunk, above 1 for none.
        face: Half width of a white blaze on the face, as a share of the head; 0 for none.
    """

    body: Texture
    limbs: Texture
    belly: Texture
    socks: Texture
    mane: Texture
    nose: Texture
    hoof: Texture
    socked: tuple[bool, bool, bool, bool]
    belly_line: float
    face: float


def random_pelt(rng: np.random.Generator, species: Species, *, coats: str = "natural") -> Pelt:
    """Random textures of a species.

    Args:
        rng: Random numbers.
        species: The species.
        coats: Which coats.
    """
    if coats == "random":
        return _random(rng)
    pattern, base, mark = _colours(rng, species, coats)
    pale = texture.mixed(base, WHITE, rng.uniform(0.35, 0.85))
    dark = texture.mixed(base, BLACK, rng.uniform(0.5, 0.95))
    pointed, socks = rng.random() < species.points, rng.random(4) < species.socks * rng.uniform(0.5, 2.5)
    body = texture.fur(rng, pattern, (base, mark))
    maned = dark if pointed or rng.random() < 0.35 else texture.mixed(base, mark if species.mane else base, 0.6 * rng.random())
    return Pelt(
        body=body,
        limbs=texture.plain(rng, dark, rough=0.12) if pointed else body,
        belly=texture.plain(rng, pale, rough=0.1),
        socks=texture.plain(rng, texture.mixed(WHITE, base, 0.15), rough=0.1),
        mane=texture.plain(rng, maned, rough=0.3),
        nose=texture.plain(rng, texture.mixed(BLACK, (170.0, 120.0, 112.0), rng.random() ** 2)),
        hoof=texture.plain(rng, texture.mixed(BLACK, (150.0, 128.0, 100.0), rng.random()), rough=0.12),
        socked=(bool(socks[0]), bool(socks[1]), bool(socks[2]), bool(socks[3])),
        belly_line=float(rng.uniform(0.3, 0.75)) if rng.random() < species.pale else 1.5,
        face=float(rng.uniform(0.12, 0.4)) if socks.any() and rng.random() < 0.7 else 0.0,
    )


def _colours(rng: np.random.Generator, species: Species, coats: str) -> tuple[str, Colour, Colour]:
    if coats == "any":
        species = list(SPECIES.values())[int(rng.integers(len(SPECIES)))]
    pattern = species.patterns[int(rng.integers(len(species.patterns)))]
    if coats == "any":
        return pattern, texture.colour(rng), texture.colour(rng)
    base, mark = species.palette[int(rng.integers(len(species.palette)))]
    return pattern, _shifted(rng, base), _shifted(rng, mark)


def _shifted(rng: np.random.Generator, tint: Colour) -> Colour:
    r, g, b = np.clip(np.array(tint) * rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, 3), 12, 250).tolist()
    return r, g, b


def _random(rng: np.random.Generator) -> Pelt:
    """Another texture on every part, as random photographs on the synthetic animals of arXiv 1912.08265 give."""
    body, limbs, belly, socks, mane = (texture.garment(rng) for _ in range(5))
    socks_on = (rng.random(4) < 0.3).tolist()
    return Pelt(
        body=body,
        limbs=body if rng.random() < 0.5 else limbs,
        belly=belly,
        socks=socks,
        mane=mane,
        nose=texture.plain(rng, texture.colour(rng)),
        hoof=texture.plain(rng, texture.colour(rng)),
        socked=(socks_on[0], socks_on[1], socks_on[2], socks_on[3]),
        belly_line=float(rng.uniform(0.3, 0.75)) if rng.random() < 0.4 else 1.5,
        face=float(rng.uniform(0.12, 0.4)) if rng.random() < 0.2 else 0.0,
    )
