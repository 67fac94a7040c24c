"""Results on disk: every file is there whole or not at all."""

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


@contextmanager
def results_folder(path: Path | str) -> Iterator[Path]:
    """The folder for the work inside the block; one that it made and that is still empty goes again where the work fails.

    Raises:
        WriteError: It cannot be made or written to.
    """
    there = Path(path).exists()
    folder = writable_folder(path)
    try:
        yield folder
    except BaseException:
        if not there:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise


def write_json(value: Any, path: Path | str) -> Path:
    """Write plain values as JSON.

    Raises:
        WriteError: The place cannot be written.
    """
    write_atomic(path, json.dumps(value).encode())
    return Path(path)


def prediction_rows(poses: Poses, *, image_id: int, categories: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of `predictions.json`: COCO's results, with file name, box (x, y, width, height) and the score of the box."""
    triples = np.concatenate((poses.xy.numpy(), poses.score.numpy()[..., None]), axis=-1).reshape(
        len(poses), 3 * poses.xy.shape[1]
    )
    boxes = xyxy_to_xywh(poses.boxes)
    return [
        {
            "image_id": image_id,
            "file_name": poses.key.file_name,
            "category_id": categories[row],
            "keypoints": [round(v, 3) for v in triples[row].tolist()],
            "score": round(float(poses.pose_score[row]), 5),
            "bbox": [round(v, 2) for v in boxes[row].tolist()],
            "box_score": round(float(poses.box_score[row]), 5),
        }
        for row in range(len(poses))
    ]


@final
class Writer:
    """Writes the picture of every image as it comes, and all rows at the end.

    Args:
        folder: For the pictures and `predictions.json`.
        model: Whose skeleton is drawn.
        sources: The images.
        categories: Of each box of a file, by image id; everybody else is of category 1.
        draw_boxes: Whether boxes are drawn that people were looked for in. Those of a model that takes none are drawn always.
        min_score: People with a lower score are left out.
        min_box_score: So are people whose box has a lower one.

    Raises:
        InputError: A picture would take the place of one of the images.
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
        """Draw an image and keep its rows; nothing where it has boxes and none could be looked into.

        Raises:
            WriteError: The place cannot be written.
        """
        key = found.poses.key
        known = None if self.categories is None else self.categories[key.image_id]
        categories = [1] * len(found.poses) if known is None else [known[row] for row in found.boxes]
        self.lost_boxes += found.lost_boxes
        self.used_boxes += len(found.boxes)
        if not found.boxes and found.lost_boxes:
            return
        confident = (found.poses.pose_score >= self.min_score) & (found.poses.box_score >= self.min_box_score)
        kept = confident.nonzero().flatten()
        poses = found.poses.select(kept)
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
            WriteError: The place cannot be written.
        """
        return write_json(self.rows, self.predictions)

    def _picture(self, name: str) -> Path:
        flat = name.replace("/", "_")
        return self.folder / (flat if flat.lower().endswith((".jpg", ".jpeg")) else f"{flat}.jpg")
