"""Textures: small tiles of cloth, skin and fur that are wrapped around body parts."""

import colorsys
from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.sampling import weighted_choice

Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 255."""
Tile = NDArray[np.uint8]

SIDE = 48
"""Width and height of a tile, pixels."""


@final
@dataclass(frozen=True, eq=False)
class Texture:
    """A repeating pattern.

    Attributes:
        tile: RGB (`SIDE` `SIDE` 3), 0 to 255.
        density: Pixels of the tile per unit of the body.
    """

    tile: Tile
    density: float = 200.0


def colour(rng: np.random.Generator, *, loudness: float = 1.0) -> Colour:
    """A random colour, more often of low saturation; `loudness` (0 to 1) is the greatest saturation."""
    hue, saturation, value = rng.random(3).tolist()
    r, g, b = colorsys.hsv_to_rgb(hue, loudness * saturation**1.5, 0.1 + 0.88 * value)
    return 255 * r, 255 * g, 255 * b


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """A mixture of two colours; `share` (0 to 1) is that of `b`."""
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])


def plain(rng: np.random.Generator, tint: Colour, *, rough: float = 0.06) -> Texture:
    """One colour with noise of amplitude `rough`, a share of the brightness."""
    return Texture(_woven(rng, np.zeros((SIDE, SIDE), np.float32), (tint, tint), rough))


def garment(rng: np.random.Generator) -> Texture:
    """A random cloth: plain, striped, checked, spotted, fading or flecked."""
    patterns = ((_flat, 0.36), (_rings, 0.14), (_stripes, 0.12), (_checks, 0.1), (_spots, 0.1), (_fade, 0.08), (_flecks, 0.1))
    pattern = weighted_choice(rng, patterns)
    tints = (colour(rng), colour(rng))
    return Texture(_woven(rng, pattern(rng), tints, rng.uniform(0.03, 0.12)), density=rng.uniform(160, 300))


def skin(rng: np.random.Generator) -> Colour:
    """A random colour of human skin."""
    dark, light = (72.0, 44.0, 30.0), (244.0, 210.0, 184.0)
    r, g, b = mixed(dark, light, rng.random() ** 0.8)
    return r, g * rng.uniform(0.96, 1.03), b * rng.uniform(0.92, 1.06)


def hair(rng: np.random.Generator) -> Colour:
    """A random colour of human hair, sometimes dyed."""
    if rng.random() < 0.08:
        return colour(rng)
    shades = ((22.0, 18.0, 18.0), (62.0, 40.0, 26.0), (118.0, 78.0, 44.0), (206.0, 168.0, 104.0), (150.0, 146.0, 142.0))
    return mixed(shades[rng.integers(5)], shades[rng.integers(5)], 0.35 * rng.random())


def fur(rng: np.random.Generator, pattern: str, tints: tuple[Colour, Colour]) -> Texture:
    """A fur.

    Args:
        rng: Random numbers.
        pattern: "plain", "stripes", "spots" or "patches".
        tints: Colours of the ground and of the pattern.
    """
    drawn = {"plain": _flat, "stripes": _tiger, "spots": _spots, "patches": _patches}[pattern](rng)
    density = {"plain": 110.0, "stripes": 90.0, "spots": 100.0, "patches": 42.0}[pattern]
    return Texture(_woven(rng, drawn, tints, rng.uniform(0.06, 0.16)), density=density * rng.uniform(0.8, 1.3))


def _woven(rng: np.random.Generator, share: NDArray[np.float32], tints: tuple[Colour, Colour], rough: float) -> Tile:
    grain = np.frombuffer(rng.bytes(SIDE * SIDE), np.uint8).reshape(SIDE, SIDE, 1).astype(np.float32)
    a, b = np.array(tints[0], np.float32), np.array(tints[1], np.float32)
    tile = (a + share[..., None] * (b - a)) * (1 + rough * (grain / 127.5 - 1))
    return np.clip(tile, 0, 255).astype(np.uint8)


def _flat(rng: np.random.Generator) -> NDArray[np.float32]:
    return np.zeros((SIDE, SIDE), np.float32)


def _wave(rng: np.random.Generator) -> NDArray[np.float32]:
    count = rng.integers(1, 5)
    share = rng.uniform(0.3, 0.7)
    return ((np.arange(SIDE) * count / SIDE) % 1 < share).astype(np.float32)


def _rings(rng: np.random.Generator) -> NDArray[np.float32]:
    return np.repeat(_wave(rng)[:, None], SIDE, axis=1)


def _stripes(rng: np.random.Generator) -> NDArray[np.float32]:
    return np.repeat(_wave(rng)[None], SIDE, axis=0)


def _checks(rng: np.random.Generator) -> NDArray[np.float32]:
    return 0.5 * (_wave(rng)[:, None] + _wave(rng)[None])


def _fade(rng: np.random.Generator) -> NDArray[np.float32]:
    ramp = np.abs(np.linspace(-1, 1, SIDE, dtype=np.float32))
    return np.repeat(ramp[:, None], SIDE, axis=1)


def _flecks(rng: np.random.Generator) -> NDArray[np.float32]:
    return _cloud(rng, 12)


def _patches(rng: np.random.Generator) -> NDArray[np.float32]:
    patches: NDArray[np.float32] = np.clip((_cloud(rng, 5) - 0.5) * 12 + 0.5, 0, 1)
    return patches


def _tiger(rng: np.random.Generator) -> NDArray[np.float32]:
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    bent = rows * (int(rng.integers(3, 6)) / SIDE) + 0.5 * _cloud(rng, 4)
    waves: NDArray[np.float32] = np.cos(np.float32(2 * np.pi) * bent) * 3 + np.float32(rng.uniform(-0.8, 0.8))
    return np.clip(waves, 0, 1)


def _spots(rng: np.random.Generator) -> NDArray[np.float32]:
    share = np.zeros((SIDE, SIDE), np.float32)
    steps, radius = int(rng.integers(2, 5)), rng.uniform(0.18, 0.36)
    cell = SIDE / steps
    for i in range(steps * steps):
        x, y = (np.array((i % steps, i // steps)) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * cell
        cv2.circle(share, (round(16 * x), round(16 * y)), round(16 * radius * cell), 1.0, -1, cv2.LINE_8, 4)
    return share


def _cloud(rng: np.random.Generator, cells: int) -> NDArray[np.float32]:
    """Smooth periodic noise, 0 to 1."""
    coarse = rng.random((cells, cells), dtype=np.float32)
    coarse = np.pad(coarse, 2, mode="wrap")
    edge = round(2 * SIDE / cells)
    wide = cv2.resize(coarse, (SIDE + 2 * edge, SIDE + 2 * edge), interpolation=cv2.INTER_CUBIC)
    return np.clip(wide[edge : edge + SIDE, edge : edge + SIDE], 0, 1)
