"""Boxes of people: from a detector's file, from MPII's labels, and checks of boxes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.data.records import stated_size
from poise.dims import Size
from poise.errors import AnnotationError, BoxError, InputError
from poise.fields import number, whole
from poise.notes import note
from poise.reading import read_json


@final
@dataclass(frozen=True, eq=False)
class PersonBoxes:
    """The boxes of people to be cropped, by image id.

    Attributes:
        boxes: Boxes x0 y0 x1 y1 of each image, pixels of the image, highest score first.
        scores: Confidence of each box.
        skipped: Number of boxes of the file that were left out because they are empty or not finite.
    """

    boxes: Mapping[int, Float[Tensor, "n 4"]]
    scores: Mapping[int, Float[Tensor, " n"]]
    skipped: int = 0

    def __len__(self) -> int:
        """Number of boxes of all images."""
        return sum(map(len, self.boxes.values()))

    def of(self, image_id: int) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        """Boxes x0 y0 x1 y1 and scores of an image; empty tensors where the file has none."""
        if image_id not in self.boxes:
            return torch.zeros((0, 4)), torch.zeros(0)
        return self.boxes[image_id], self.scores[image_id]


def read_boxes(path: Path | str, *, min_score: float = 0.0, categories: Collection[int] | None = None) -> PersonBoxes:
    """Read a detector's results in COCO's format: a list of `image_id`, `category_id`, `bbox` (x, y, width, height), `score`.

    Args:
        path: The JSON file.
        min_score: Boxes with a lower score are left out.
        categories: Ids of the categories that are kept; None keeps all.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not such a list.
    """
    rows = read_detections(path)
    if categories is not None:
        default = next(iter(categories), 1)
        rows = [row for row in rows if (default if row.category_id is None else row.category_id) in categories]
    return _best(_of_rows(rows, min_score), path)


def read_boxes_by_category(path: Path | str, *, categories: Collection[int], min_score: float = 0.0) -> dict[int, PersonBoxes]:
    """`read_boxes` of each category; rows without a category are of each.

    Args:
        path: The JSON file, which is read once.
        categories: Ids of the categories.
        min_score: Boxes with a lower score are left out.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not such a list.
    """
    rows = read_detections(path)
    each = {category: [row for row in rows if row.category_id in (category, None)] for category in categories}
    return {category: _best(_of_rows(part, min_score), path) for category, part in each.items()}


def _of_rows(rows: Sequence["Detection"], min_score: float) -> PersonBoxes:
    ids = np.array([row.image_id for row in rows], dtype=np.int64)
    boxes = np.array([row.bbox for row in rows], dtype=np.float64).reshape(len(rows), 4)
    scores = np.array([row.score for row in rows], dtype=np.float64)
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1) & np.isfinite(scores)
    boxes[:, 2:] += boxes[:, :2]
    kept = good & (scores >= min_score)
    return _grouped(ids[kept], boxes[kept], scores[kept], skipped=int((~good).sum()))


BOXES_PER_IMAGE = 1000
"""Most boxes of an image that are used, the best first; poses in more could not be compared with each other (OKS-NMS)."""


class Detection(NamedTuple):
    """A row of a file of detections.

    Attributes:
        image_id: Id of the image.
        category_id: Id of the category; None where the row has none.
        bbox: x, y, width, height, pixels; perhaps empty or nan.
        score: Confidence; 1 where the row has none.
        file_name: Name of the image file; "" where the row has none.
        size: Size (h, w) of the image, pixels; None where the row states none.
    """

    image_id: int
    category_id: int | None
    bbox: tuple[float, ...]
    score: float
    file_name: str
    size: Size | None = None


def read_detections(path: Path | str) -> list[Detection]:
    """The rows of a detector's results in COCO's format, with values as in `poise.fields`.

    Args:
        path: The JSON file.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is no list of detections, or a field has no meaning; the message names the detection.
    """
    return [_detection(index, row, str(path)) for index, row in enumerate(_rows(Path(path)))]


def detections_by_name(path: Path | str, names: Sequence[str], *, min_score: float = 0.0) -> dict[int, list[Detection]]:
    """The rows of a detector's file for images, by index of the image; images without rows are left out.

    A row belongs to an image if it has its `file_name`, or else if the image's name is the number `image_id` (as COCO's are).

    Args:
        path: The JSON file.
        names: Names of the images; a row may have the last part alone.
        min_score: Lowest confidence that is kept.

    Returns:
        The best rows of each image, at most `BOXES_PER_IMAGE`, the best first.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: It is no list of detections.
        InputError: No row belongs to any of the images.
    """
    groups: dict[str | int, list[Detection]] = {}
    for row in sorted((row for row in read_detections(path) if row.score >= min_score), key=lambda row: -row.score):
        groups.setdefault(row.file_name or row.image_id, []).append(row)
    if many := sum(len(group) > BOXES_PER_IMAGE for group in groups.values()):
        note(
            f"{str(path)!r}: {many} images have more than {BOXES_PER_IMAGE} boxes; of these the best {BOXES_PER_IMAGE} are used"
        )
    owned = {i: next((groups[own] for own in _names(name) if own in groups), []) for i, name in enumerate(names)}
    found = {i: group[:BOXES_PER_IMAGE] for i, group in owned.items() if group}
    if not found:
        raise InputError(
            f"none of the boxes in {str(path)!r} with a score of at least {min_score:g} belongs to these images; a row "
            f"needs the image's `file_name`, or the image's name must be the number `image_id`"
        )
    return found


def _names(name: str) -> list[str | int]:
    """The names that a row may use for an image, the most specific first."""
    path = PurePath(name)
    return [name, path.name, *([int(path.stem)] if path.stem.isascii() and path.stem.isdigit() else [])]


def _detection(index: int, row: Mapping[str, Any], path: str) -> Detection:
    image, category, box = whole(row.get("image_id")), row.get("category_id"), row.get("bbox")
    given = row.get("score", 1.0)
    numbers = [number(v) for v in box] if isinstance(box, list | tuple) and len(box) == 4 else [None]
    score = number(given)
    faults = {
        "image_id": image is None,
        "category_id": category is not None and whole(category) is None,
        "bbox": None in numbers,
        "score": score is None,
    }
    wrong = next((name for name, fault in faults.items() if fault), None)
    if wrong is not None:
        found = f"has {wrong} {str(row[wrong])[:60]!r}" if wrong in row else f"lacks {wrong!r}"
        raise AnnotationError(
            f"{path!r}: detection {index} {found}; each needs a whole number `image_id`, `bbox` of four numbers x, y, width, "
            f"height, a number `score`, and a whole number `category_id` if any"
        )
    kept = [float(v) for v in numbers if v is not None]
    name = row.get("file_name")
    own = None if category is None else whole(category)
    named = name if isinstance(name, str) else ""
    return Detection(int(image or 0), own, tuple(kept), float(score or 0.0), named, stated_size(row))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = read_json(path, what="file of boxes")
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise AnnotationError(
            f"{str(path)!r} is not a list of detections; expected [{{image_id, category_id, bbox, score}}, ...]. "
            f"To use the boxes of an annotation file, leave out the file of boxes"
        )
    return rows


def _best(found: PersonBoxes, path: Path | str) -> PersonBoxes:
    """The `BOXES_PER_IMAGE` best boxes of each image; what is left out is said once."""
    many = sum(len(boxes) > BOXES_PER_IMAGE for boxes in found.boxes.values())
    if not many:
        return found
    note(f"{str(path)!r}: {many} images have more than {BOXES_PER_IMAGE} boxes; of these the best {BOXES_PER_IMAGE} are used")
    kept = {i: boxes[:BOXES_PER_IMAGE].clone() for i, boxes in found.boxes.items()}
    return PersonBoxes(kept, {i: scores[:BOXES_PER_IMAGE].clone() for i, scores in found.scores.items()}, found.skipped)


def _grouped(ids: np.ndarray, boxes: np.ndarray, scores: np.ndarray, *, skipped: int) -> PersonBoxes:
    order = np.lexsort((-scores, ids))
    unique, starts = np.unique(ids[order], return_index=True)
    bounds = [*starts.tolist(), len(ids)]
    all_boxes = torch.from_numpy(boxes[order].astype(np.float32))
    all_scores = torch.from_numpy(scores[order].astype(np.float32))
    spans = {int(i): slice(a, b) for i, a, b in zip(unique, bounds, bounds[1:], strict=False)}
    return PersonBoxes({i: all_boxes[s] for i, s in spans.items()}, {i: all_scores[s] for i, s in spans.items()}, skipped)


def usable(boxes: Float[Tensor, "n 4"], size: Size) -> Bool[Tensor, " n"]:
    """True for the boxes x0 y0 x1 y1 that are finite, not empty, and at least partly in an image of `size` (h, w)."""
    corners = (
        boxes.cpu().numpy()
    )  # NumPy keeps the interpreter's lock, for which threads that read images would wait at each step
    low, high = corners[:, :2], corners[:, 2:]
    inside = np.isfinite(corners).all(axis=1) & (high > np.maximum(low, 0)).all(axis=1)
    return torch.from_numpy(inside & (low < (size[1], size[0])).all(axis=1))


def check_boxes(boxes: Float[Tensor, "n 4"], size: Size) -> None:
    """Refuse boxes that cannot be cropped.

    Args:
        boxes: Boxes x0 y0 x1 y1, pixels of the image.
        size: Size of the image (h, w), pixels.

    Raises:
        BoxError: A box is not finite, is empty, or lies outside the image; the message says which box.
    """
    good = usable(boxes, size)
    if good.all():
        return
    index = int((~good).nonzero()[0])
    box = boxes[index]
    if not torch.isfinite(box).all():
        fault = "is not finite"
    elif not (box[2:] > box[:2]).all():
        fault = "has no size"
    else:
        fault = f"lies outside the image of {size[1]} x {size[0]} pixels"
    found = ", ".join(f"{v:g}" for v in box.tolist())
    raise BoxError(f"box {index} ({found}) {fault}; expected x0 y0 x1 y1 in pixels with x0 < x1 and y0 < y1, inside the image")


def mpii_boxes(centre: Float[Tensor, "n 2"], scale: Float[Tensor, " n"]) -> Float[Tensor, "n 4"]:
    """Square boxes x0 y0 x1 y1 of MPII's people; grown by 1.25 they are the crops of the releases (golden t01).

    The releases move the centre down by 15 pixels times the scale and grow the crop by 1.25, but they do neither for people
    without a centre (x = -1).

    Args:
        centre: Annotated centre of each person (`objpos`), pixels counted from 1.
        scale: Annotated scale of each person: its height divided by 200 pixels.

    Returns:
        Boxes, pixels counted from 0.
    """
    known = centre[:, 0] != -1
    down = torch.where(known, 15 * scale, torch.zeros_like(scale))
    middle = centre + torch.stack((torch.zeros_like(down), down), dim=1) - 1
    half = torch.where(known, 100 * scale, 100 * scale / 1.25)[:, None]
    return torch.cat((middle - half, middle + half), dim=1)
