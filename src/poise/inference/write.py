"""Results on disk: every file is there whole or not at all."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from poise.errors import WriteError
from poise.geometry import to_xywh
from poise.structures import Poses


def writable_folder(path: Path | str) -> Path:
    """The folder, made if it is not there.

    Raises:
        WriteError: It cannot be made or written to.
    """
    folder = Path(path)
    trial = folder / f".poise-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise WriteError(f"the folder {str(folder)!r} cannot be written: {error.strerror or error}; choose another") from error
    return folder


def write_bytes(data: bytes, path: Path | str) -> Path:
    """Write a file.

    Raises:
        WriteError: The place cannot be written.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(target)
    except OSError as error:
        raise WriteError(f"{str(target)!r} cannot be written: {error.strerror or error}; choose another place") from error
    finally:
        if draft.exists():
            draft.unlink()
    return target


def write_json(value: Any, path: Path | str) -> Path:
    """Write plain values as JSON.

    Raises:
        WriteError: The place cannot be written.
    """
    return write_bytes(json.dumps(value).encode(), path)


def write_picture(image: UInt8[np.ndarray, "H W 3"], path: Path | str) -> Path:
    """Write an RGB picture; the suffix says in which format.

    Raises:
        WriteError: The place cannot be written.
    """
    done, data = cv2.imencode(Path(path).suffix, image[..., ::-1])
    if not done:
        raise WriteError(f"the picture {str(path)!r} cannot be encoded; use .jpg or .png")
    return write_bytes(data.tobytes(), path)


def prediction_rows(poses: Poses, *, image_id: int, categories: Sequence[int]) -> list[dict[str, Any]]:
    """Poses as rows of `predictions.json`: the form of COCO's results, with file name and box (x, y, width, height)."""
    triples = np.concatenate((poses.xy.numpy(), poses.score.numpy()[..., None]), axis=-1).reshape(len(poses), -1)
    boxes = to_xywh(poses.boxes)
    return [
        {
            "image_id": image_id,
            "file_name": poses.key.file_name,
            "category_id": categories[row],
            "keypoints": [round(v, 3) for v in triples[row].tolist()],
            "score": round(float(poses.pose_score[row]), 5),
            "bbox": [round(v, 2) for v in boxes[row].tolist()],
        }
        for row in range(len(poses))
    ]
