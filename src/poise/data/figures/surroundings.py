"""Further backgrounds (noise, gradients, shapes, images of a folder), strands in front of figures, and shadows of a light."""

import functools
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.backdrop import backdrop, gradient, grain, scattered
from poise.data.figures.body_part import Figure
from poise.data.figures.canvas import Camera, Light
from poise.data.figures.look import Look
from poise.data.figures.sampling import weighted_choice
from poise.data.figures.texture import colour
from poise.data.images import SUFFIXES, read_image
from poise.dims import Size
from poise.errors import ReadError, missing

Image = NDArray[np.uint8]


def background(rng: np.random.Generator, size: Size, look: Look) -> Image:
    """A random background of a look.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        look: Which backgrounds there are.

    Raises:
        ReadError: The folder of the look has no images.
    """
    name = weighted_choice(rng, look.backgrounds)
    if name == "folder":
        assert look.folder is not None, "a look checks it"
        return _photo(rng, size, look.folder)
    if name == "noise":
        return _noise(rng, size)
    if name == "gradient":
        return gradient(rng, size, colour(rng, loudness=0.8), contrast=float(rng.uniform(5, 60)))
    if name == "shapes":
        image = gradient(rng, size, colour(rng), contrast=30.0)
        scattered(rng, image, count=int(rng.integers(10, 50)))
        return image
    return backdrop(rng, size, name=name, clutter=look.clutter)


def _noise(rng: np.random.Generator, size: Size) -> Image:
    """Coloured noise of several scales."""
    image = gradient(rng, size, colour(rng), contrast=60.0, cells=int(rng.integers(2, 9)))
    for cells in (6, 20, 64, 160):
        grain(rng, image, cells=cells, strength=float(rng.uniform(0.0, 0.45)))
    return image


@functools.lru_cache(maxsize=8)
def _photos(folder: Path) -> tuple[Path, ...]:
    """The images of a folder and of its subfolders, sorted."""
    if not folder.is_dir():
        raise ReadError(missing("folder of backgrounds", folder))
    found = [Path(at, name) for at, _, names in os.walk(folder) for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not found:
        raise ReadError(
            f"{str(folder)!r} has no images for backgrounds; name a folder with images ({', '.join(sorted(SUFFIXES))})"
        )
    return tuple(sorted(found))


@functools.lru_cache(maxsize=64)
def _photo_pixels(path: Path) -> Image:
    """The image, at most 640 pixels on its longer side."""
    pixels: Image = read_image(path).permute(1, 2, 0).numpy()
    share = 640 / max(pixels.shape[:2])
    if share >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _photo(rng: np.random.Generator, size: Size, folder: Path) -> Image:
    """A random part of a random image, sometimes mirrored."""
    paths = _photos(folder)
    pixels = _photo_pixels(paths[int(rng.integers(len(paths)))])
    h, w = pixels.shape[:2]
    share = rng.uniform(0.5, 1) * min(h / size[0], w / size[1])
    high, wide = max(1, int(share * size[0])), max(1, int(share * size[1]))
    y, x = int(rng.integers(h - high + 1)), int(rng.integers(w - wide + 1))
    part = pixels[y : y + high, x : x + wide]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    wanted = (size[1], size[0])
    return cv2.resize(np.ascontiguousarray(part), wanted, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def strands(rng: np.random.Generator, image: Image, *, box: tuple[float, float, float, float]) -> None:
    """Draw grass before the feet, or poles and wires before the body of a figure.

    Args:
        rng: Random numbers.
        image: RGB, changed in place.
        box: The box x0 y0 x1 y1 of the figure, pixels.
    """
    (_grass if rng.random() < 0.55 else _fence)(rng, image, box)


def _grass(rng: np.random.Generator, image: Image, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    high, count = 0.16 * (y1 - y0) * rng.uniform(0.4, 1.5), int(rng.integers(20, 90))
    root = np.stack((rng.uniform(x0 - 10, x1 + 10, count), y1 + rng.uniform(-0.02, 0.06, count) * (y1 - y0)), axis=1)
    tip = root + np.stack((rng.normal(0, 0.35, count) * high, -high * rng.uniform(0.3, 1, count)), axis=1)
    tint = np.clip(np.array((90.0, 120.0, 60.0)) * rng.uniform(0.6, 1.4, 3), 0, 255)
    shades = np.clip(tint * rng.uniform(0.7, 1.3, (count, 1)), 0, 255)
    wide = max(1, round(0.006 * (x1 - x0)))
    for a, b, shade in zip(_sixteenths(root), _sixteenths(tip), shades.tolist(), strict=True):
        cv2.line(image, a, b, shade, wide, cv2.LINE_AA, 4)


def _fence(rng: np.random.Generator, image: Image, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    tint, wide, high = colour(rng, loudness=0.4), max(1, int(rng.uniform(0.008, 0.045) * (x1 - x0))), y1 - y0
    top = y0 + rng.uniform(0.1, 0.75) * high
    for _ in range(int(rng.integers(1, 4))):
        x, lean = rng.uniform(x0, x1), rng.normal(0, 0.02) * high
        ends = _sixteenths(np.array(((x, y1 + 0.1 * high), (x + lean, top))))
        cv2.line(image, ends[0], ends[1], tint, wide, cv2.LINE_AA, 4)
    for _ in range(int(rng.integers(0, 3))):
        y, slope = rng.uniform(top, y1), rng.normal(0, 0.05) * (x1 - x0)
        ends = _sixteenths(np.array(((x0 - 20, y), (x1 + 20, y + slope))))
        cv2.line(image, ends[0], ends[1], tint, max(1, wide // 2), cv2.LINE_AA, 4)


def _sixteenths(points: NDArray[np.float64]) -> list[list[int]]:
    whole: list[list[int]] = np.round(16 * points).astype(int).tolist()
    return whole


def cast_shadow(image: NDArray[np.float32], figure: Figure, camera: Camera, light: Light) -> None:
    """Darken the ground where the figure keeps the light away, or below the figure where the light is too low.

    Args:
        image: RGB, 0 to 255, changed in place.
        figure: The figure.
        camera: Its camera.
        light: The light.
    """
    down, towards = np.array(figure.down), np.array(light.direction)
    steep = -float(towards @ down)
    if steep < 0.35:
        towards, steep = -down, 1.0
    ends = np.array([(part.start, part.end) for part in figure.parts]).reshape(-1, 3)
    fall = (figure.foot - ends @ down) / steep
    seen = camera.project(ends - fall[:, None] * towards)
    mask = np.zeros((image.shape[0] // 2 + 1, image.shape[1] // 2 + 1), np.uint8)
    places = np.round(8 * seen[:, :2]).astype(int).reshape(-1, 2, 2).tolist()
    flat = max(0.25, abs(figure.down[2]))
    for part, (a, b), near in zip(figure.parts, places, seen[::2, 3].tolist(), strict=True):
        if max(map(abs, (*a, *b))) < 2**15:
            cv2.line(mask, a, b, 255, max(1, round(1.6 * flat * max(part.radii) * near)), cv2.LINE_8, 4)
    soft = cv2.GaussianBlur(mask, (7, 7), 1.8)
    dark = cv2.resize(soft, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    image *= (1 - (0.5 / 255) * dark.astype(np.float32))[..., None]
