"""Rendering of figures: tubes with depth, light and texture.

Every part is a tube with an elliptical cross-section, so distance, depth and normal of each pixel have a closed form. Parts
therefore occlude each other as in space, textures bend around limbs, and edges are smooth.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.body_part import BodyPart, Figure
from poise.data.figures.texture import Texture

Values = NDArray[np.floating[Any]]
"""A number for each pixel of a window, or for each of its rows or columns."""
Box = tuple[int, int, int, int]
"""First column and row of a window, then the column and row after the last ones."""

MIN_RADIUS = 0.45
"""Radius below which a part is not drawn, and smallest radius of the ends of a part, pixels."""


@final
@dataclass(frozen=True)
class Light:
    """A distant light source.

    Attributes:
        direction: Unit vector towards the light.
        ambient: Brightness of surfaces that the light does not reach.
        lamp: Brightness that the light adds to surfaces facing it.
    """

    direction: tuple[float, float, float]
    ambient: float
    lamp: float


@final
@dataclass(frozen=True)
class Camera:
    """Projection of a body into the image, with weak perspective.

    Attributes:
        scale: Pixels per unit of the body at depth 0.
        x: x of the body's origin, pixels.
        y: y of the body's origin, pixels.
        distance: Distance of the viewer, units of the body.
    """

    scale: float
    x: float
    y: float
    distance: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project points (n 3) to x, y, depth and magnification (n 4), pixels."""
        near = self.scale * self.distance / (self.distance - points[:, 2])
        return np.stack((points[:, 0] * near + self.x, points[:, 1] * near + self.y, points[:, 2] * self.scale, near), axis=1)


@final
class Canvas:
    """An image that figures are drawn on.

    Attributes:
        image: RGB (H W 3), float32, 0 to 255.
        owner: Index of the figure visible at each pixel (H W): 0 for none, figures from 1, `OCCLUDER` for objects in front.
        depth: Depth of the surface of the figure drawn last (H W), pixels; minus infinity outside it.
        inside: Silhouette of the figure drawn last (H W).
    """

    OCCLUDER = 255

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image: NDArray[np.float32] = image.astype(np.float32)
        self.owner: NDArray[np.uint8] = np.zeros(image.shape[:2], np.uint8)
        self.depth: NDArray[np.float32] = np.empty(image.shape[:2], np.float32)
        self.inside: NDArray[np.bool_] = np.zeros(image.shape[:2], np.bool_)

    def draw(self, figure: Figure, camera: Camera, light: Light, *, number: int) -> None:
        """Draw a figure over the image and mark its pixels in `owner`.

        Args:
            figure: The body.
            camera: Projection of the camera.
            light: The light source.
            number: The number of the figure in `owner`, from 1.
        """
        self.depth.fill(-np.inf)
        self.inside.fill(False)
        ends = np.array([(p.start, p.end) for p in figure.parts]).reshape(-1, 3)
        seen = camera.project(ends).reshape(-1, 2, 4)
        for i in np.argsort(seen[:, :, 2].sum(axis=1), kind="stable"):
            axis = _Axis.of(figure.parts[i], seen[i])
            if max(axis.radii) > MIN_RADIUS:
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
        pixels, behind = self.image[window], self.depth[window]
        alpha = surface.cover * _share((surface.depth - behind) * 0.7 + 0.5)
        lit = surface.towards(*light.direction)
        shade = (light.ambient + light.lamp * np.maximum(lit, 0)) * (0.72 + 0.28 * surface.rise)
        colour = _coloured(part, surface, pixels=axis.pixels)
        colour *= _threefold(shade)
        colour -= pixels
        colour *= _threefold(alpha)
        pixels += colour
        np.copyto(behind, surface.depth, where=alpha > 0.5)
        self.inside[window] |= surface.cover > 0.5


