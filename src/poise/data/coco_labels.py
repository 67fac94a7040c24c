"""COCO annotations read as `Labels`: present fields are checked, missing optional fields are filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.data.masks import has_segmentation, mask_area
from poise.errors import AnnotationError
from poise.fields import LARGEST, flag
from poise.skeletons import Skeleton, keypoint_indices
from poise.structures import Labels

BODY_SHARE = 0.53
"""Share of a box that the person covers, for annotations without an area: the mean over COCO's annotations."""

BOX_MARGIN = 0.1
"""Share of its longer side by which a box around keypoints grows on each side, for annotations without a box."""

CHUNK = 50_000
"""People whose keypoints are made an array at once: those of a million would take a gigabyte."""

FIX = "`poise data check FILE --fix OUT` lists and fixes such errors"

DROP = "`poise data check FILE --fix OUT` lists such annotations and drops them"


def read_labels(
    annotations: Sequence[Mapping[str, Any]],
    skeleton: Skeleton,
    sources: Mapping[Any, Skeleton],
    records: Sequence[Mapping[str, Any]],
    *,
    faults: list[str] | None = None,
) -> Labels:
    """Read annotations; the labels have them in the same order.

    Args:
        annotations: The annotations, as they are in the file.
        skeleton: The keypoints of the labels, found by name in the categories.
        sources: Skeleton of each category, by category id.
        records: Record of each annotation's image, with its `size` (h, w) or None.
        faults: Gets a sentence for each segmentation that cannot be read; it is ignored.

    Raises:
        AnnotationError: A field has no valid value; the message names the annotation.
    """
    only = next(iter(sources))
    categories = [a.get("category_id", only) for a in annotations]
    xy = np.zeros((len(annotations), len(skeleton), 2), np.float32)
    visible = np.zeros((len(annotations), len(skeleton)), np.int64)
    for category, source in sources.items():
        index = np.array(keypoint_indices(source, skeleton))
        known = np.flatnonzero(index >= 0)
        members = [i for i, c in enumerate(categories) if c == category and not _nobody(annotations[i], 3 * len(source))]
        for start in range(0, len(members), CHUNK):
            rows = np.array(members[start : start + CHUNK])
            keypoints = _keypoints([annotations[i] for i in rows], source)
            xy[np.ix_(rows, known)] = keypoints[:, index[known], :2]
            visible[np.ix_(rows, known)] = keypoints[:, index[known], 2]
    boxes = _boxes(annotations, xy, visible)
    return Labels(
        xy=torch.from_numpy(xy),
        visible=torch.from_numpy(visible),
        boxes=boxes,
        area=_areas(annotations, boxes, records, faults=[] if faults is None else faults),
        crowd=torch.tensor([flag(a.get("iscrowd")) == 1 for a in annotations], dtype=torch.bool),
        ids=_ids(annotations),
        categories=_whole(annotations, categories, "category_id"),
    )


