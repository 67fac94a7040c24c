"""Predictions in parts: so many images each, one Parquet file, whose name is what it is made of.

Whoever makes a part again finds it there: a retry writes nothing twice, and a run that stopped goes on by being run again.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch

from poise.errors import InputError, MissingExtra
from poise.geometry import large
from poise.inference.addresses import RemoteImage, file_system, names_in, read_address, write_address
from poise.inference.detect import Detector
from poise.inference.formats import Row, result_format
from poise.inference.predictor import MIN_BOX_SCORE, Predictor
from poise.inference.request import ImagePoses, ImageRequest, Skipped
from poise.inference.settings import Pixels
from poise.inference.sources import SourceBoxes, read_from, read_reduced_from
from poise.models.base import PoseModel
from poise.skeletons import Skeleton
from poise.structures import Key, Poses
from poise.weights.checksum import checksum

IMAGES = 256
"""Images of a part."""


@final
@dataclass(frozen=True, eq=False)
class Part:
    """Some images, whose people come into one file.

    Attributes:
        file: Name of the file.
        requests: The images.
        categories: Category id of each box of each image; None for 1.
    """

    file: str
    requests: Sequence[ImageRequest]
    categories: Sequence[Sequence[int]] | None = None


@final
@dataclass(frozen=True)
class PartResult:
    """What came of a part.

    Attributes:
        file: Name of the file.
        images: Images that were looked at.
        people: Rows.
        skipped: Name, id and reason of the images that could not be used.
        made: Whether it was made now; else it was there.
    """

    file: str
    images: int
    people: int
    skipped: tuple[tuple[str, int, str], ...]
    made: bool


def parts_of(
    images: Sequence[RemoteImage], boxes: Mapping[int, SourceBoxes] | None, *, asked: Mapping[str, str], size: int = IMAGES
) -> list[Part]:
    """The parts of images, in their order.

    Args:
        images: The images.
        boxes: Boxes of people, by image id; images without are left out. None for no boxes.
        asked: What the rows depend on beside the images.
        size: Images of a part.
    """
    kept = [one for one in images if boxes is None or one.image_id in boxes]
    return [_part(kept[at : at + size], boxes, asked) for at in range(0, len(kept), size)]


def _part(images: Sequence[RemoteImage], boxes: Mapping[int, SourceBoxes] | None, asked: Mapping[str, str]) -> Part:
    own = None if boxes is None else [boxes[one.image_id] for one in images]
    facts = [(one.name, one.image_id, one.size) for one in images]
    seen = None if own is None else [(one.boxes, one.scores, one.categories) for one in own]
    name = f"part-{checksum([dict(asked), facts, seen])[:24]}.parquet"
    requests = []
    for number, image in enumerate(images):
        found = None if own is None else own[number]
        size, read = None if found is None else found.size, partial(read_address, image.address)
        requests.append(
            ImageRequest(
                Key(image.name, image.image_id),
                partial(read_from, read, image.address, size),
                None if found is None else found.boxes,
                None if found is None else found.scores,
                partial(read_reduced_from, read, image.address, size),
            )
        )
    return Part(name, requests, None if own is None else [one.categories for one in own])


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PartJob:
    """Everything that makes parts, apart from the images; it can be sent to another machine, and called there.

    Attributes:
        model: Finds the keypoints.
        detector: Finds boxes; None for none.
        out: Folder of the parts, a path or an address.
        device: As of `Predictor`.
        precision: As of `Predictor`.
        batch: As of `Predictor`.
        workers: As of `Predictor`.
        runtime: As of `Predictor`.
        pixels: As of `Predictor`.
        min_score: Lowest pose score that is kept.
        min_box_score: Lowest confidence of the detector's boxes that are used.
        min_area: Least area of a person's box that is kept, square pixels.
    """

    model: PoseModel
    out: str
    detector: Detector | None = None
    device: str | None = None
    precision: str | None = None
    batch: int | None = None
    workers: int = 2
    runtime: str | None = None
    pixels: Pixels = "reduced"
    min_score: float = 0.0
    min_box_score: float = MIN_BOX_SCORE
    min_area: float = 0.0

    def __call__(self) -> "PartWorker":
        """Somebody who makes parts, with the model ready."""
        return PartWorker(self)


@final
class PartWorker:
    """Makes parts, with the model held ready.

    Args:
        job: What to make them with.
    """

    def __init__(self, job: PartJob) -> None:
        self.job = job
        self.predictor = Predictor(
            job.model,
            detector=job.detector,
            device=job.device,
            precision=job.precision,
            batch=job.batch,
            workers=job.workers,
            min_box_score=job.min_box_score,
            whole_image=True,
            runtime=job.runtime,
            pixels=job.pixels,
        )

    def __call__(self, part: Part) -> PartResult:
        """Make a part, unless it is there.

        Raises:
            WriteError: It cannot be written.
        """
        if part.file in names_in(self.job.out):
            return _there(self.job.out, part)
        skipped: list[Skipped] = []
        rows: list[Row] = []
        categories = (
            None if part.categories is None else dict(zip((r.key for r in part.requests), part.categories, strict=True))
        )
        for found in self.predictor.stream(part.requests, skipped=skipped):
            rows += self._rows(found, None if categories is None else categories[found.poses.key])
        lost = tuple((one.key.file_name, one.key.image_id, one.reason) for one in skipped)
        made = PartResult(part.file, len(part.requests) - len(lost), len(rows), lost, made=True)
        write_address(self.job.out, part.file, _parquet(rows, made, self.predictor.model.skeleton))
        return made

    def _rows(self, found: ImagePoses, categories: Sequence[int] | None) -> list[Row]:
        job, model = self.job, self.job.model
        lowest = job.min_box_score if model.finds_boxes else 0.0
        confident = (found.poses.pose_score >= job.min_score) & (found.poses.box_score >= lowest)
        kept = (confident & large(found.poses.boxes, job.min_area)).nonzero().flatten()
        own = [1] * len(kept) if categories is None else [categories[found.boxes[i]] for i in kept.tolist()]
        return result_format("csv", model.skeleton).rows(found.poses[kept], own)


def _there(out: str, part: Part) -> PartResult:
    """What is told of a part that is there."""
    _, parquet = require_arrow()
    files, path = file_system(out)
    with files.open(f"{path.rstrip('/')}/{part.file}", "rb") as file:
        about = json.loads(parquet.read_schema(file).metadata[b"poise"])
    return PartResult(part.file, about["images"], about["people"], tuple((n, i, r) for n, i, r in about["skipped"]), made=False)


def _parquet(rows: Sequence[Row], made: PartResult, skeleton: Skeleton) -> bytes:
    """The content of a Parquet file: a row a person, and what is told of the part as metadata."""
    arrow, parquet = require_arrow()
    kinds = {int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
    columns = result_format("csv", skeleton).rows(_somebody(skeleton), [1])[0]
    about = {"images": made.images, "people": made.people, "skipped": made.skipped, "keypoints": list(skeleton.keypoints)}
    schema = arrow.schema(
        [(name, kinds[type(value)]) for name, value in columns.items()], metadata={"poise": json.dumps(about)}
    )
    file = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows], schema=schema), file)
    return file.getvalue()


def _somebody(skeleton: Skeleton) -> Poses:
    """A pose, for the names and kinds of the columns."""
    one, xy, score = torch.zeros(1), torch.zeros(1, len(skeleton), 2), torch.zeros(1, len(skeleton))
    return Poses(xy, score, torch.zeros(1, 4), one, one, Key(""), skeleton=skeleton, size=(0, 0))


def require_arrow() -> tuple[Any, Any]:
    """Pyarrow and its Parquet.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(
            "parts are Parquet files, written by pyarrow, which is not installed; it comes with: pip install 'poise[ray]'"
        ) from error
    return pyarrow, parquet


def check_folder(out: str, parts: Sequence[Part]) -> None:
    """Refuse a folder that holds parts of other images or settings: both would be read as one result.

    Raises:
        InputError: It does.
    """
    own = {part.file for part in parts}
    other = sorted(name for name in names_in(out) if name.startswith("part-") and name.endswith(".parquet") and name not in own)
    if other:
        raise InputError(
            f"{out!r} holds parts of other images or settings, such as {other[0]}; give another --out, or remove them"
        )
