"""Made-up copies of TigDog and of the synthetic animals, in the layout of the releases."""

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from poise.data import mat
from poise.data.base import Dataset
from poise.data.synthetic_animals import VERTICES, SyntheticAnimals
from poise.data.tigdog import TigDogDataset

RANGES = ((1, 1, 4), (2, 5, 6), (7, 7, 7), (12, 20, 22))
"""Shot, first and last frame; shot 2 has no landmarks."""

TIG_SIZE = (36, 64)


def picture(path: Path, size: tuple[int, int], seed: int) -> None:
    """An image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), size[::-1]))


def landmarks(frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (19 x 2) and visibility (19 x 1) of a frame; frame 3 shows nine of the first 18, the others ten and more."""
    rng = np.random.default_rng(frame)
    seen = np.ones((19, 1))
    seen[(9 if frame == 3 else 10 + frame % 8) : 18] = 0
    return rng.uniform((3, 3), (60, 33), (19, 2)).round(2), seen.astype(np.uint8)


def nested(entries: list, how: str = "struct") -> np.ndarray:
    """Entries of `landmarks` of a shot: structs of two fields in cells, or structs of one cell with two."""
    if how == "struct":
        made = np.empty((len(entries), 1), dtype=object)
        for i, entry in enumerate(entries):
            made[i, 0] = {"positions": entry[0], "visibility": entry[1]} if entry is not None else np.zeros((0, 0))
        return made
    rows = np.zeros((len(entries), 1), dtype=[("points", "O")])
    for i, entry in enumerate(entries):
        pair = np.empty((1, 2), dtype=object)
        pair[0, 0], pair[0, 1] = entry
        rows[i, 0]["points"] = pair
    return rows


def write_tigdog(folder: Path, *, animal: str = "horse", ranges=RANGES, how: str = "struct") -> Path:
    """The folder `behaviorDiscovery2.0` of an animal."""
    from scipy.io import savemat

    base = folder / "behaviorDiscovery2.0"
    (base / "ranges" / animal).mkdir(parents=True)
    (base / "landmarks" / animal).mkdir(parents=True)
    savemat(base / "ranges" / animal / "ranges.mat", {"ranges": np.array(ranges, dtype=np.int32)})
    for shot, first, last in ranges:
        frames = range(first, last + 1)
        if shot != 2:
            entries = nested([landmarks(frame) for frame in frames], how)
            savemat(base / "landmarks" / animal / f"{shot}.mat", {"landmarks": entries})
        for frame in frames:
            picture(base / animal / f"{frame:08d}.jpg", TIG_SIZE, frame)
    return base


def vertices(animal: str, seed: int) -> np.ndarray:
    """Positions and visibility of the vertices of a mesh; some lie outside the image."""
    rng = np.random.default_rng(seed)
    count = 3299 if animal == "horse" else max(VERTICES[animal]) + 5
    return np.hstack([rng.uniform((-20, 100), (400, 470), (count, 2)), rng.integers(0, 2, (count, 1))])


def write_synthetic(folder: Path, *, animal: str = "horse", count: int = 5) -> Path:
    """The folder `synthetic_animal` of an animal."""
    base = folder / "synthetic_animal"
    place = base / f"{animal}_combineds5r5_texture"
    place.mkdir(parents=True)
    for i in range(count):
        picture(place / f"{i}_img.png", (480, 640), i)
        np.save(place / f"{i}_kpts.npy", vertices(animal, i))
        parts = np.zeros((480, 640), np.uint8)
        parts[100:400, 50:300] = np.arange(1, 10).repeat(28)[:250]
        cv2.imwrite(str(place / f"{i}_seg.png"), parts)
    return base


@contextmanager
def scipy_here():
    """While this lasts MATLAB files are read in this process: starting another takes a second."""
    from scipy.io import loadmat

    before = mat._loaded
    mat._loaded = lambda paths: [loadmat(path, simplify_cells=True) for path in paths]
    try:
        yield
    finally:
        mat._loaded = before


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    elephants = write_synthetic(folder / "elephants", animal="elephant", count=1)
    synthetic = [SyntheticAnimals(write_synthetic(folder, count=2)), SyntheticAnimals(elephants, "elephant")]
    if not find_spec("scipy"):
        return [*synthetic]
    with scipy_here():
        return [*synthetic, TigDogDataset(write_tigdog(folder))]
