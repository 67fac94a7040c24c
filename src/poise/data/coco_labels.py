"""Annotations in the form of COCO as labels: what they say is checked, what they leave out is filled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.data.masks import has_segmentation, mask_area
from poise.errors import AnnotationError
from poise.skeletons import Skeleton, keypoint_indices
from poise.structures import Labels

BODY_SHARE = 0.53
"""Of a person's box that the person covers, for annotations without an area: the mean over COCO's own annotations."""

BOX_MARGIN = 0.1
"""By which share of its size a box made from keypoints grows to each side, for annotations without a box."""

MEND = "`poise data check FILE --fix OUT` lists and mends such things"


def read_labels(
    annotations: Sequence[Mapping[str, Any]],
    skeleton: Skeleton,
    sources: Mapping[Any, Skeleton],
    records: Sequence[Mapping[str, Any]],
) -> Labels:
    """All annotations at once; a row per annotation.

    Args:
        annotations: As they stand in the file.
        skeleton: The keypoints wanted.
        sources: The skeleton of each category, by id.
        records: Of the image of each annotation, with its `size` or None.

    Raises:
        AnnotationError: One is damaged; the message names it.
    """
    only = next(iter(sources))
    categories = [a.get("category_id", only) for a in annotations]
    xy = np.zeros((len(annotations), len(skeleton), 2), np.float32)
    visible = np.zeros((len(annotations), len(skeleton)), np.int64)
    for category, source in sources.items():
        rows = np.array([i for i, c in enumerate(categories) if c == category], dtype=np.int64)
        keypoints = _keypoints([annotations[i] for i in rows], source)
        found = np.array(keypoint_indices(source, skeleton))
        here = np.flatnonzero(found >= 0)
        xy[np.ix_(rows, here)] = keypoints[:, found[here], :2]
        visible[np.ix_(rows, here)] = keypoints[:, found[here], 2]
    boxes = _boxes(annotations, xy, visible)
    return Labels(
        xy=torch.from_numpy(xy),
        visible=torch.from_numpy(visible),
        boxes=boxes,
        area=_areas(annotations, boxes, records),
        crowd=torch.tensor([bool(a.get("iscrowd")) for a in annotations], dtype=torch.bool),
        ids=_ids(annotations),
        categories=_whole(categories, "category_id"),
    )


def _ids(annotations: Sequence[Mapping[str, Any]]) -> Int64[Tensor, " n"]:
    return _whole([a.get("id", i + 1) for i, a in enumerate(annotations)], "id")


def _whole(values: list[Any], what: str) -> Int64[Tensor, " n"]:
    wrong = [v for v in values if not isinstance(v, int) or abs(v) >= 2**63]
    if wrong:
        raise AnnotationError(f"annotations need a whole number `{what}`, found {wrong[0]!r}; {MEND}")
    return torch.tensor(values, dtype=torch.int64)


def _keypoints(annotations: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> np.ndarray:
    """Rows of x, y, visible (n k 3); all 0 where an annotation has none."""
    count = 3 * len(skeleton)
    none = [0.0] * count
    lists = [a.get("keypoints") or none for a in annotations]
    wrong = next((i for i, values in enumerate(lists) if not isinstance(values, list) or len(values) != count), None)
    if wrong is not None:
        found = len(lists[wrong]) if isinstance(lists[wrong], list) else repr(lists[wrong])
        raise AnnotationError(
            f"annotation {annotations[wrong].get('id')} (image {annotations[wrong].get('image_id')}) has {found} "
            f"numbers under `keypoints`; expected {count}, 3 for each of the {len(skeleton)} keypoints of {skeleton.name!r}; "
            f"{MEND}"
        )
    try:
        rows = np.array(lists, dtype=np.float64).reshape(len(lists), len(skeleton), 3)
    except (TypeError, ValueError):
        raise AnnotationError(f"`keypoints` must be flat lists of numbers x, y, visible; {MEND}") from None
    v = rows[..., 2]
    bad = ~np.isin(v, (0, 1, 2)) | ((v > 0) & ~np.isfinite(rows[..., :2]).all(axis=-1))
    if bad.any():
        row, place = np.argwhere(bad)[0]
        raise AnnotationError(
            f"annotation {annotations[row].get('id')}: keypoint {skeleton.keypoints[place]!r} is {rows[row, place].tolist()}; "
            f"expected finite x and y, and 0 (not labelled), 1 (hidden) or 2 (in sight); {MEND}"
        )
    return np.where(v[..., None] > 0, rows, 0.0)


def _boxes(annotations: Sequence[Mapping[str, Any]], xy: np.ndarray, visible: np.ndarray) -> Float[Tensor, "n 4"]:
    """x0 y0 x1 y1; where there is none, around the labelled keypoints."""
    given = [a.get("bbox") for a in annotations]
    boxes = np.zeros((len(given), 4), np.float64)
    rows = [i for i, box in enumerate(given) if box]
    try:
        boxes[rows] = np.array([given[i] for i in rows], dtype=np.float64).reshape(-1, 4)
    except (TypeError, ValueError):
        raise AnnotationError(f"`bbox` must be four numbers x, y, width, height; {MEND}") from None
    wrong = ~np.isfinite(boxes).all(axis=1)
    if wrong.any():
        first = annotations[int(wrong.argmax())]
        raise AnnotationError(f"annotation {first.get('id')}: `bbox` {first['bbox']} is not finite; {MEND}")
    boxes[:, 2:] += boxes[:, :2]
    without = [i for i, box in enumerate(given) if not box and visible[i].any()]
    for i in without:
        boxes[i] = around(xy[i][visible[i] > 0])
    return torch.from_numpy(boxes.astype(np.float32))


def around(xy: np.ndarray) -> np.ndarray:
    """The box x0 y0 x1 y1 around points, `BOX_MARGIN` of its longer side wider on each side, at least a pixel."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    margin = max(BOX_MARGIN * float((high - low).max()), 1.0)
    return np.concatenate((low - margin, high + margin))


def _areas(
    annotations: Sequence[Mapping[str, Any]], boxes: Float[Tensor, "n 4"], records: Sequence[Mapping[str, Any]]
) -> Float[Tensor, " n"]:
    """Square pixels: as annotated, else of the segmentation, else a share of the box."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    areas = (sides.prod(dim=1) * BODY_SHARE).numpy()
    for i, annotation in enumerate(annotations):
        area = annotation.get("area")
        if isinstance(area, (int, float)) and 0 < area < float("inf"):
            areas[i] = area
        elif has_segmentation(annotation) and (size := records[i]["size"]):
            areas[i] = mask_area(annotation["segmentation"], size) or areas[i]
    return torch.from_numpy(areas)
