"""The canvas: paints tubes with depth, light and wrapped coats, one small window each.

Every part is a tube whose cross-section is an ellipse, so distance, depth and normal of each pixel are known in closed form:
parts hide each other where they do in space, stripes bend around limbs, and edges are smooth.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.body_part import BodyPart, Figure
from poise.data.figures.coat import Coat

Values = NDArray[np.floating[Any]]
"""One number for each pixel of a window, or for each of its rows or columns."""
Box = tuple[int, int, int, int]
"""First column and row, then those after the last ones."""

FINEST = 0.45
"""Radius in pixels below which nothing is drawn, and no end of a part is thinner."""


@final
@dataclass(frozen=True)
class Light:
    """A lamp far away.

    Attributes:
        direction: Towards the lamp, of length 1.
        ambient: Brightness of what the lamp does not reach.
        lamp: What the lamp adds where it falls straight on.
    """

    direction: tuple[float, float, float]
    ambient: float
    lamp: float


@final
@dataclass(frozen=True)
class Camera:
    """Where a body stands in the image, with weak perspective.

    Attributes:
        scale: Pixels per unit of the body at depth 0.
        x: Column of the body's origin.
        y: Row of the body's origin.
        distance: Of the viewer, in units of the body.
    """

    scale: float
    x: float
    y: float
    distance: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points n x 3 to rows (column, row, depth, magnification), in pixels."""
        near = self.scale * self.distance / (self.distance - points[:, 2])
        return np.stack((points[:, 0] * near + self.x, points[:, 1] * near + self.y, points[:, 2] * self.scale, near), axis=1)


@final
class Canvas:
    """An image in the making.

    Attributes:
        image: H x W x 3, float32, 0 to 255.
        owner: H x W, which figure is seen there: 0 none, figures from 1, `OCCLUDER` for things in front.
        depth: H x W, of the surface of the figure that is being painted; minus infinity beside it.
        inside: H x W, the silhouette of the figure that is being painted.
    """

    OCCLUDER = 255

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image: NDArray[np.float32] = image.astype(np.float32)
        self.owner: NDArray[np.uint8] = np.zeros(image.shape[:2], np.uint8)
        self.depth: NDArray[np.float32] = np.empty(image.shape[:2], np.float32)
        self.inside: NDArray[np.bool_] = np.zeros(image.shape[:2], np.bool_)

    def draw(self, figure: Figure, camera: Camera, light: Light, *, number: int) -> None:
        """Paint a figure over what is there and note its pixels as `number` in `owner`."""
        self.depth.fill(-np.inf)
        self.inside.fill(False)
        ends = np.array([(p.start, p.end) for p in figure.parts]).reshape(-1, 3)
        seen = camera.project(ends).reshape(-1, 2, 4)
        for i in np.argsort(seen[:, :, 2].sum(axis=1), kind="stable"):
            axis = _Axis.of(figure.parts[i], seen[i])
            if max(axis.radii) > FINEST:
                self._paint(figure.parts[i], axis, light)
        self.owner[self.inside] = number

    def _paint(self, part: BodyPart, axis: "_Axis", light: Light) -> None:
        height, width = self.owner.shape
        x0, y0, x1, y1 = axis.window
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if x0 >= x1 or y0 >= y1:
            return
        surface = _Surface.of(axis, (x0, y0, x1, y1))
        window = (slice(y0, y1), slice(x0, x1))
        picture, behind = self.image[window], self.depth[window]
        alpha = surface.cover * _share((surface.depth - behind) * 0.7 + 0.5)
        lit = surface.towards(*light.direction)
        shade = (light.ambient + light.lamp * np.maximum(lit, 0)) * (0.72 + 0.28 * surface.rise)
        colour = _coloured(part, surface, pixels=axis.pixels)
        colour *= _threefold(shade)
        colour -= picture
        colour *= _threefold(alpha)
        picture += colour
        np.copyto(behind, surface.depth, where=alpha > 0.5)
        self.inside[window] |= surface.cover > 0.5


@final
@dataclass(frozen=True)
class _Axis:
    """A part in the image.

    Attributes:
        x: Column of its start.
        y: Row of its start.
        depths: Of start and end, pixels.
        length: In the image, pixels.
        ux: Direction from start to end.
        uy: Direction from start to end.
        radii: Across, at the start, in the middle and at the end, pixels.
        cap: How far its round ends reach, as a share of the radius.
        thick: How far it reaches towards the viewer, as a share of the radius.
        pixels: Of one unit of the body.
    """

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
    def of(cls, part: BodyPart, ends: NDArray[np.float64]) -> "_Axis":
        """`ends` are the rows of `Camera.project` for start and end."""
        (ax, ay, az, near_a), (bx, by, bz, near_b) = ends.tolist()
        length = math.hypot(bx - ax, by - ay)
        ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 1e-3 else (0.0, 1.0)
        across, cap, thick = _support(part, ux, uy)
        middle = 0.5 * (near_a + near_b)
        r0, r1, r2 = (max(float(r) * n * across, FINEST) for r, n in zip(part.radii, (near_a, middle, near_b), strict=True))
        return cls(ax, ay, (az, bz), length, ux, uy, (r0, r1, r2), cap, thick, middle)

    @property
    def window(self) -> Box:
        """Pixels that the part may touch."""
        reach = max(self.radii) * max(self.cap, 1.0) + 1.5
        end_x, end_y = self.x + self.ux * self.length, self.y + self.uy * self.length
        x0, x1 = sorted((self.x, end_x))
        y0, y1 = sorted((self.y, end_y))
        return math.floor(x0 - reach), math.floor(y0 - reach), math.ceil(x1 + reach) + 1, math.ceil(y1 + reach) + 1


