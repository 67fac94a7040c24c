"""Writing drawn figures as a COCO keypoint file and images."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.document import write_document
from poise.data.figures.drawn import DrawnDataset
from poise.data.figures.scene import Scene
from poise.errors import WriteError
from poise.skeletons import Skeleton
from poise.writing import check_target, write_atomic


def write_coco(dataset: DrawnDataset, folder: Path) -> Path:
    """Write `annotations.json` and `images/*.jpg` into a folder, in COCO's format.

    Segmentations are polygons around the silhouettes; boxes are x, y, width, height; all ids start at 1. The images are JPEGs
    of quality 95. Of a sequence, images say their `sequence` and `frame`, annotations their `track_id`, and `frames.json` lists
    frames with boxes and areas alone, as unlabelled video for adaptation (`poise adapt`). Of rendered people, annotations have
    `keypoints_3d`: right, down and forward in the axes of the camera, metres, one keypoint after the other.

    Args:
        dataset: The data set to write.
        folder: The folder; it is made if it does not exist, and files of the same names are replaced.

    Returns:
        Path of the annotation file. It is written last, so if it exists the images are complete.

    Raises:
        WriteError: The folder cannot be written.
    """
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    frames: list[dict[str, Any]] = []
    target = folder / "annotations.json"
    check_target(target)
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write the drawn data set to {folder}: {error}; choose a folder you may write to") from error
    for i in range(len(dataset)):
        scene, key = dataset.scene(i), dataset.key(i)
        write_atomic(folder / "images" / key.file_name, _jpeg(scene.image))
        height, width = scene.image.shape[:2]
        place = {} if key.frame is None else {"sequence": dataset.sequence(i), "frame": key.frame}
        images.append({"id": key.image_id, "file_name": key.file_name, "width": width, "height": height} | place)
        rows = _annotations(scene, image_id=key.image_id, first=len(people) + 1)
        people += [row | {"track_id": n + 1} for n, row in enumerate(rows)] if place else rows
        frames += [{"file_name": key.file_name, **place, "bbox": row["bbox"], "area": row["area"]} for row in rows if place]
    whole = {"images": images, "annotations": people, "categories": [_category(dataset.skeleton)]}
    if frames:
        write_atomic(folder / "frames.json", json.dumps(frames, indent=1).encode())
    write_document(whole, target)
    return target


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    done, packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 95))
    assert done, "OpenCV always has a JPEG encoder"
    return bytes(packed.tobytes())


def _category(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "person" if skeleton.name == "coco17" else skeleton.name,
        "supercategory": "drawn figure",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
        "sigmas": list(skeleton.sigmas),
    }


def _annotations(scene: Scene, *, image_id: int, first: int) -> list[dict[str, Any]]:
    rows = []
    for n, (xy, visible, box) in enumerate(zip(scene.xy, scene.visible, scene.boxes, strict=True)):
        x0, y0, x1, y1 = (round(float(v), 2) for v in box)
        flat = [v for (x, y), seen in zip(xy.tolist(), visible.tolist(), strict=True) for v in (round(x, 2), round(y, 2), seen)]
        rows.append(
            {
                "id": first + n,
                "image_id": image_id,
                "category_id": 1,
                "keypoints": flat,
                "num_keypoints": int((visible > 0).sum()),
                "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
                "area": float(scene.area[n]),
                "segmentation": _polygons(scene.silhouettes[n]),
                "iscrowd": 0,
            }
            | ({} if scene.joints is None else {"keypoints_3d": np.round(scene.joints[n].astype(float), 4).ravel().tolist()})
        )
    return rows


def _polygons(silhouette: NDArray[np.bool_]) -> list[list[float]]:
    found, _ = cv2.findContours(silhouette.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    return [[float(v) for v in line.reshape(-1)] for line in found if len(line) >= 3]
