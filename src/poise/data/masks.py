"""Segmentations of COCO files: polygons, and run lengths plain or compressed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hotcoco import mask as rle
from jaxtyping import Bool

from poise.dims import Size
from poise.errors import AnnotationError


def mask(segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: Size) -> Bool[np.ndarray, "H W"]:
    """Which pixels of an image of `size` (h, w) a segmentation covers.

    Raises:
        AnnotationError: It is neither polygons of three points and more nor run lengths, or of another size than the image.
    """
    return np.asarray(rle.decode(_encoded(segmentation, size))).astype(bool)


def mask_area(segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: Size) -> float:
    """How many pixels a segmentation covers; raises as `mask`."""
    return float(rle.area(_encoded(segmentation, size)))


def has_segmentation(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation carries a segmentation that is not empty."""
    found = annotation.get("segmentation")
    return bool(found) and found != [[]]


def _encoded(segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: Size) -> dict[str, Any]:
    if isinstance(segmentation, Mapping):
        return _run_lengths(segmentation, size)
    polygons = [[float(v) for v in polygon] for polygon in segmentation if len(polygon)]
    if not polygons or any(len(p) < 6 or len(p) % 2 for p in polygons):
        raise AnnotationError(f"a polygon needs x and y of at least three points, found {str(segmentation)[:80]}")
    merged: dict[str, Any] = rle.merge(rle.frPyObjects(polygons, *size))
    return merged


def _run_lengths(found: Mapping[str, Any], size: Size) -> dict[str, Any]:
    counts = found.get("counts")
    if counts is None or tuple(found.get("size", ())) != tuple(size):
        raise AnnotationError(f"run lengths need `counts` and the image's `size` {list(size)}, found {str(dict(found))[:80]}")
    if isinstance(counts, (str, bytes)):
        return {"size": list(size), "counts": counts if isinstance(counts, bytes) else counts.encode()}
    if sum(counts) != size[0] * size[1]:
        raise AnnotationError(f"run lengths add up to {sum(counts)} pixels, but the image has {size[0] * size[1]}")
    encoded: dict[str, Any] = rle.frPyObjects({"size": list(size), "counts": list(counts)}, *size)
    return encoded