@final
@dataclass(frozen=True, eq=False)
class _Surface:
    """What is seen of a part in a window.

    Attributes:
        axis: Of the part.
        along: Pixels from the start, along the axis.
        across: Pixels from the axis, clockwise of its direction.
        t: Share of the way from start to end.
        side: The normal's component across the axis; beyond the surface above 1.
        over: The normal's component along the axis: not 0 on the round ends only.
        rise: The normal's component towards the viewer.
        cover: Share of each pixel that the part covers.
        depth: Towards the viewer, pixels.
    """

    axis: _Axis
    along: Values
    across: Values
    t: Values
    side: Values
    over: Values
    rise: Values
    cover: Values
    depth: Values

    @classmethod
    def of(cls, axis: _Axis, box: Box) -> "_Surface":
        """The surface in the pixels of `box`."""
        x0, y0, x1, y1 = box
        xs = np.arange(x0, x1, dtype=np.float32)[None] - axis.x
        ys = np.arange(y0, y1, dtype=np.float32)[:, None] - axis.y
        along = xs * axis.ux + ys * axis.uy
        across = ys * axis.ux - xs * axis.uy
        reached: Values = np.minimum(np.maximum(along, 0), axis.length)
        t = reached * (1 / max(axis.length, 1e-3))
        r0, r1, r2 = axis.radii
        radius = r0 + t * ((4 * r1 - 3 * r0 - r2) + t * (2 * (r0 + r2) - 4 * r1))
        np.maximum(radius, 0.4, out=radius)
        inverse = 1 / radius
        side, over = across * inverse, (along - reached) * (1 / axis.cap) * inverse
        squared = side * side + over * over
        cover = _share((1 - np.sqrt(squared)) * radius + 0.5)
        rise = np.sqrt(np.maximum(1 - squared, 0))
        start, end = axis.depths
        depth = start + (end - start) * t + rise * radius * axis.thick
        return cls(axis, along, across, t, side, over, rise, cover, depth)

    def towards(self, x: float, y: float, z: float) -> Values:
        """The normal times a direction in space."""
        ux, uy = self.axis.ux, self.axis.uy
        shares: Values = self.side * (y * ux - x * uy) + self.over * (x * ux + y * uy) + self.rise * z
        return shares


def _support(part: BodyPart, ux: float, uy: float) -> tuple[float, float, float]:
    """How far the cross-section reaches across the tube; then its cap and its thickness, as shares of that."""
    if part.shape is None:
        return 1.0, 1.0, 1.0
    columns = part.shape.T.tolist()
    across = math.sqrt(sum((y * ux - x * uy) ** 2 for x, y, _ in columns))
    cap = math.sqrt(sum((x * ux + y * uy) ** 2 for x, y, _ in columns))
    thick = math.sqrt(sum(z * z for _, _, z in columns))
    return across, cap / across, thick / across


def _coloured(part: BodyPart, surface: _Surface, *, pixels: float) -> NDArray[np.float32]:
    """The part's coats, wrapped around it, without light."""
    u = surface.across * (1 + 0.3 * surface.side * surface.side) * (1 / pixels)
    v = surface.along * (1 / pixels)
    colour = _wrapped(part.coat, u, v)
    trim = part.trim
    if trim is not None:
        x, y, z = map(float, trim.direction)
        border = trim.along * surface.t + surface.towards(x, y, z)
        share = _share((border - trim.offset) * trim.sharp + 0.5)
        colour += _threefold(share) * (_wrapped(trim.coat, u, v) - colour)
    return colour


def _wrapped(coat: Coat, u: Values, v: Values) -> NDArray[np.float32]:
    """The coat at places in units of the body."""
    density = np.float32(coat.density)
    seen = cv2.remap(coat.tile, u * density, v * density, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return seen.astype(np.float32)


def _share(values: Values) -> Values:
    """Cut to 0..1, in place."""
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


def _threefold(values: Values) -> NDArray[np.float32]:
    """The same for red, green and blue; quicker to work with than a broadcast over three."""
    return cv2.cvtColor(values, cv2.COLOR_GRAY2RGB).astype(np.float32, copy=False)
