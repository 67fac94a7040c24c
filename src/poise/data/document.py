"""A COCO annotation file as it stands on disk: reading, the right kind, writing."""

import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poise.data.writing import write_whole
from poise.errors import AnnotationError, ReadError

Document = dict[str, Any]
"""`images`, `annotations`, `categories` and whatever else stood in the file."""


def read_document(path: Path | str) -> Document:
    """A keypoint file as it stands, with lists `images`, `annotations`, `categories` (the last empty where missing).

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: It is not JSON, or JSON of another kind; the message says which.
    """
    document = _parse(Path(path))
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
    _check_kind(document, path)
    return document


def _parse(path: Path) -> Any:
    try:
        data = path.read_bytes()
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
    write_whole(path, json.dumps(document).encode())
