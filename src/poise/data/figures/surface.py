"""Surfaces of body parts at the pixels they may touch, of many parts at once.

Most parts touch few pixels, and a call of NumPy costs as much as a thousand of them; so the pixels of several parts lie one
after the other in each array.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.body_part import BodyPart

Values = NDArray[np.floating[Any]]
"""A number for each pixel."""
Box = tuple[int, int, int, int]
"""First column and row of a window, then the column and row after the last ones."""
Direction = tuple[float, float, float]

MIN_RADIUS = 0.45
"""Radius below which a part is not drawn, and smallest radius of the ends of a part, pixels."""

TOGETHER = 8192
"""Pixels of parts that are computed together, at most; more would leave the processor's cache."""


@final
@dataclass(frozen=True)
class Tube:
    """The projection of a body part.

    Attributes:
        part: The part.
        x: x of its start, pixels.
        y: y of its start, pixels.
        depths: Depth of its start and of its end, pixels.
        length: Length in the image, pixels.
        ux: x of the unit vector from start to end.
        uy: y of the unit vector from start to end.
        radii: Radius in the image at the start, in the middle and at the end, pixels.
        cap: Length of its round ends, as a share of the radius.
        thick: Extent towards the viewer, as a share of the radius.
        pixels: Pixels per unit of the body.
    """

    part: BodyPart
    x: float
    y: float
    depths: tuple[float, float]
    length: float
    ux: float
    uy: float
    radii: tuple[float, float, float]
    cap: float
    thick: float
    pixels: float

    @classmethod
    def of(cls, part: BodyPart, ends: NDArray[np.float64]) -> "Tube":
        """The projection of a part whose start and end are projected to `ends` (2 4), rows of `Camera.project`."""
        (ax, ay, az, near_a), (bx, by, bz, near_b) = ends.tolist()
        length = math.hypot(bx - ax, by - ay)
        ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 1e-3 else (0.0, 1.0)
        across, cap, thick = _support(part, ux, uy)
        middle = 0.5 * (near_a + near_b)
        r0, r1, r2 = (max(float(r) * n * across, MIN_RADIUS) for r, n in zip(part.radii, (near_a, middle, near_b), strict=True))
        return cls(part, ax, ay, (az, bz), length, ux, uy, (r0, r1, r2), cap, thick, middle)

    def window(self, shape: tuple[int, int]) -> Box:
        """The window of pixels that the part may touch in an image of a shape (h, w); empty outside it."""
        reach = max(self.radii) * max(self.cap, 1.0) + 1.5
        end_x, end_y = self.x + self.ux * self.length, self.y + self.uy * self.length
        x0, x1 = sorted((self.x, end_x))
        y0, y1 = sorted((self.y, end_y))
        low = max(math.floor(x0 - reach), 0), max(math.floor(y0 - reach), 0)
        return *low, min(math.ceil(x1 + reach) + 1, shape[1]), min(math.ceil(y1 + reach) + 1, shape[0])

    def turned(self, x: float, y: float, z: float) -> Direction:
        """A direction in space, across the axis (clockwise of it), along it and towards the viewer."""
        return y * self.ux - x * self.uy, x * self.ux + y * self.uy, z

    def numbers(self) -> tuple[float, ...]:
        """What `Surface.of` computes with."""
        r0, r1, r2 = self.radii
        start, end = self.depths
        bend = 4 * r1 - 3 * r0 - r2, 2 * (r0 + r2) - 4 * r1
        scale = 1 / max(self.length, 1e-3), 1 / self.cap, 1 / self.pixels
        return self.x, self.y, self.ux, self.uy, self.length, r0, *bend, *scale, start, end - start, self.thick