def labelled(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation has a labelled keypoint."""
    values = annotation.get("keypoints")
    seen = values[2::3] if isinstance(values, list) else []
    return any(seen) and any(isinstance(v, int | float) and v > 0 for v in seen)


def unreadable(annotation: Mapping[str, Any]) -> bool:
    """Whether `keypoints` hold something that is no list of numbers: somebody was labelled, in a form that is not known."""
    values = annotation.get("keypoints")
    if not isinstance(values, list):
        return bool(values)
    return any(v and not isinstance(v, int | float) for v in values)


def _nobody(annotation: Mapping[str, Any], count: int) -> bool:
    """Whether an annotation has no keypoints, or the right number of zeros."""
    values = annotation.get("keypoints")
    if not values:
        return True
    return isinstance(values, list) and not any(values) and len(values) == count == values.count(0)


def _ids(annotations: Sequence[Mapping[str, Any]]) -> Int64[Tensor, " n"]:
    return _whole(annotations, [a.get("id", i + 1) for i, a in enumerate(annotations)], "id")


def _whole(annotations: Sequence[Mapping[str, Any]], values: list[Any], what: str) -> Int64[Tensor, " n"]:
    wrong = next((i for i, v in enumerate(values) if not isinstance(v, int) or abs(v) >= 2**63), None)
    if wrong is not None:
        of = f"of image {annotations[wrong].get('image_id')} " if what == "id" else f"{annotations[wrong].get('id')} "
        raise AnnotationError(f"annotation {of}needs a whole number `{what}`, found {str(values[wrong])[:60]!r}; {FIX}")
    return torch.tensor(values, dtype=torch.int64)


def _keypoints(annotations: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> np.ndarray:
    """x, y and visibility of each keypoint (n k 3)."""
    count = 3 * len(skeleton)
    lists = [a["keypoints"] for a in annotations]
    wrong = next((i for i, values in enumerate(lists) if not isinstance(values, list) or len(values) != count), None)
    if wrong is not None:
        found = len(lists[wrong]) if isinstance(lists[wrong], list) else repr(lists[wrong])
        raise AnnotationError(
            f"annotation {annotations[wrong].get('id')} (image {annotations[wrong].get('image_id')}) has {found} "
            f"numbers under `keypoints`; expected {count}, 3 for each of the {len(skeleton)} keypoints of {skeleton.name!r}; "
            f"{DROP}"
        )
    try:
        rows = np.array(lists, dtype=np.float64).reshape(len(lists), len(skeleton), 3)
    except (TypeError, ValueError, OverflowError):
        wrong, value = next((i, v) for i, values in enumerate(lists) for v in values if not isinstance(v, int | float))
        raise AnnotationError(
            f"annotation {annotations[wrong].get('id')} (image {annotations[wrong].get('image_id')}): `keypoints` must be flat "
            f"lists of numbers x, y, visible, found {str(value)[:60]!r}; {DROP}"
        ) from None
    v = rows[..., 2]
    bad = ~np.isin(v, (0, 1, 2)) | ((v > 0) & ~np.isfinite(rows[..., :2]).all(axis=-1))
    if bad.any():
        row, keypoint = np.argwhere(bad)[0]
        raise AnnotationError(
            f"annotation {annotations[row].get('id')}: keypoint {skeleton.keypoints[keypoint]!r} is "
            f"{rows[row, keypoint].tolist()}; expected finite x and y, and 0 (not labelled), 1 (hidden) or 2 (visible); {FIX}"
        )
    return np.where(v[..., None] > 0, rows, 0.0)


def _boxes(annotations: Sequence[Mapping[str, Any]], xy: np.ndarray, visible: np.ndarray) -> Float[Tensor, "n 4"]:
    """Boxes x0 y0 x1 y1, pixels; for annotations without one the box around their labelled keypoints."""
    given = [a.get("bbox") for a in annotations]
    boxes = np.zeros((len(given), 4), np.float64)
    rows = [i for i, box in enumerate(given) if box]
    odd = next((i for i in rows if not _four_numbers(given[i])), None)
    if odd is not None:
        raise AnnotationError(
            f"annotation {annotations[odd].get('id')}: `bbox` must be four numbers x, y, width, height, "
            f"found {str(given[odd])[:80]}; {FIX}"
        )
    boxes[rows] = np.array([given[i] for i in rows], dtype=np.float64).reshape(-1, 4)
    wrong = ~np.isfinite(boxes).all(axis=1) | (np.abs(boxes) > 1e15).any(axis=1)
    if wrong.any():
        first = annotations[int(wrong.argmax())]
        raise AnnotationError(f"annotation {first.get('id')}: `bbox` {str(first['bbox'])[:80]} is not finite; {FIX}")
    boxes[:, 2:] += boxes[:, :2]
    without = [i for i, box in enumerate(given) if not box and visible[i].any()]
    for i in without:
        boxes[i] = box_around(xy[i][visible[i] > 0])
    return torch.from_numpy(boxes.astype(np.float32))


def _four_numbers(box: Any) -> bool:
    """Whether a box is four numbers, which may be nan or infinite."""
    if not isinstance(box, list) or len(box) != 4:
        return False
    return all(isinstance(v, float) or (isinstance(v, int) and abs(v) <= LARGEST) for v in box)


def box_around(xy: np.ndarray) -> np.ndarray:
    """The box x0 y0 x1 y1 around points, pixels, larger by `BOX_MARGIN` of its longer side, at least a pixel, on each side."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    margin = max(BOX_MARGIN * float((high - low).max()), 1.0)
    return np.concatenate((low - margin, high + margin))


def _areas(
    annotations: Sequence[Mapping[str, Any]],
    boxes: Float[Tensor, "n 4"],
    records: Sequence[Mapping[str, Any]],
    *,
    faults: list[str],
) -> Float[Tensor, " n"]:
    """Areas, square pixels: the annotated one, else that of the segmentation, else `BODY_SHARE` of the box."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    areas = (sides.prod(dim=1) * BODY_SHARE).numpy()
    for i, annotation in enumerate(annotations):
        area = annotation.get("area")
        if isinstance(area, (int, float)) and 0 < area < float("inf"):
            areas[i] = area
        elif has_segmentation(annotation) and (size := records[i]["size"]):
            try:
                areas[i] = mask_area(annotation["segmentation"], size) or areas[i]
            except AnnotationError as error:
                faults.append(f"annotation {annotation.get('id')}: {error}")
    return torch.from_numpy(areas)
