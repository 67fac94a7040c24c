"""Backgrounds of drawn figures (landscapes, rooms, blur, clutter), gradients, noise and occluders."""

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.sampling import weighted_choice
from poise.data.figures.texture import Colour, colour, mixed
from poise.dims import Size

Image = NDArray[np.uint8]

SKIES = (((130.0, 180.0, 230.0), 3.0), ((200.0, 205.0, 210.0), 2.0), ((240.0, 190.0, 150.0), 1.0), ((40.0, 46.0, 70.0), 1.0))
"""Colours of the sky (blue, overcast, evening, night) and their weights."""
GROUNDS = (((96.0, 130.0, 66.0), 3.0), ((150.0, 130.0, 100.0), 2.0), ((120.0, 120.0, 118.0), 2.0), ((214.0, 200.0, 168.0), 1.0))
"""Colours of the ground (grass, earth, asphalt, sand) and their weights."""


def backdrop(rng: np.random.Generator, size: Size, *, name: str, clutter: tuple[int, int]) -> Image:
    """A random background with objects in it that are no bodies.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        name: "landscape", "room" or "blur".
        clutter: Fewest and most objects.
    """
    image = {"landscape": _landscape, "room": _room, "blur": _blur}[name](rng, size)
    scattered(rng, image, count=int(rng.integers(clutter[0], clutter[1] + 1)))
    return image


def scattered(rng: np.random.Generator, image: Image, *, count: int) -> None:
    """Draw objects that are no bodies anywhere in an image.

    Args:
        rng: Random numbers.
        image: RGB, changed in place.
        count: Number of objects.
    """
    size = image.shape[:2]
    for _ in range(count):
        _object(rng, image, colour(rng), centre=_anywhere(rng, size), reach=rng.uniform(0.03, 0.2) * min(size))


def occluder(rng: np.random.Generator, image: Image, *, box: tuple[float, float, float, float]) -> None:
    """Draw an object over a part of a box, more often over its lower part.

    Args:
        rng: Random numbers.
        image: RGB, changed in place.
        box: The box x0 y0 x1 y1 of a figure, pixels.
    """
    x0, y0, x1, y1 = box
    centre = (rng.uniform(x0, x1), rng.uniform(y0 + 0.15 * (y1 - y0), y1))
    _object(rng, image, colour(rng), centre=centre, reach=rng.uniform(0.07, 0.19) * max(x1 - x0, y1 - y0))


