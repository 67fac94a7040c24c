"""A made-up copy of MPII in the layout of the usual archives: two people in one image, heads in a .mat."""

import json
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from poise.data.base import Dataset
from poise.data.mat import write_mat
from poise.data.mpii import MpiiDataset

IMAGES = {"015601864.jpg": (60, 80), "015599452.jpg": (72, 50), "005808361.jpg": (48, 64)}
SHOWN = ("015601864.jpg", "015599452.jpg", "015601864.jpg", "005808361.jpg")


def rows(*, seed: int = 0) -> list[dict]:
    """A row per person, as in `train.json` and `valid.json`."""
    rng = np.random.default_rng(seed)
    people = []
    for image in SHOWN:
        h, w = IMAGES[image]
        joints = rng.uniform((2, 2), (w - 2, h - 2), (16, 2)).round(4)
        seen = rng.integers(0, 2, 16)
        seen[0], seen[1] = 1, 0
        joints[seen == 0] = -1.0
        people.append(
            {
                "joints_vis": seen.tolist(),
                "joints": joints.tolist(),
                "image": image,
                "scale": round(float(rng.uniform(0.1, 0.3)), 6),
                "center": [float(w // 2), float(h // 2)],
            }
        )
    return people


def write(folder: Path, *, seed: int = 0) -> tuple[Path, Path, Path]:
    """The JSON, the images folder, and the .mat with the head boxes."""
    file, images, heads = folder / "annot" / "valid.json", folder / "images", folder / "annot" / "gt_valid.mat"
    file.parent.mkdir(parents=True)
    images.mkdir()
    people = rows(seed=seed)
    file.write_text(json.dumps(people))
    rng = np.random.default_rng(seed)
    for name, (h, w) in IMAGES.items():
        cv2.imwrite(str(images / name), cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (w, h)))
    corners = np.array(
        [[[p["center"][0], 5.0], [p["center"][0] + 3 * (i + 1), 5.0 + 4 * (i + 1)]] for i, p in enumerate(people)]
    )
    write_mat(heads, {"headboxes_src": corners.transpose(1, 2, 0)})
    return file, images, heads


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    file, images, heads = write(folder / "mpii")
    with_heads = [MpiiDataset(file, images, heads=heads)] if find_spec("scipy") else []
    return [MpiiDataset(file, images), *with_heads]
