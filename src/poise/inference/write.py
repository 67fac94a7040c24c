"""Writing results; every file is written atomically."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, final

from poise.data.images import write_image
from poise.errors import InputError, WriteError
from poise.geometry import large
from poise.inference.formats import result_format
from poise.inference.request import ImagePoses
from poise.inference.row_file import RowFile
from poise.inference.sources import Source
from poise.inference.unfinished import Unfinished
from poise.models.base import PoseModel
from poise.models.rcnn_masks import pasted
from poise.structures import Poses
from poise.viz.draw import draw_masks, draw_people
from poise.writing import check_targets, clean, short_name, write_atomic

COUNTS = ("people", "with_people", "unsure", "used_boxes", "lost_boxes")
"""What a `Writer` counts."""


def writable_folder(path: Path | str) -> Path:
    """The folder, created if missing.

    Raises:
        WriteError: It cannot be created or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clean(folder)
        with TemporaryFile(dir=folder):
            pass
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
    """Writes a picture and the rows of every image as it comes; a context manager, at whose end the results are whole.

    Of pictures whose names would be the same, or the same but for upper and lower case, later ones are numbered; long names
    are shortened.

    Args:
        folder: Folder of the pictures and of the results.
        model: Model whose skeleton is drawn.
        sources: The images.
        categories: Category id of each given box, by image id; without it all poses have category 1.
        draw_boxes: Whether given boxes are drawn. Boxes of a model that takes none are always drawn.
        min_score: Lowest pose score that is kept.
        min_box_score: Lowest box score that is kept.
        min_area: Least area of a person's box that is kept, square pixels.
        format: Form of the results (`inference.formats`).
        pictures: Whether pictures are written at all.

    Attributes:
        folder: Folder of the pictures and of the results.
        pictures: Whether pictures are written.
        predictions: File of the results.
        people: Number of poses that were kept.
        with_people: In how many images.
        small: Number of poses that were left out for their area.
        unsure: In how many of these every keypoint has a lower score than `min_keypoint_score`.
        used_boxes: Boxes in which somebody was looked for.
        lost_boxes: Boxes that could not be used.

    Raises:
        InputError: A picture would overwrite one of the images.
        UnknownName: There is no such form.
        WriteError: Something that is no regular file, or that is read, stands where a file is to be written.
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
        min_area: float = 0.0,
        format: str = "coco",
        pictures: bool = True,
    ) -> None:
        self.model, self.categories = model, categories
        self.format = result_format(format, model.skeleton)
        self.predictions = folder / self.format.file
        self.min_score, self.min_box_score, self.min_area = min_score, min_box_score, min_area
        self.draw_boxes = draw_boxes or not model.takes_boxes
        self.min_keypoint_score = model.preprocess.min_keypoint_score
        self.people = self.with_people = self.unsure = self.small = 0
        self.used_boxes = 0
        self.lost_boxes = 0
        self.folder, self.pictures = folder, pictures
        self._pictures = _pictures(folder, sources) if pictures else {}
        self._rows = RowFile(self.predictions, self.format)

    def __enter__(self) -> "Writer":
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Finish the results, also with what there is where the block fails.

        Raises:
            WriteError: The file cannot be written.
        """
        self._rows.__exit__(kind, error, trace)

    def go_on(self, found: Unfinished) -> None:
        """Go on behind the rows of an earlier run."""
        self._rows = RowFile(self.predictions, self.format, kept=(found.bytes, found.rows, found.images))
        for name, value in (found.counts or {}).items():
            setattr(self, name, value)

    def kept(self, unfinished: Unfinished) -> Unfinished:
        """With the rows and counts so far, which are on the disk then."""
        size, rows = self._rows.stored()
        return replace(unfinished, bytes=size, rows=rows, counts={name: getattr(self, name) for name in COUNTS})

    def draw(self, found: ImagePoses) -> None:
        """Write the picture of an image, if pictures are wanted; several threads may do that at once.

        Raises:
            WriteError: It cannot be written.
        """
        if found.image is None or not self.pictures or (not found.boxes and found.lost_boxes):
            return
        poses = self._confident(found)[0]
        image = found.image.permute(1, 2, 0).numpy()
        if poses.masks is not None:
            image = draw_masks(image, pasted(poses.masks, poses.boxes, (image.shape[0], image.shape[1])))
        drawn = draw_people(
            image,
            poses.xy,
            poses.score,
            self.model.skeleton,
            boxes=poses.boxes if self.draw_boxes else None,
            min_score=self.min_keypoint_score,
            faint=True,
        )
        write_image(self._pictures[poses.key.file_name], drawn)

    def add(self, found: ImagePoses) -> None:
        """Write the rows of an image; nothing where none of its boxes could be used.

        Raises:
            WriteError: They cannot be written.
        """
        key = found.poses.key
        known = None if self.categories is None else self.categories[key.image_id]
        categories = [1] * len(found.poses) if known is None else [known[index] for index in found.boxes]
        self.lost_boxes += found.lost_boxes
        self.used_boxes += len(found.boxes)
        if not found.boxes and found.lost_boxes:
            return
        poses, kept = self._confident(found)
        self.small += len(found.poses) - int(large(found.poses.boxes, self.min_area).sum())
        self._rows.add(self.format.rows(poses, [categories[i] for i in kept]))
        self._count(poses)

    def _confident(self, found: ImagePoses) -> tuple[Poses, list[int]]:
        """The poses that are kept, and which they are."""
        confident = (found.poses.pose_score >= self.min_score) & (found.poses.box_score >= self.min_box_score)
        kept = (confident & large(found.poses.boxes, self.min_area)).nonzero().flatten()
        return found.poses[kept], kept.tolist()

    def _count(self, poses: Poses) -> None:
        self.people += len(poses)
        self.with_people += bool(len(poses))
        self.unsure += bool(len(poses)) and bool((poses.score < self.min_keypoint_score).all())


def _pictures(folder: Path, sources: Sequence[Source]) -> dict[str, Path]:
    """The picture of each image by its name.

    Raises:
        InputError: One would overwrite an image.
        WriteError: Something that is no regular file stands there.
    """
    found = {name: folder / file for name, file in picture_names([s.name for s in sources]).items()}
    taken = {os.path.realpath(source.path) for source in sources}
    hit = next((s for s in sources if os.path.realpath(found[s.name]) in taken), None)
    if hit is not None:
        raise InputError(f"the picture of {hit.name!r} would overwrite an image; give another folder with --out")
    check_targets(found.values(), flag="--out")
    return found


def picture_names(names: Sequence[str]) -> dict[str, str]:
    """A file name for the picture of each image, in one folder: different ones, also where upper and lower case are the same.

    Args:
        names: Names of images, with folders.

    >>> picture_names(["a/b.jpg", "a_b.jpg", "c.png"])
    {'a/b.jpg': 'a_b.jpg', 'a_b.jpg': 'a_b-2.jpg', 'c.png': 'c.png.jpg'}
    """
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in names:
        flat = name.replace("/", "_").replace("\\", "_").replace("\0", "_")
        whole = flat.lower().endswith((".jpg", ".jpeg"))
        stem, ending = (flat.rpartition(".")[0], f".{flat.rpartition('.')[2]}") if whole else (flat, ".jpg")
        tries = (short_name(stem, ending=ending if i == 1 else f"-{i}{ending}") for i in itertools.count(1))
        found[name] = next(one for one in tries if one.casefold() not in taken)
        taken.add(found[name].casefold())
    return found
