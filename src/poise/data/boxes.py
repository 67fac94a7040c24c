"""Boxes of people: from a detector's file, from MPII's labels, and checks of boxes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.dims import Size
from poise.errors import AnnotationError, BoxError
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
    rows = _rows(Path(path))
    if categories is not None:
        rows = [r for r in rows if r.get("category_id", next(iter(categories), 1)) in categories]
    try:
        ids = np.array([r["image_id"] for r in rows], dtype=np.int64)
        boxes = np.array([r["bbox"] for r in rows], dtype=np.float64).reshape(len(rows), 4)
        scores = np.array([r.get("score", 1.0) for r in rows], dtype=np.float64)
    except KeyError as error:
        raise AnnotationError(f"{str(path)!r}: a detection lacks {error}; each needs `image_id`, `bbox` and `score`") from None
    except (TypeError, ValueError):
        raise AnnotationError(
            f"{str(path)!r}: each detection needs a whole number `image_id`, `bbox` of four numbers x, y, width, height, "
            f"and a number `score`"
        ) from None
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1) & np.isfinite(scores)
    boxes[:, 2:] += boxes[:, :2]
    kept = good & (scores >= min_score)
    return _grouped(ids[kept], boxes[kept], scores[kept], skipped=int((~good).sum()))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = read_json(path, what="file of boxes")
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise AnnotationError(
            f"{str(path)!r} is not a list of detections; expected [{{image_id, category_id, bbox, score}}, ...]. "
            f"To use the boxes of an annotation file, leave out the file of boxes"
        )
    return rows


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
    sized = torch.isfinite(boxes).all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    low, high = boxes[:, :2], boxes[:, 2:]
    return sized & (high > 0).all(dim=1) & (low < boxes.new_tensor([size[1], size[0]])).all(dim=1)


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
