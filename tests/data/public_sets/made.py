"""What all fakes have in common: two drawn pictures, one person in each, the first keypoint at a known place."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 96, 64
FIRST = (30.5, 20.25)
"""The first keypoint of the first person."""

BOX = (8.0, 6.0, 80.0, 50.0)
"""Box of everybody: x, y, width, height."""


@dataclass(frozen=True, kw_only=True)
class Fake:
    """Label files of a set, and how they are used.

    Attributes:
        labels: The file or folder.
        images: Folder of the images.
        skeleton: What `--skeleton` must be.
        fields: What `--fields` must be.
        keypoints: Number of keypoints.
        first: Name of the keypoint that is at `FIRST`; None where it is not looked for.
        without: What is said without these flags, a regular expression.
        refused: What is said where the form is not read at all.
    """

    labels: Path
    images: Path
    skeleton: str | None = None
    fields: tuple[str, ...] = ()
    keypoints: int = 17
    first: str | None = None
    without: str | None = None
    refused: str | None = None


def points(count: int, *, seed: int = 0) -> list[tuple[float, float]]:
    """Places of keypoints, pixels; the first is `FIRST`."""
    drawn = np.random.default_rng(seed).uniform((12, 10), (84, 52), (count, 2)).round(2)
    return [FIRST if i == 0 and seed == 0 else (float(x), float(y)) for i, (x, y) in enumerate(drawn)]


def triples(count: int, *, seed: int = 0, seen: int = 2) -> list[float]:
    """The same as x, y, visible, flat."""
    return [value for x, y in points(count, seed=seed) for value in (x, y, seen)]


def draw(folder: Path, names: list[str]) -> Path:
    """Pictures with a bright disc."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.full((HEIGHT, WIDTH, 3), 60 + 20 * i, np.uint8)
        cv2.circle(picture, (48 + 5 * i, 32), 20, (200, 180, 90), -1)
        cv2.imwrite(str(path), picture)
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
