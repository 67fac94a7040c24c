"""Rendering of figures: tubes with depth, light and texture.

Every part is a tube with an elliptical cross-section, so distance, depth and normal of each pixel have a closed form. Parts
therefore occlude each other as in space, textures bend around limbs, and edges are smooth.
"""

from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.body_part import BodyPart, Figure
from poise.data.figures.surface import Surface, Tube, share, threefold, together
from poise.data.figures.texture import Texture


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
        far_to_near = np.argsort(seen[:, :, 2].sum(axis=1), kind="stable")
        height, width = self.owner.shape
        for surface in together([Tube.of(figure.parts[i], seen[i]) for i in far_to_near], (height, width)):
            self._paint(surface, light)
        self.owner[self.inside] = number

    def _paint(self, surface: Surface, light: Light) -> None:
        lit = surface.towards(*light.direction)
        shade = (light.ambient + light.lamp * np.maximum(lit, 0)) * (0.72 + 0.28 * surface.rise)
        colours = _coloured(surface)
        colours *= threefold(shade)
        for (x0, y0, x1, y1), begin, end in zip(surface.windows, surface.begins, surface.begins[1:], strict=False):
            window, shape = (slice(y0, y1), slice(x0, x1)), (y1 - y0, x1 - x0)
            colour = colours[begin:end].reshape(*shape, 3)
            cover, depth = (values[begin:end].reshape(shape) for values in (surface.cover, surface.depth))
            pixels, behind = self.image[window], self.depth[window]
            alpha = cover * share((depth - behind) * 0.7 + 0.5)
            colour -= pixels
            colour *= threefold(alpha)
            pixels += colour
            np.copyto(behind, depth, where=alpha > 0.5)
            self.inside[window] |= cover > 0.5


def _coloured(surface: Surface) -> NDArray[np.float32]:
    """The colours of the parts' textures, without light."""
    colours = np.empty((surface.begins[-1], 3), np.float32)
    for i, tube in enumerate(surface.tubes):
        colours[surface.begins[i] : surface.begins[i + 1]] = _dressed(tube.part, surface, i)
    return colours


def _dressed(part: BodyPart, surface: Surface, number: int) -> NDArray[np.float32]:
    """The colours of one part."""
    alone = surface.part(number)
    colour = _wrapped(part.texture, alone)
    trim = part.trim
    if trim is not None:
        x, y, z = map(float, trim.direction)
        border = trim.along * alone.t + alone.towards(x, y, z)
        colour += threefold(share((border - trim.offset) * trim.sharp + 0.5)) * (_wrapped(trim.texture, alone) - colour)
    return colour


def _wrapped(texture: Texture, alone: Surface) -> NDArray[np.float32]:
    """The texture on the surface of one part."""
    density = np.float32(texture.density)
    x0, y0, x1, y1 = alone.windows[0]
    u, v = ((values * density).reshape(y1 - y0, x1 - x0) for values in (alone.u, alone.v))
    seen = cv2.remap(texture.tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return seen.astype(np.float32).reshape(-1, 3)
