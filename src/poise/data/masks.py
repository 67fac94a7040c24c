"""Segmentations of COCO files: polygons, and run-length encodings, plain or compressed."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool

from poise.counting import masks
from poise.dims import Size
from poise.errors import AnnotationError

FARTHEST = 1e6
"""Largest coordinate of a polygon, pixels; one farther away would take hours to fill."""

Segmentation: TypeAlias = Any
"""A segmentation as it is in a file, not yet checked: polygons [[x, y, x, y, ...], ...], or {"size": [h, w], "counts": ...}."""


def mask(segmentation: Segmentation, size: Size) -> Bool[np.ndarray, "H W"]:
    """True for the pixels that a segmentation covers.

    Args:
        segmentation: The segmentation, as it is in the file.
        size: Size of the image (h, w), pixels.

    Raises:
        AnnotationError: It is neither polygons of at least three points nor a run-length encoding, or has another size than the
            image.
    """
    return np.asarray(masks().decode(_encoded(segmentation, size))).astype(bool)


def run_lengths(covered: Bool[np.ndarray, "H W"]) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths: `size` [h, w] and `counts`, a text.

    Args:
        covered: True for the pixels that it covers.
    """
    packed: dict[str, Any] = masks().encode(np.asfortranarray(covered.astype(np.uint8)))
    counts = packed["counts"]
    return {"size": list(packed["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}


def mask_area(segmentation: Segmentation, size: Size) -> float:
    """Number of pixels that a segmentation covers.

    Args:
        segmentation: The segmentation, as it is in the file.
        size: Size of the image (h, w), pixels.

    Raises:
        AnnotationError: The segmentation is one that `mask` refuses.
    """
    return float(masks().area(_encoded(segmentation, size)))


def check_segmentation(segmentation: Segmentation, size: Size) -> None:
    """Refuse a segmentation that `mask` would refuse, without rasterising polygons (150,000 of them take a minute).

    Args:
        segmentation: The segmentation, as it is in the file.
        size: Size of the image (h, w), pixels.

    Raises:
        AnnotationError: The segmentation is one that `mask` refuses.
    """
    if isinstance(segmentation, Mapping):
        _encoded(segmentation, size)
    else:
        _polygons(segmentation)


def has_segmentation(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation has a segmentation that is not empty."""
    found = annotation.get("segmentation")
    return bool(found) and found != [[]]


def _encoded(segmentation: Segmentation, size: Size) -> dict[str, Any]:
    if isinstance(segmentation, Mapping):
        return _run_lengths(segmentation, size)
    merged: dict[str, Any] = masks().merge(masks().frPyObjects(_polygons(segmentation), *size))
    return merged


def _polygons(segmentation: Segmentation) -> list[list[float]]:
    try:
        polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation if len(polygon)]
    except (TypeError, ValueError, OverflowError):
        polygons = []
    if not polygons or any(p.ndim != 1 or len(p) < 6 or len(p) % 2 or not (np.abs(p) < FARTHEST).all() for p in polygons):
        raise AnnotationError(f"a polygon needs x and y of at least three points, found {str(segmentation)[:80]}")
    return [p.tolist() for p in polygons]


def _run_lengths(found: Mapping[str, Any], size: Size) -> dict[str, Any]:
    counts, stated = found.get("counts"), found.get("size")
    if counts is None or not isinstance(stated, list | tuple) or tuple(stated) != tuple(size):
        raise AnnotationError(f"run lengths need `counts` and the image's `size` {list(size)}, found {str(dict(found))[:80]}")
    try:
        if isinstance(counts, str | bytes):
            text = counts.decode() if isinstance(counts, bytes) else counts
            encoded: dict[str, Any] = {"size": list(size), "counts": text.encode()}
            masks().area(encoded)
            covered = _total(text.encode())
        else:
            encoded = masks().frPyObjects({"size": list(size), "counts": list(counts)}, *size)
            covered = sum(counts)
    except (TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(f"run lengths that cannot be read ({error}): {str(counts)[:80]}") from error
    if covered != size[0] * size[1]:
        raise AnnotationError(f"run lengths add up to {covered} pixels, but the image has {size[0] * size[1]}")
    return encoded


def _total(packed: bytes) -> int:
    """Sum of the run lengths of a compressed encoding: five bits per character, differences to the run before the last."""
    parts = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((parts & 32) == 0)
    if not len(ends) or ends[-1] != len(parts) - 1:
        raise ValueError("its last run is cut")
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(parts)) - np.repeat(starts, ends - starts + 1)
    runs = np.add.reduceat((parts & 31) << (5 * place), starts)
    runs -= np.where(parts[ends] & 16, 1 << (5 * (place[ends] + 1)), 0)
    return int(runs[:1].sum() + np.cumsum(runs[1::2]).sum() + np.cumsum(runs[2::2]).sum())