def shadow(image: NDArray[np.float32], *, centre: tuple[float, float], reach: tuple[float, float]) -> None:
    """Darken an ellipse of the ground.

    Args:
        image: RGB, 0 to 255, changed in place.
        centre: Centre of the ellipse (x, y), pixels.
        reach: Half axes of the ellipse (x, y), pixels.
    """
    x0, x1 = max(int(centre[0] - reach[0]), 0), min(int(centre[0] + reach[0]) + 1, image.shape[1])
    y0, y1 = max(int(centre[1] - reach[1]), 0), min(int(centre[1] + reach[1]) + 1, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    xs = (np.arange(x0, x1, dtype=np.float32) - centre[0]) / reach[0]
    ys = (np.arange(y0, y1, dtype=np.float32) - centre[1]) / reach[1]
    fall = np.clip(1 - xs * xs - (ys * ys)[:, None], 0, 1)
    image[y0:y1, x0:x1] *= (1 - 0.55 * fall)[..., None]


def _anywhere(rng: np.random.Generator, size: Size) -> tuple[float, float]:
    return rng.uniform(0, size[1]), rng.uniform(0, size[0])


def gradient(rng: np.random.Generator, size: Size, tint: Colour, *, contrast: float, cells: int = 3) -> Image:
    """A smooth gradient between shades of a colour.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        tint: The colour.
        contrast: Largest difference of a shade, 0 to 255.
        cells: Number of shades in each direction.
    """
    grey = rng.uniform(-contrast, contrast, (cells, cells, 1)) + rng.uniform(-0.25, 0.25, (cells, cells, 3)) * contrast
    return _stretched(np.clip(np.array(tint) + grey, 0, 255).astype(np.uint8), size)


def _stretched(grid: Image, size: Size) -> Image:
    return cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def grain(rng: np.random.Generator, image: Image, *, cells: int, strength: float) -> None:
    """Add grey noise.

    Args:
        rng: Random numbers.
        image: RGB, changed in place.
        cells: The noise has `cells` x `cells` values, resized to the image.
        strength: Amplitude, as a share of 128.
    """
    noise = np.frombuffer(rng.bytes(cells * cells), np.uint8).reshape(cells, cells)
    wide = cv2.resize(noise, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    rough = cv2.cvtColor(wide, cv2.COLOR_GRAY2RGB)
    cv2.addWeighted(image, 1.0, rough, strength, -127.5 * strength, dst=image)


def _landscape(rng: np.random.Generator, size: Size) -> Image:
    """Sky over ground, with hills, houses or trees between them."""
    h, w = size
    horizon = int(h * rng.uniform(0.25, 0.75))
    image = np.empty((h, w, 3), np.uint8)
    image[:horizon] = gradient(rng, (horizon, w), mixed(weighted_choice(rng, SKIES), colour(rng), 0.4), contrast=35.0)
    image[horizon:] = gradient(rng, (h - horizon, w), mixed(weighted_choice(rng, GROUNDS), colour(rng), 0.4), contrast=35.0)
    grain(rng, image[horizon:], cells=int(rng.integers(10, 70)), strength=rng.uniform(0.1, 0.45))
    grain(rng, image[:horizon], cells=int(rng.integers(4, 8)), strength=rng.uniform(0.0, 0.4))
    line = rng.integers(3)
    if line == 0:
        xs = np.arange(0, w + 16, 16)
        ys = horizon - np.abs(rng.normal(0, 0.1 * h, len(xs)))
        hill = np.concatenate((np.stack((xs, ys), 1), [[w, horizon], [0, horizon]])).astype(np.int32)
        cv2.fillPoly(image, [hill], colour(rng), cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 6)) if line == 1 else 0):
        x, wide, high = rng.uniform(-0.1, 1) * w, rng.uniform(0.08, 0.3) * w, rng.uniform(0.1, 0.45) * h
        cv2.rectangle(image, (int(x), int(horizon - high)), (int(x + wide), horizon), colour(rng), -1)
    for _ in range(int(rng.integers(1, 4)) if line == 2 else 0):
        _tree(
            rng,
            image,
            x=rng.uniform(0, w),
            ground=horizon + rng.uniform(0, 0.2) * (h - horizon),
            high=rng.uniform(0.25, 0.6) * h,
        )
    return image


def _tree(rng: np.random.Generator, image: Image, *, x: float, ground: float, high: float) -> None:
    trunk = mixed((92.0, 66.0, 44.0), colour(rng), 0.3)
    cv2.line(image, (int(x), int(ground)), (int(x), int(ground - high)), trunk, max(2, int(0.07 * high)), cv2.LINE_AA)
    _leaves(rng, image, mixed((60.0, 100.0, 44.0), colour(rng), 0.35), centre=(x, ground - 0.8 * high), reach=0.32 * high)


def _room(rng: np.random.Generator, size: Size) -> Image:
    """A wall and a floor, with or without boards, tiles and windows."""
    h, w = size
    edge = int(h * rng.uniform(0.5, 0.92))
    image = np.empty((h, w, 3), np.uint8)
    image[:edge] = gradient(rng, (edge, w), colour(rng, loudness=0.6), contrast=20.0)
    image[edge:] = gradient(rng, (h - edge, w), colour(rng, loudness=0.6), contrast=20.0)
    grain(rng, image, cells=int(rng.integers(20, 80)), strength=rng.uniform(0.02, 0.15))
    ink = colour(rng)
    step = max(6, int(rng.uniform(0.06, 0.25) * w))
    style = rng.integers(4)
    if style == 0:
        image[:edge, rng.integers(step) :: step] = ink
    if style == 1:
        image[rng.integers(step) : edge : step] = ink
    if rng.random() < 0.5:
        vanish = (w * rng.uniform(0.2, 0.8), edge - 0.3 * h)
        for x in np.arange(-w, 2 * w, 1.5 * step):
            t = (h - edge) / max(h - vanish[1], 1.0)
            top = (int(x + (vanish[0] - x) * t), edge)
            cv2.line(image, (int(x), h), top, ink, 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(0, 0.8) * w, rng.uniform(0, 0.5) * h
        far = (int(x + rng.uniform(0.1, 0.35) * w), int(y + rng.uniform(0.1, 0.35) * h))
        cv2.rectangle(image, (int(x), int(y)), far, colour(rng), -1)
        cv2.rectangle(image, (int(x), int(y)), far, ink, 2)
    return image


def _blur(rng: np.random.Generator, size: Size) -> Image:
    """Colours without shapes, like an out-of-focus background."""
    image = gradient(rng, size, colour(rng, loudness=0.8), contrast=60.0, cells=int(rng.integers(3, 8)))
    grain(rng, image, cells=int(rng.integers(16, 100)), strength=rng.uniform(0.0, 0.3))
    return image


def _object(
    rng: np.random.Generator, image: NDArray[np.uint8], tint: Colour, *, centre: tuple[float, float], reach: float
) -> None:
    """An object that is no body: a box, a stone, a bent tube like a limb, or leaves."""
    drawn = weighted_choice(rng, ((_box, 0.3), (_stone, 0.2), (_tube, 0.28), (_leaves, 0.22)))
    drawn(rng, image, tint, centre=centre, reach=reach)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * 16).astype(np.int32)


