"""COCO annotation files as plain JSON: reading, checks of their structure, writing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poise.dims import Size
from poise.errors import AnnotationError
from poise.reading import read_json
from poise.writing import write_atomic

if TYPE_CHECKING:
    from poise.data.naming import Naming

Document = dict[str, Any]
"""An annotation file: the lists `images`, `annotations`, `categories`, and all other fields of the file."""


def read_document(path: Path | str, read: Any = None, *, naming: "Naming | None" = None) -> Document:
    """Read a keypoint file without changing its content, except that a missing `categories` becomes [].

    Mirror pairs that the file states as a whole (`flip_idx`, `mirror`) are those of each category with keypoints.

    Args:
        path: The JSON file.
        read: Result of `read_json` for this file, if it was read already.
        naming: Names of its keypoints, where it has none.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not JSON, or not a keypoint file; the message says what it is instead.
        SkeletonMismatch: The names do not fit its annotations.
    """
    document = read_json(path) if read is None else read
    if isinstance(document, list):
        raise AnnotationError(
            f"{str(path)!r} is a list, as files of detections or results are; a keypoint file is an object with "
            f"`images`, `annotations` and `categories`"
        )
    if not isinstance(document, dict) or not all(isinstance(document.get(k), list) for k in ("images", "annotations")):
        found = ", ".join(map(repr, list(document)[:8])) if isinstance(document, dict) else type(document).__name__
        raise AnnotationError(
            f"{str(path)!r} is no COCO keypoint file: it needs lists `images`, `annotations` and `categories`, found {found}"
        )
    document["categories"] = document.get("categories") or []
    _check_records(document, path)
    stated = {key: document[key] for key in ("flip_idx", "mirror") if document.get(key)}
    document["categories"] = [{**stated, **c} if c.get("keypoints") else c for c in document["categories"]]
    document = document if naming is None else naming.applied(document, path)
    _check_kind(document, path)
    return document


def stated_size(image: Mapping[str, Any]) -> Size | None:
    """Size (h, w) in a record of `images`, pixels; None where it is missing or not two positive whole numbers."""
    sides = [image.get("height"), image.get("width")]
    if not all(isinstance(v, int | float) and 0 < v < 2**31 and v == int(v) for v in sides):
        return None
    return int(image["height"]), int(image["width"])


_REFERENCES = {"images": ("id",), "annotations": ("id", "image_id", "category_id"), "categories": ("id", "name")}
"""Fields that refer to records or are referred to; lists and objects cannot be looked up."""


def _check_records(document: Document, path: Path | str) -> None:
    for part, names in _REFERENCES.items():
        rows = document[part]
        wrong = [row for row in rows if not isinstance(row, dict)] if isinstance(rows, list) else [rows]
        if wrong:
            raise AnnotationError(f"{str(path)!r}: `{part}` must be a list of objects, found {str(wrong[0])[:80]!r}")
        for name in names:
            odd = next((row for row in rows if isinstance(row.get(name), list | dict)), None)
            if odd is not None:
                raise AnnotationError(f"{str(path)!r}: `{name}` in `{part}` must be a number or text, found {odd[name]!r}")


def _check_kind(document: Document, path: Path | str) -> None:
    """Refuse files of captions and of instances, which COCO's archive has beside the keypoint files."""
    if any("keypoints" in a for a in document["annotations"]) or any(c.get("keypoints") for c in document["categories"]):
        return
    if not document["annotations"]:
        raise AnnotationError(f"{str(path)!r} has no annotations and no category with keypoints; give a keypoint file")
    first = document["annotations"][0]
    kind = "captions" if "caption" in first else "instances" if "segmentation" in first or "bbox" in first else "unknown"
    name = Path(path).name
    better = next((name.replace(k, "person_keypoints", 1) for k in ("captions", "instances") if name.startswith(k)), None)
    raise AnnotationError(
        f"{str(path)!r} is a file of {kind} without keypoints; use the keypoint file "
        f"({better or 'in COCO: person_keypoints_*.json'}), whose annotations and categories list `keypoints`"
    )


def write_document(document: Mapping[str, Any], path: Path | str) -> None:
    """Write a document as JSON, atomically.

    Args:
        document: The content.
        path: The file; an existing one is replaced.

    Raises:
        WriteError: The file cannot be written.
    """
    write_atomic(path, json.dumps(document).encode())