@final
@dataclass(frozen=True, eq=False)
class Surface:
    """The surfaces of several body parts, each in its window, pixel by pixel, row by row, part by part.

    Attributes:
        tubes: The parts.
        windows: Window of each part.
        begins: Index of the first pixel of each part, then the number of all pixels.
        t: Position from start to end, 0 to 1.
        side: Component of the normal across the axis; above 1 outside the part.
        over: Component of the normal along the axis; 0 except on the round ends.
        rise: Component of the normal towards the viewer.
        cover: Share of each pixel that the part covers, 0 to 1.
        depth: Depth of the surface, pixels; larger is nearer to the viewer.
        u: Position around the axis, units of the body.
        v: Position along the axis from the start, units of the body.
    """

    tubes: Sequence[Tube]
    windows: Sequence[Box]
    begins: Sequence[int]
    t: Values
    side: Values
    over: Values
    rise: Values
    cover: Values
    depth: Values
    u: Values
    v: Values

    @classmethod
    def of(cls, tubes: Sequence[Tube], windows: Sequence[Box]) -> "Surface":
        """The surfaces in windows, none of them empty."""
        counts = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in windows]
        x, y, ux, uy, length, r0, r1, r2, per_length, per_cap, per_unit, start, rest, thick = repeated(
            [tube.numbers() for tube in tubes], counts
        )
        xs, ys = _places(windows)
        xs -= x
        ys -= y
        along = xs * ux + ys * uy
        across = ys * ux - xs * uy
        reached: Values = np.minimum(np.maximum(along, 0), length)
        t = reached * per_length
        radius = r0 + t * (r1 + t * r2)
        np.maximum(radius, 0.4, out=radius)
        inverse = 1 / radius
        side, over = across * inverse, (along - reached) * per_cap * inverse
        squared = side * side + over * over
        cover = share((1 - np.sqrt(squared)) * radius + 0.5)
        rise = np.sqrt(np.maximum(1 - squared, 0))
        depth = start + rest * t + rise * radius * thick
        u, v = across * (1 + 0.3 * side * side) * per_unit, along * per_unit
        return cls(tubes, windows, [0, *np.cumsum(counts).tolist()], t, side, over, rise, cover, depth, u, v)

    def towards(self, x: float, y: float, z: float) -> Values:
        """Dot product of the normals and a direction in space."""
        counts = np.diff(self.begins)
        across, along, near = repeated([tube.turned(x, y, z) for tube in self.tubes], counts)
        shares: Values = self.side * across + self.over * along + self.rise * near
        return shares

    def part(self, number: int) -> "Surface":
        """The surface of one part alone."""
        pixels = slice(self.begins[number], self.begins[number + 1])
        each = (self.t, self.side, self.over, self.rise, self.cover, self.depth, self.u, self.v)
        one = slice(number, number + 1)
        return Surface(
            self.tubes[one], self.windows[one], [0, pixels.stop - pixels.start], *(values[pixels] for values in each)
        )


def together(tubes: Sequence[Tube], shape: tuple[int, int]) -> Iterator[Surface]:
    """The surfaces of parts in an image of a shape (h, w), in order, some at a time; those too small or outside it left out."""
    group: list[tuple[Tube, Box]] = []
    pixels = 0
    for tube in tubes:
        x0, y0, x1, y1 = window = tube.window(shape)
        if max(tube.radii) <= MIN_RADIUS or x0 >= x1 or y0 >= y1:
            continue
        count = (x1 - x0) * (y1 - y0)
        if group and pixels + count > TOGETHER:
            yield Surface.of(*zip(*group, strict=True))
            group, pixels = [], 0
        group.append((tube, window))
        pixels += count
    if group:
        yield Surface.of(*zip(*group, strict=True))


def repeated(rows: Sequence[Sequence[float]], counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Numbers of parts (n m) for each of their pixels (m p); part i has `counts[i]` pixels."""
    return np.repeat(np.array(rows).T.astype(np.float32), counts, axis=1)


def _places(windows: Sequence[Box]) -> tuple[Values, Values]:
    """Column and row of each pixel of the windows."""
    xs = [np.tile(np.arange(x0, x1, dtype=np.float32), y1 - y0) for x0, y0, x1, y1 in windows]
    ys = [np.repeat(np.arange(y0, y1, dtype=np.float32), x1 - x0) for x0, y0, x1, y1 in windows]
    return np.concatenate(xs), np.concatenate(ys)


def _support(part: BodyPart, ux: float, uy: float) -> tuple[float, float, float]:
    """Extent of the cross-section across the tube, and the lengths of cap and thickness as shares of it."""
    if part.shape is None:
        return 1.0, 1.0, 1.0
    columns = part.shape.T.tolist()
    across = math.sqrt(sum((y * ux - x * uy) ** 2 for x, y, _ in columns))
    cap = math.sqrt(sum((x * ux + y * uy) ** 2 for x, y, _ in columns))
    thick = math.sqrt(sum(z * z for _, _, z in columns))
    return across, cap / across, thick / across


def share(values: Values) -> Values:
    """Clip to 0..1, in place."""
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


def threefold(values: Values) -> NDArray[np.float32]:
    """Values (n) or (h w) repeated for red, green and blue; faster to compute with than a broadcast."""
    rgb = cv2.cvtColor(values, cv2.COLOR_GRAY2RGB).reshape(*values.shape, 3)
    return rgb.astype(np.float32, copy=False)
