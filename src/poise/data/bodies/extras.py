"""What is worn and is no skin: long hair, tails, buns, brims, sunglasses and skirts, as meshes that move with bones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from poise.data.bodies.kernels import Floats, Whole
from poise.data.bodies.model import WEIGHTS, BodyModel
from poise.data.figures.sampling import weighted_choice

Points = NDArray[np.floating[Any]]
Random = np.random.Generator
Bones = Sequence[tuple[str, Floats]]
"""Names of bones and their weights of each vertex."""


@final
@dataclass(frozen=True, eq=False)
class Extra:
    """A mesh beside the body.

    Attributes:
        rest: Vertices in the rest pose (v 3), metres.
        faces: Triangles (f 3).
        bones: Bones that move each vertex (v `WEIGHTS`).
        weights: Their weights (v `WEIGHTS`).
        material: Name of its material (`wear.MATERIALS`).
        shows: Kinds of keypoints that count as seen where it lies before them, such as "hip".
    """

    rest: Floats
    faces: Whole
    bones: Whole
    weights: Floats
    material: str
    shows: tuple[str, ...] = ()


@final
@dataclass(frozen=True, eq=False)
class Frame:
    """Measures of one body in the rest pose.

    Attributes:
        model: The body.
        rest: Its vertices (v 3), metres.
        heads: Where its bones begin (b 3).
    """

    model: BodyModel
    rest: Floats
    heads: Floats

    def head(self, name: str) -> Floats:
        """Where a bone begins (3)."""
        place: Floats = self.heads[self.model.bone(name)]
        return place

    def face(self) -> tuple[Floats, float]:
        """The middle between the eyes (3), and the distance of the eyes, metres."""
        left, right = self.head("eye.L"), self.head("eye.R")
        return 0.5 * (left + right), float(left[0] - right[0])

    def extra(self, grid: Points, bones: Bones, material: str, *, closed: bool = False, shows: tuple[str, ...] = ()) -> Extra:
        """A mesh of a grid of points.

        Args:
            grid: Points in rows and columns (r c 3).
            bones: What moves them; weights (r c).
            material: Name of its material.
            closed: Whether the last column meets the first.
            shows: Keypoints that it does not hide.
        """
        rows, columns = grid.shape[:2]
        at = np.arange(rows * columns).reshape(rows, columns)
        if closed:
            at = np.concatenate((at, at[:, :1]), axis=1)
        a, b, c, d = at[:-1, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel()
        faces = np.concatenate((np.stack((a, c, b), 1), np.stack((b, c, d), 1))).astype(np.int32)
        which = np.zeros((rows * columns, WEIGHTS), np.int32)
        weights = np.zeros((rows * columns, WEIGHTS), np.float32)
        for k, (name, share) in enumerate(bones):
            which[:, k], weights[:, k] = self.model.bone(name), share.ravel()
        return Extra(grid.reshape(-1, 3).astype(np.float32), faces, which, weights, material, shows)


def random_extras(rng: Random, frame: Frame, *, feminine: float, hat: bool) -> list[Extra]:
    """Random hair, glasses and skirts.

    Args:
        rng: Random numbers.
        frame: The body.
        feminine: 0 to 1, how often hair is long and there is a skirt.
        hat: Whether the person wears a hat, which may have a brim.
    """
    found = []
    if rng.random() < 0.12 + 0.6 * feminine:
        hair = weighted_choice(rng, ((_curtain, 0.6), (_tail, 0.25), (_bun, 0.15)))
        found.append(hair(rng, frame))
    if rng.random() < 0.02 + 0.28 * feminine:
        found.append(_skirt(rng, frame))
    if rng.random() < 0.09:
        found += _glasses(frame)
    if hat and rng.random() < 0.6:
        found.append(_brim(rng, frame))
    return found


def _ones(grid: Points) -> Floats:
    return np.ones(grid.shape[:2], np.float32)


def _curtain(rng: Random, frame: Frame) -> Extra:
    """Hair that hangs from the crown over the back and the sides."""
    eyes, width = frame.face()
    opening, length = rng.uniform(95, 135), width * float(rng.choice((1.6, 2.6, 4.5, 6.5))) * rng.uniform(0.8, 1.2)
    around = np.radians(np.linspace(-opening, opening, 18))
    centre = eyes + width * np.array((0, 1.25, 0.75))
    fat = rng.uniform(1.02, 1.25)
    rows = []
    for s in np.linspace(0.1, 1, 14):
        turn = min(s / 0.4, 1.0) * 0.5 * np.pi
        fall = max(s - 0.4, 0.0) / 0.6
        reach = np.sin(turn) * (1 - rng.uniform(0, 0.08) + rng.uniform(-0.1, 0.25) * fall)
        x, y = 1.42 * fat * reach * np.sin(around), 1.72 * fat * reach * np.cos(around)
        z = np.full_like(around, 1.55 * fat * np.cos(turn)) - fall * length / width
        rows.append(centre + width * np.stack((x, y, z), axis=1))
    grid = np.stack(rows)
    share = np.linspace(0, 1, 14)[:, None] * np.ones((1, 18))
    trunk = (0.75 * np.clip((share - 0.55) / 0.45, 0, 1) * (length > 3 * width)).astype(np.float32)
    return frame.extra(grid, (("head", 1 - trunk), ("spine01", trunk)), "hair")


def _tube(frame: Frame, line: Points, radii: Points, *, material: str) -> Extra:
    """A tube around a line (n 3) that moves with the head."""
    around = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    first = np.cross(along, (1.0, 0.02, 0.03))
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(along, first)
    ring = np.cos(around)[None, :, None] * first[:, None] + np.sin(around)[None, :, None] * second[:, None]
    grid = line[:, None] + radii[:, None, None] * ring
    return frame.extra(grid, (("head", _ones(grid)),), material, closed=True)


def _tail(rng: Random, frame: Frame) -> Extra:
    """A pony tail."""
    eyes, width = frame.face()
    start = eyes + width * np.array((0, 2.6, rng.uniform(-0.3, 1.4)))
    t = np.linspace(0, 1, 9)[:, None]
    long = width * rng.uniform(2, 6)
    line = start + t * np.array((rng.normal(0, 0.15), 0.2, -1.0)) * long + np.sin(np.pi * t) * np.array((0, 0.5, 0.3)) * width
    radii = width * rng.uniform(0.3, 0.55) * np.sin(np.pi * np.linspace(0.06, 0.98, 9)) ** 0.6
    return _tube(frame, line, radii, material="hair")


def _bun(rng: Random, frame: Frame) -> Extra:
    """A knot of hair at the back or on top."""
    eyes, width = frame.face()
    place = (0, 2.7, 0.6) if rng.random() < 0.5 else (0, 1.5, 2.3)
    turn = np.linspace(0, np.pi, 8)
    radius = width * rng.uniform(0.5, 0.9)
    line = eyes + width * np.array(place) + np.stack((0 * turn, 0 * turn, -radius * np.cos(turn)), axis=1)
    return _tube(frame, line, radius * np.sin(turn) + 1e-4, material="hair")


def _glasses(frame: Frame) -> list[Extra]:
    """Two dark lenses."""
    found = []
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    _, width = frame.face()
    for name in ("eye.L", "eye.R"):
        centre = frame.head(name) - np.array((0, 0.42 * width, 0))
        ring = np.stack((0.4 * np.cos(around), 0 * around, 0.3 * np.sin(around)), axis=1) * width
        grid = np.stack((centre + 0 * ring, centre + ring))
        found.append(frame.extra(grid, (("head", _ones(grid)),), "dark", closed=True, shows=("eye",)))
    return found


def _brim(rng: Random, frame: Frame) -> Extra:
    """The brim of a hat, or the peak of a cap, turned to the front or to the back."""
    eyes, width = frame.face()
    whole = rng.random() < 0.4
    around = np.radians(np.linspace(-180, 180, 25) if whole else np.linspace(-55, 55, 11))
    front = -1.0 if whole or rng.random() < 0.85 else 1.0
    centre = eyes + width * np.array((0, 1.2, rng.uniform(0.75, 1.05)))
    outer = rng.uniform(1.5, 2.3) if whole else 1.0 + 0.75 * np.cos(around * np.pi / 2 / around[-1]) ** 0.7
    inner = np.stack((1.4 * np.sin(around), front * 1.6 * np.cos(around), 0 * around), axis=1)
    edge = inner * (np.ones_like(around) * outer)[:, None] - np.array((0, 0, rng.uniform(0, 0.35)))
    grid = centre + width * np.stack((inner * 0.9, edge))
    return frame.extra(grid, (("head", _ones(grid)),), "hat")


def _skirt(rng: Random, frame: Frame) -> Extra:
    """A skirt from the waist to some place of the legs; thighs and shins carry it."""
    hips, knees, ankles = (float(frame.head(f"{name}.L")[2]) for name in ("upperleg01", "lowerleg01", "foot"))
    waist = hips + 0.35 * (hips - knees) * rng.uniform(0.4, 1.0)
    hem = hips - (hips - ankles) * float(weighted_choice(rng, ((rng.uniform(0.2, 0.45), 0.5), (rng.uniform(0.45, 0.95), 0.5))))
    around = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    legs = np.abs(frame.rest[:, 0]) < float(frame.head("foot.L")[0]) + 0.12 * (hips - ankles)
    flare, waves, rows, wide, deep, middle = rng.uniform(0.02, 0.3), int(rng.integers(4, 9)), [], 0.0, 0.0, 0.0
    levels = np.linspace(waist, hem, 9)
    for z in levels:
        near = frame.rest[legs & (np.abs(frame.rest[:, 2] - z) < 0.04)]
        if len(near):
            wide, deep = max(wide, np.abs(near[:, 0]).max()), max(deep, 0.5 * np.ptp(near[:, 1]))
            middle = 0.5 * float(near[:, 1].min() + near[:, 1].max()) if z > hips - 0.2 else middle
        t = (waist - z) / (waist - hem)
        out = 0.012 + flare * t * 0.5 + 0.02 * t * np.cos(waves * around)
        rows.append(np.stack((np.cos(around) * (wide + out), middle + np.sin(around) * (deep + out), 0 * around + z), axis=1))
    return frame.extra(np.stack(rows), _carried(levels, around, hips, knees), "bottom", closed=True, shows=("hip",))


def _carried(levels: NDArray[np.float64], around: NDArray[np.float64], hips: float, knees: float) -> Bones:
    """What moves the points of a skirt: pelvis, thighs, shins."""
    leg = np.clip((hips + 0.02 - levels) / (0.35 * (hips - knees)), 0, 1)[:, None]
    shin = (0.8 * np.clip((knees - levels) / (0.3 * (hips - knees)), 0, 1))[:, None]
    left = (0.5 + 0.5 * np.clip(1.6 * np.cos(around), -1, 1))[None]
    shares = {
        "root": (1 - leg) * np.ones_like(left),
        "upperleg01.L": leg * (1 - shin) * left, "upperleg01.R": leg * (1 - shin) * (1 - left),
        "lowerleg01.L": leg * shin * left, "lowerleg01.R": leg * shin * (1 - left),
    }  # fmt: skip
    return [(name, share.astype(np.float32)) for name, share in shares.items()]
