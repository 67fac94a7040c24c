"""Writing results; every file is written atomically."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

import numpy as np

from poise.data.images import write_image
from poise.errors import InputError, WriteError
from poise.geometry import xyxy_to_xywh
from poise.inference.request import ImagePoses
from poise.inference.sources import Source
from poise.models.base import PoseModel
from poise.structures import Poses
from poise.viz.draw import draw_people
from poise.writing import write_atomic


def writable_folder(path: Path | str) -> Path:
    """The folder, created if missing.

    Raises:
        WriteError: It cannot be created or written to.
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


@contextmanager
def results_folder(path: Path | str) -> Iterator[Path]:
    """The folder, created if missing; if the block fails and the folder is new and empty, it is removed.

    Raises:
        WriteError: It cannot be created or written to.
    """
    there = Path(path).exists()
    folder = writable_folder(path)
    try:
        yield folder
    except BaseException:
        if not there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def write_json(value: Any, path: Path | str) -> Path:
    """Write plain values as JSON.

    Raises:
        WriteError: The file cannot be written.
    """
    write_atomic(path, json.dumps(value).encode())
    return Path(path)


def prediction_rows(poses: Poses, *, image_id: int, categories: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of `predictions.json`: COCO's results with file name, box (x, y, width, height) and box score."""
    triples = np.concatenate((poses.xy.numpy(), poses.score.numpy()[..., None]), axis=-1).reshape(
        len(poses), 3 * poses.xy.shape[1]
    )
    boxes = xyxy_to_xywh(poses.boxes)
    return [
        {
            "image_id": image_id,
            "file_name": poses.key.file_name,
            "category_id": categories[index],
            "keypoints": [round(v, 3) for v in triples[index].tolist()],
            "score": round(float(poses.pose_score[index]), 5),
            "bbox": [round(v, 2) for v in boxes[index].tolist()],
            "box_score": round(float(poses.box_score[index]), 5),
        }
        for index in range(len(poses))
    ]


@final
class Writer:
    """Writes a picture of every image as it comes, and `predictions.json` at the end.

    Args:
        folder: Folder of the pictures and of `predictions.json`.
        model: Model whose skeleton is drawn.
        sources: The images.
        categories: Category id of each given box, by image id; without it all poses have category 1.
        draw_boxes: Whether given boxes are drawn. Boxes of a model that takes none are always drawn.
        min_score: Lowest pose score that is kept.
        min_box_score: Lowest box score that is kept.

    Raises:
        InputError: A picture would overwrite one of the images.
    """

    def __init__(
        self,
        folder: Path,
        model: PoseModel,
        sources: Sequence[Source],
        *,
        categories: Mapping[int, Sequence[int]] | None = None,
        draw_boxes: bool = False,
        min_score: float = 0.0,
        min_box_score: float = 0.0,
    ) -> None:
        self.folder, self.model, self.categories = folder, model, categories
        self.predictions = folder / "predictions.json"
        self.min_score, self.min_box_score = min_score, min_box_score
        self.draw_boxes = draw_boxes or not model.takes_boxes
        self.rows: list[dict[str, Any]] = []
        self.used_boxes = 0
        self.lost_boxes = 0
        taken = {source.path.resolve() for source in sources}
        hit = next((s for s in sources if self._picture(s.name).resolve() in taken), None)
        if hit is not None:
            raise InputError(f"the picture of {hit.name!r} would overwrite an image; give another folder with --out")

    def add(self, found: ImagePoses) -> None:
        """Draw an image and keep its rows; nothing where none of its boxes could be used.

        Raises:
            WriteError: The file cannot be written.
        """
        key = found.poses.key
        known = None if self.categories is None else self.categories[key.image_id]
        categories = [1] * len(found.poses) if known is None else [known[index] for index in found.boxes]
        self.lost_boxes += found.lost_boxes
        self.used_boxes += len(found.boxes)
        if not found.boxes and found.lost_boxes:
            return
        confident = (found.poses.pose_score >= self.min_score) & (found.poses.box_score >= self.min_box_score)
        kept = confident.nonzero().flatten()
        poses = found.poses[kept]
        self.rows += prediction_rows(poses, image_id=key.image_id, categories=[categories[i] for i in kept.tolist()])
        drawn = draw_people(
            found.image.permute(1, 2, 0).numpy(),
            poses.xy,
            poses.score,
            self.model.skeleton,
            boxes=poses.boxes if self.draw_boxes else None,
            min_score=self.model.preprocess.min_keypoint_score,
        )
        write_image(self._picture(key.file_name), drawn)

    def finish(self) -> Path:
        """Write `predictions.json`.

        Raises:
            WriteError: The file cannot be written.
        """
        return write_json(self.rows, self.predictions)

    def _picture(self, name: str) -> Path:
        flat = name.replace("/", "_")
        return self.folder / (flat if flat.lower().endswith((".jpg", ".jpeg")) else f"{flat}.jpg")
