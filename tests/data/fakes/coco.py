"""A made-up copy of COCO in its real layout: people, a crowd, an image without anybody; images in a folder and a zip."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.subset import Subset
from poise.skeletons import COCO17, LSP14

SIZES = ((48, 64), (60, 40), (50, 50), (33, 47))


def category(keypoints: tuple[str, ...], *, category_id: int = 1, name: str = "person") -> dict:
    return {"id": category_id, "name": name, "supercategory": name, "keypoints": list(keypoints), "skeleton": [[1, 2], [2, 3]]}


def annotation(number: int, image: dict, count: int, rng: np.random.Generator) -> dict:
    h, w = image["height"], image["width"]
    xy = rng.uniform((5, 5), (w - 5, h - 5), (count, 2)).round(1)
    visible = np.concatenate(([2, 1, 0], rng.integers(0, 3, count - 3)))
    keypoints = [[float(x), float(y), int(v)] if v else [0, 0, 0] for (x, y), v in zip(xy, visible, strict=True)]
    x0, y0 = xy.min(axis=0) - 2
    x1, y1 = xy.max(axis=0) + 2
    box = [round(float(v), 2) for v in (x0, y0, x1 - x0, y1 - y0)]
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box,
        "area": round(box[2] * box[3] / 2, 2),
        "num_keypoints": int((visible > 0).sum()),
        "keypoints": [v for point in keypoints for v in point],
        "segmentation": [[box[0], box[1], box[0] + box[2], box[1], box[0], box[1] + box[3]]],
    }


def crowd(number: int, image: dict, count: int) -> dict:
    h, w = image["height"], image["width"]
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": 1,
        "iscrowd": 1,
        "bbox": [0.0, 0.0, 10.0, float(h)],
        "area": 10.0 * h,
        "num_keypoints": 0,
        "keypoints": [0] * (3 * count),
        "segmentation": {"size": [h, w], "counts": [0, 10 * h, (w - 10) * h]},
    }


def document(keypoints: tuple[str, ...] = COCO17.keypoints, *, seed: int = 0) -> dict:
    """Four images: two people, one person, a person and a crowd, nobody."""
    rng = np.random.default_rng(seed)
    images = [
        {"id": 11 * (i + 1), "file_name": f"{i + 1:012d}.jpg", "height": h, "width": w, "sequence": "ab"[i % 2]}
        for i, (h, w) in enumerate(SIZES)
    ]
    people = [annotation(i + 1, images[place], len(keypoints), rng) for i, place in enumerate((0, 0, 1, 2))]
    people.append(crowd(5, images[2], len(keypoints)))
    return {"info": {"description": "made up"}, "images": images, "annotations": people, "categories": [category(keypoints)]}


def write(folder: Path, keypoints: tuple[str, ...] = COCO17.keypoints, *, seed: int = 0) -> tuple[Path, Path]:
    """The annotation file and the images folder, as COCO's archives unpack."""
    file, images = folder / "annotations" / "person_keypoints_val2017.json", folder / "val2017"
    file.parent.mkdir(parents=True)
    images.mkdir()
    made = document(keypoints, seed=seed)
    rng = np.random.default_rng(seed)
    for record in made["images"]:
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        pixels = cv2.resize(coarse, (record["width"], record["height"]), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(images / record["file_name"]), pixels)
    file.write_text(json.dumps(made))
    return file, images


def datasets(folder: Path) -> list[Dataset]:
    """The data sets that the laws are tried on."""
    file, images = write(folder / "coco")
    archive = folder / "val2017.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in images.iterdir():
            packed.write(path, f"val2017/{path.name}")
    other = CocoDataset(*write(folder / "lsp", LSP14.keypoints, seed=1))
    coco = CocoDataset(file, images)
    return [
        coco,
        CocoDataset(file, archive),
        CocoDataset(file, images, skeleton=LSP14),
        CombinedDataset([coco, other]),
        Subset(other, [2, 0]),
    ]
