"""The canvas: paints tubes with depth, light and wrapped coats, one small window each.

Every part is a tube whose cross-section is an ellipse, so distance, depth and normal of each pixel are known in closed form: parts
hide each other where they do in space, stripes bend around limbs, and edges are smooth.
"""

import math
from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.coat import Coat
from poise.data.figures.part import Figure, Part

Window = NDArray[np.float32]


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
        depth: H x W, of the surface of the figure that is being painted.
        inside: H x W, the silhouette of the figure that is being painted.
    """

    OCCLUDER = 255

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image.astype(np.float32)
        self.owner = np.zeros(image.shape[:2], np.uint8)
        self.depth = np.empty(image.shape[:2], np.float32)
        self.inside = np.zeros(image.shape[:2], np.bool_)

    def draw(self, figure: Figure, camera: Camera, light: Light, *, number: int) -> None:
        """Paint a figure over what is there and note its pixels as `number` in `owner`."""
        self.depth.fill(-np.inf)
        self.inside.fill(False)
        ends = np.array([(p.start, p.end) for p in figure.parts]).reshape(-1, 3)
        seen = camera.project(ends).reshape(-1, 2, 4)
        for i in np.argsort(seen[:, :, 2].sum(axis=1), kind="stable"):
            self._paint(figure.parts[i], seen[i], light)
        self.owner[self.inside] = number

    def _paint(self, part: Part, ends: NDArray[np.float64], light: Light) -> None:
        """One tube; `ends` are the two rows of `Camera.project`."""
        (ax, ay, az, near_a), (bx, by, bz, near_b) = ends.tolist()
        dx, dy = bx - ax, by - ay
        length = math.hypot(dx, dy)
        ux, uy = (dx / length, dy / length) if length > 1e-3 else (0.0, 1.0)
        across_factor, cap, thick = _support(part, ux, uy)
        magnified = (near_a, 0.5 * (near_a + near_b), near_b)
        r0, r1, r2 = (max(float(r) * near * across_factor, 0.45) for r, near in zip(part.radii, magnified, strict=True))
        reach = max(r0, r1, r2) * max(cap, 1.0) + 1.5
        x0, x1 = max(math.floor(min(ax, bx) - reach), 0), min(math.ceil(max(ax, bx) + reach) + 1, self.owner.shape[1])
        y0, y1 = max(math.floor(min(ay, by) - reach), 0), min(math.ceil(max(ay, by) + reach) + 1, self.owner.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        xs = np.arange(x0 - ax, x1 - ax - 0.5, dtype=np.float32)[None]
        ys = np.arange(y0 - ay, y1 - ay - 0.5, dtype=np.float32)[:, None]
        along = xs * ux + ys * uy
        across = ys * ux - xs * uy
        reached = np.clip(along, 0, length)
        t = reached * (1 / max(length, 1e-3))
        radius = r0 + t * ((4 * r1 - 3 * r0 - r2) + t * (2 * (r0 + r2) - 4 * r1))
        np.maximum(radius, 0.4, out=radius)
        over = (along - reached) * (1 / cap)
        inverse = 1 / radius
        q, o = across * inverse, over * inverse
        squared = q * q + o * o
        cover = np.clip((1 - np.sqrt(squared)) * radius + 0.5, 0, 1)
        if not cover.any():
            return
        rise = np.sqrt(np.maximum(1 - squared, 0))
        depth = az + (bz - az) * t + rise * radius * thick
        window = (slice(y0, y1), slice(x0, x1))
        behind = self.depth[window]
        alpha = cover * np.clip((depth - behind) * 0.7 + 0.5, 0, 1)
        lx, ly, lz = light.direction
        lit = q * (ly * ux - lx * uy) + o * (lx * ux + ly * uy) + rise * lz
        shade = (light.ambient + light.lamp * np.maximum(lit, 0)) * (0.72 + 0.28 * rise)
        pixels = 2 / (near_a + near_b)
        colour = _wrapped(part.coat, across * (pixels * (1 + 0.3 * q * q)), along * pixels)
        if part.trim is not None:
            wx, wy, wz = map(float, part.trim.direction)
            border = part.trim.along * t + q * (wy * ux - wx * uy) + o * (wx * ux + wy * uy) + rise * wz
            share = np.clip((border - part.trim.offset) * part.trim.sharp + 0.5, 0, 1)[..., None]
            other = _wrapped(part.trim.coat, across * (pixels * (1 + 0.3 * q * q)), along * pixels)
            colour += share * (other - colour)
        picture = self.image[window]
        picture += alpha[..., None] * (colour * shade[..., None] - picture)
        solid = alpha > 0.5
        np.copyto(behind, depth, where=solid)
        self.inside[window] |= cover > 0.5


def _support(part: Part, ux: float, uy: float) -> tuple[float, float, float]:
    """How far the cross-section reaches across the tube; then its cap and its thickness, as shares of that."""
    if part.shape is None:
        return 1.0, 1.0, 1.0
    columns = part.shape.T.tolist()
    across = math.sqrt(sum((x * -uy + y * ux) ** 2 for x, y, _ in columns))
    cap = math.sqrt(sum((x * ux + y * uy) ** 2 for x, y, _ in columns))
    thick = math.sqrt(sum(z * z for _, _, z in columns))
    return across, cap / across, thick / across


def _wrapped(coat: Coat, u: Window, v: Window) -> Window:
    """The coat at places in units of the body."""
    density = np.float32(coat.density)
    seen = cv2.remap(coat.tile, u * density, v * density, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return seen.astype(np.float32)
