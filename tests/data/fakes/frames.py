"""Unlabelled frames: a list, a folder, a COCO file of boxes."""

import json
from pathlib import Path

import cv2
import numpy as np

from poise.data.base import Dataset
from poise.data.frame_files import open_frames
from poise.skeletons import ANIMAL18

ROWS = [
    {"file_name": "camel_00010.jpg", "sequence": "camel", "frame": 10, "bbox": [4, 2, 30, 20], "area": 300},
    {"file_name": "camel_00004.jpg", "sequence": "camel", "frame": 4, "bbox": [3, 2, 30, 20], "area": 310},
    {"file_name": "cow_00002.jpg", "sequence": "cow", "frame": 2, "bbox": [0, 5.5, 20, 20]},
    {"file_name": "cow_00002.jpg", "sequence": "cow", "frame": 2, "bbox": [20, 5, 20, 20]},
]


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (36, 48)) -> None:
    """An image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), size[::-1]))


def write_list(folder: Path, rows=ROWS) -> Path:
    """A list of frames and its images."""
    for i, name in enumerate(dict.fromkeys(row["file_name"] for row in rows)):
        picture(folder / "images" / name, i)
    (folder / "frames.json").write_text(json.dumps(rows))
    return folder / "frames.json"


def write_folder(folder: Path, names=("run/2.png", "run/10.png", "b_1.jpg", "b_3.jpg", "dog.png")) -> Path:
    """A folder of frames."""
    for i, name in enumerate(names):
        picture(folder / name, i)
    return folder


def coco(folder: Path, **more) -> dict:
    """The content of a file of boxes, whose images are those of `write_list`."""
    write_list(folder)
    images = [
        {"id": i, "file_name": name, "width": 48, "height": 36, "video_id": "camel", "frame_id": frame}
        for i, name, frame in ((7, "camel_00010.jpg", 10), (5, "camel_00004.jpg", 4))
    ]
    annotations = [
        {"id": i, "image_id": image, "category_id": kind, "bbox": [4, 2, 30, 20], "area": 100.0, "iscrowd": crowd}
        for i, image, kind, crowd in ((1, 7, 19, 0), (2, 5, 21, 0), (3, 5, 1, 0), (4, 5, 19, 1))
    ]
    kinds = [
        {"id": 1, "name": "person", "supercategory": "person"},
        {"id": 19, "name": "horse", "supercategory": "animal"},
        {"id": 21, "name": "cow", "supercategory": "animal"},
    ]
    return {"images": images, "annotations": annotations, "categories": kinds} | more


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    listed = write_list(folder / "listed")
    (folder / "coco").mkdir()
    file = folder / "coco" / "instances.json"
    file.write_text(json.dumps(coco(folder / "coco")))
    whole = open_frames(write_folder(folder / "folder"), skeleton=ANIMAL18)
    return [
        open_frames(listed, skeleton=ANIMAL18),
        whole,
        open_frames(file, skeleton=ANIMAL18, categories=("animal",)),
    ]