def _box(rng: np.random.Generator, image: Image, tint: Colour, *, centre: tuple[float, float], reach: float) -> None:
    angle = rng.normal(0, 0.25)
    half = np.array((reach, reach * rng.uniform(0.4, 1.4)))
    corners = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) * half
    c, s = np.cos(angle), np.sin(angle)
    corners = corners @ np.array(((c, s), (-s, c))) + centre
    cv2.fillConvexPoly(image, _fixed(corners), tint, cv2.LINE_AA, 4)
    front = corners * (1, 1)
    front[:2] = 0.5 * (corners[:2] + corners[[3, 2]])
    cv2.fillConvexPoly(image, _fixed(front), mixed(tint, (0.0, 0.0, 0.0), 0.15), cv2.LINE_AA, 4)


def _stone(rng: np.random.Generator, image: Image, tint: Colour, *, centre: tuple[float, float], reach: float) -> None:
    middle, axes = _fixed(np.array(centre)), _fixed(np.array((reach, reach * rng.uniform(0.5, 1))))
    turned = rng.uniform(0, 180)
    for share in (0.0, 0.15, 0.3):
        lit = mixed(tint, (255.0, 255.0, 255.0), share)
        near = axes * (1 - 2.2 * share)
        cv2.ellipse(image, middle.tolist(), near.astype(np.int32).tolist(), turned, 0, 360, lit, -1, cv2.LINE_AA, 4)


def _tube(rng: np.random.Generator, image: Image, tint: Colour, *, centre: tuple[float, float], reach: float) -> None:
    """Two straight pieces with a bend between them, shaded like a limb."""
    angles = rng.normal(np.pi / 2, 0.8) + np.array((0.0, rng.normal(0, 0.6)))
    steps = np.stack((np.cos(angles), np.sin(angles)), axis=1) * reach * 1.6
    line = np.array(centre) + np.concatenate((-steps[:1], [[0, 0]], steps[1:]))
    wide = max(2, int(reach * rng.uniform(0.2, 0.55)))
    dark = mixed(tint, (0.0, 0.0, 0.0), 0.35)
    for width, shade in ((wide, dark), (max(1, wide // 2), tint)):
        cv2.polylines(image, [_fixed(line)], False, shade, width, cv2.LINE_AA, 4)


def _leaves(rng: np.random.Generator, image: Image, tint: Colour, *, centre: tuple[float, float], reach: float) -> None:
    count = 22
    spots = np.array(centre) + rng.normal(0, 0.45 * reach, (count, 2))
    shades, sizes = rng.uniform(-0.35, 0.35, count), rng.uniform(0.12, 0.38, count) * reach
    for (x, y), shade, r in zip(_fixed(spots).tolist(), shades.tolist(), _fixed(sizes).tolist(), strict=True):
        leaf = mixed(tint, (255.0, 255.0, 255.0) if shade > 0 else (0.0, 0.0, 0.0), abs(shade))
        cv2.circle(image, (x, y), max(r, 16), leaf, -1, cv2.LINE_AA, 4)
