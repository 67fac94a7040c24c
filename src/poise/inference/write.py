"""Writing results; every file is written atomically."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

from poise.data.images import write_image
from poise.errors import InputError, WriteError
from poise.inference.formats import Row, result_format
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


@final
class Writer:
    """Writes a picture of every image as it comes, and `predictions.json` or another form of results at the end.

    Args:
        folder: Folder of the pictures and of the results.
        model: Model whose skeleton is drawn.
        sources: The images.
        categories: Category id of each given box, by image id; without it all poses have category 1.
        draw_boxes: Whether given boxes are drawn. Boxes of a model that takes none are always drawn.
        min_score: Lowest pose score that is kept.
        min_box_score: Lowest box score that is kept.
        format: Form of the results (`inference.formats`).

    Attributes:
        people: Number of poses that were kept.
        with_people: In how many images.
        unsure: In how many of these every keypoint has a lower score than `min_keypoint_score`.

    Raises:
        InputError: A picture would overwrite one of the images.
        UnknownName: There is no such form.
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
        format: str = "coco",
    ) -> None:
        self.folder, self.model, self.categories = folder, model, categories
        self.format = result_format(format, model.skeleton)
        self.predictions = folder / self.format.file
        self.min_score, self.min_box_score = min_score, min_box_score
        self.draw_boxes = draw_boxes or not model.takes_boxes
        self.min_keypoint_score = model.preprocess.min_keypoint_score
        self.rows: list[Row] = []
        self.people = self.with_people = self.unsure = 0
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
        self.rows += self.format.rows(poses, [categories[i] for i in kept.tolist()])
        self._count(poses)
        drawn = draw_people(
            found.image.permute(1, 2, 0).numpy(),
            poses.xy,
            poses.score,
            self.model.skeleton,
            boxes=poses.boxes if self.draw_boxes else None,
            min_score=self.min_keypoint_score,
            faint=True,
        )
        write_image(self._picture(key.file_name), drawn)

    def _count(self, poses: Poses) -> None:
        self.people += len(poses)
        self.with_people += bool(len(poses))
        self.unsure += bool(len(poses)) and bool((poses.score < self.min_keypoint_score).all())

    def finish(self) -> Path:
        """Write the results.

        Raises:
            WriteError: The file cannot be written.
        """
        lines = (self.format.line(row, before) for before, row in enumerate(self.rows))
        text = "".join((self.format.begin, *lines, self.format.end(len(self.rows))))
        write_atomic(self.predictions, text.encode())
        return self.predictions

    def _picture(self, name: str) -> Path:
        flat = name.replace("/", "_")
        return self.folder / (flat if flat.lower().endswith((".jpg", ".jpeg")) else f"{flat}.jpg")
