"""A COCO annotation file as it stands on disk: reading, the right kind, writing."""

import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poise.dims import Size
from poise.errors import AnnotationError, ReadError
from poise.writing import write_atomic

Document = dict[str, Any]
"""`images`, `annotations`, `categories` and whatever else stood in the file."""


def read_document(path: Path | str, read: Any = None) -> Document:
    """A keypoint file as it stands, with lists `images`, `annotations`, `categories` (the last empty where missing).

    Args:
        path: The file.
        read: What `read_json` gave, if it is read already.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: It is not JSON, or JSON of another kind; the message says which.
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
    _check_kind(document, path)
    return document


def read_json(path: Path | str) -> Any:
    """What stands in an annotation file, whatever it is.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: It is not JSON.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ReadError(f"there is no annotation file {str(path)!r}; check the path") from None
    except OSError as error:
        raise ReadError(f"annotation file {str(path)!r} cannot be read: {error.strerror or error}") from error
    collecting = gc.isenabled()
    gc.disable()  # millions of small objects, none of them garbage: twice as fast
    try:
        return json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationError(f"{str(path)!r} is not valid JSON ({error}); is the file complete?") from error
    finally:
        if collecting:
            gc.enable()


def stated_size(image: Mapping[str, Any]) -> Size | None:
    """Height and width as a record of `images` states them; None where they are missing or no positive whole numbers."""
    sides = [image.get("height"), image.get("width")]
    if not all(isinstance(v, int | float) and 0 < v < 2**31 and v == int(v) for v in sides):
        return None
    return int(image["height"]), int(image["width"])


_NAMES = {"images": ("id",), "annotations": ("id", "image_id", "category_id"), "categories": ("id", "name")}
"""Fields that others refer to; lists and objects cannot be looked up."""


def _check_records(document: Document, path: Path | str) -> None:
    for kind, names in _NAMES.items():
        rows = document[kind]
        wrong = [row for row in rows if not isinstance(row, dict)] if isinstance(rows, list) else [rows]
        if wrong:
            raise AnnotationError(f"{str(path)!r}: `{kind}` must be a list of objects, found {str(wrong[0])[:80]!r}")
        for name in names:
            odd = next((row for row in rows if isinstance(row.get(name), list | dict)), None)
            if odd is not None:
                raise AnnotationError(f"{str(path)!r}: `{name}` in `{kind}` must be a number or text, found {odd[name]!r}")


def _check_kind(document: Document, path: Path | str) -> None:
    """Refuse captions and instances, which lie beside the keypoint files in COCO's own archive."""
    if any("keypoints" in a for a in document["annotations"]) or any(c.get("keypoints") for c in document["categories"]):
        return
    if not document["annotations"]:
        raise AnnotationError(f"{str(path)!r} has no annotations and no category with keypoints; it cannot be used")
    first = document["annotations"][0]
    kind = "captions" if "caption" in first else "instances" if "segmentation" in first or "bbox" in first else "unknown"
    name = Path(path).name
    better = next((name.replace(k, "person_keypoints", 1) for k in ("captions", "instances") if name.startswith(k)), None)
    raise AnnotationError(
        f"{str(path)!r} is a file of {kind} without keypoints; use the keypoint file "
        f"({better or 'in COCO: person_keypoints_*.json'}), whose annotations and categories list `keypoints`"
    )


def write_document(document: Mapping[str, Any], path: Path | str) -> None:
    """Write a document as JSON; the file appears whole or not at all.

    Raises:
        WriteError: The place cannot be written.
    """
    write_atomic(path, json.dumps(document).encode())
