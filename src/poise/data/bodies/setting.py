"""What is around rendered people: the shadow on the ground, and pieces of other pictures in front of them."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from poise.data.bodies.camera import Camera
from poise.data.bodies.kernels import Floats
from poise.data.bodies.people import Person
from poise.data.figures.canvas import Canvas
from poise.data.figures.look import Look
from poise.data.figures.surroundings import background

PIECES: Final = 0.3
"""Chance of a piece of another picture in front of a person."""


def cast(image: Floats, people: Sequence[Person], camera: Camera, towards: Floats) -> None:
    """Darken the ground where people keep the light away.

    Args:
        image: RGB (H W 3), changed in place.
        people: The people.
        camera: The camera.
        towards: Where the light comes from (3); one that is low is taken as higher.
    """
    steep = max(float(towards[2]), 0.45)
    points = np.concatenate([who.vertices[::7] for who in people])
    points = points - points[:, 2:] * np.array((towards[0] / steep, towards[1] / steep, 1), np.float32)
    seen = camera.project(points)
    height, width = image.shape[0] // 4 + 1, image.shape[1] // 4 + 1
    at = np.floor(seen[seen[:, 2] > 0.3, :2] / 4)
    at = at[((at >= 0) & (at < (width, height))).all(axis=1)].astype(np.int64)
    mask = np.zeros((height, width), np.float32)
    mask[at[:, 1], at[:, 0]] = 1
    soft = cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)), (5, 5), 1.0)
    dark = cv2.resize(soft, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    image *= (1 - 0.45 * dark)[..., None]


def piece_in_front(rng: np.random.Generator, canvas: Canvas, look: Look, box: tuple[float, float, float, float]) -> None:
    """Cover a part of a person, mostly the lower one or a side, with a piece of another background, as a table or a wall does.

    Args:
        rng: Random numbers.
        canvas: The image and whose each pixel is, changed in place.
        look: Which backgrounds there are.
        box: Box of the person x0 y0 x1 y1, pixels.
    """
    height, width = canvas.owner.shape
    (x0, y0, x1, y1), other = box, background(rng, (height, width), look)
    mask = np.zeros((height, width), np.uint8)
    wide, high = x1 - x0, y1 - y0
    if rng.random() < 0.55:  # from below: a table, a counter, a fence
        top = y1 - rng.uniform(0.08, 0.55) * high
        corners = [(x0 - rng.uniform(0, 1) * wide, top), (x1 + rng.uniform(0, 1) * wide, top + rng.normal(0, 0.06) * high)]
        corners += [(corners[1][0], height), (corners[0][0], height)]
    elif rng.random() < 0.5:  # from a side: a wall, a door, a post
        edge, lean = x0 + rng.uniform(0.1, 0.4) * wide, rng.normal(0, 0.06) * wide
        corners = [(edge, -1), (edge + lean, height), (edge - rng.uniform(0.2, 2) * wide, height), (edge - wide, -1)]
        if rng.random() < 0.5:
            corners = [(x0 + x1 - x, y) for x, y in corners]
    else:  # a thing that is held or lies in front
        turn = np.linspace(0, 2 * np.pi, int(rng.integers(4, 12)), endpoint=False)
        reach = rng.uniform(0.08, 0.25) * max(wide, high) * rng.uniform(0.7, 1.2, len(turn))
        x, y = rng.uniform(x0, x1), rng.uniform(y0 + 0.2 * high, y1)
        corners = list(zip(x + reach * np.cos(turn), y + reach * np.sin(turn), strict=True))
    cv2.fillPoly(mask, [np.round(np.array(corners)).astype(np.int32)], 1)
    covered = mask.astype(bool)
    canvas.image[covered] = other[covered]
    canvas.owner[covered] = Canvas.OCCLUDER