@final
@dataclass(frozen=True)
class _Axis:
    """The projection of a body part.

    Attributes:
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
        """The projection of a part whose start and end are projected to `ends` (2 4), rows of `Camera.project`."""
        (ax, ay, az, near_a), (bx, by, bz, near_b) = ends.tolist()
        length = math.hypot(bx - ax, by - ay)
        ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 1e-3 else (0.0, 1.0)
        across, cap, thick = _support(part, ux, uy)
        middle = 0.5 * (near_a + near_b)
        r0, r1, r2 = (max(float(r) * n * across, MIN_RADIUS) for r, n in zip(part.radii, (near_a, middle, near_b), strict=True))
        return cls(ax, ay, (az, bz), length, ux, uy, (r0, r1, r2), cap, thick, middle)

    @property
    def window(self) -> Box:
        """The window of pixels that the part may touch."""
        reach = max(self.radii) * max(self.cap, 1.0) + 1.5
        end_x, end_y = self.x + self.ux * self.length, self.y + self.uy * self.length
        x0, x1 = sorted((self.x, end_x))
        y0, y1 = sorted((self.y, end_y))
        return math.floor(x0 - reach), math.floor(y0 - reach), math.ceil(x1 + reach) + 1, math.ceil(y1 + reach) + 1


@final
@dataclass(frozen=True, eq=False)
class _Surface:
    """The surface of a body part in a window.

    Attributes:
        axis: Projection of the part.
        along: Position along the axis from the start, pixels.
        across: Position across the axis, clockwise of its direction, pixels.
        t: Position from start to end, 0 to 1.
        side: Component of the normal across the axis; above 1 outside the part.
        over: Component of the normal along the axis; 0 except on the round ends.
        rise: Component of the normal towards the viewer.
        cover: Share of each pixel that the part covers, 0 to 1.
        depth: Depth of the surface, pixels; larger is nearer to the viewer.
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
        """The surface in a window."""
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
        """Dot product of the normal and a direction in space."""
        ux, uy = self.axis.ux, self.axis.uy
        shares: Values = self.side * (y * ux - x * uy) + self.over * (x * ux + y * uy) + self.rise * z
        return shares


def _support(part: BodyPart, ux: float, uy: float) -> tuple[float, float, float]:
    """Extent of the cross-section across the tube, and the lengths of cap and thickness as shares of it."""
    if part.shape is None:
        return 1.0, 1.0, 1.0
    columns = part.shape.T.tolist()
    across = math.sqrt(sum((y * ux - x * uy) ** 2 for x, y, _ in columns))
    cap = math.sqrt(sum((x * ux + y * uy) ** 2 for x, y, _ in columns))
    thick = math.sqrt(sum(z * z for _, _, z in columns))
    return across, cap / across, thick / across


def _coloured(part: BodyPart, surface: _Surface, *, pixels: float) -> NDArray[np.float32]:
    """The colours of the part's textures, without light."""
    u = surface.across * (1 + 0.3 * surface.side * surface.side) * (1 / pixels)
    v = surface.along * (1 / pixels)
    colour = _wrapped(part.texture, u, v)
    trim = part.trim
    if trim is not None:
        x, y, z = map(float, trim.direction)
        border = trim.along * surface.t + surface.towards(x, y, z)
        share = _share((border - trim.offset) * trim.sharp + 0.5)
        colour += _threefold(share) * (_wrapped(trim.texture, u, v) - colour)
    return colour


def _wrapped(texture: Texture, u: Values, v: Values) -> NDArray[np.float32]:
    """The texture at positions in units of the body."""
    density = np.float32(texture.density)
    seen = cv2.remap(texture.tile, u * density, v * density, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return seen.astype(np.float32)


def _share(values: Values) -> Values:
    """Clip to 0..1, in place."""
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


def _threefold(values: Values) -> NDArray[np.float32]:
    """The values repeated for red, green and blue; faster to compute with than a broadcast."""
    return cv2.cvtColor(values, cv2.COLOR_GRAY2RGB).astype(np.float32, copy=False)
