"""COCO annotation files as plain JSON: reading, checks of their structure, writing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poise.data.conversions import as_lists, convert, summary
from poise.data.forms import read_form
from poise.data.other_tools import named_by_content, named_by_path
from poise.data.records import Document as Document
from poise.errors import AnnotationError
from poise.notes import note
from poise.reading import check_folder, read_json
from poise.writing import write_atomic

if TYPE_CHECKING:
    from poise.data.naming import Naming


def read_document(
    path: Path | str, read: Any = None, *, naming: "Naming | None" = None, images: Path | str | None = None
) -> Document:
    """Read a keypoint file in COCO's form; values written otherwise are converted (`convert`), which is said once.

    Args:
        path: The JSON file.
        read: Result of `read_labels_json` for this file, if it was read already; changed in place.
        naming: Names of its keypoints, where it has none.
        images: Folder of its images, for forms whose labels are shares of them.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not JSON, or not a keypoint file; the message says what it is instead.
        SkeletonMismatch: The names do not fit its annotations.
    """
    document = read_raw(path, read, naming=naming, images=images)
    if changes := convert(document):
        note(f"{str(path)!r} is read with conversions: {summary(changes)}; `poise data check FILE --fix OUT` writes them down")
    return document


def read_boxes_document(path: Path | str, read: Any = None) -> Document:
    """Read a file in COCO's form of which only images, boxes and categories are wanted, with or without keypoints.

    Args:
        path: The JSON file.
        read: Result of `read_labels_json` for this file, if it was read already; changed in place.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not JSON, or not in COCO's form.
    """
    document = _read_parts(path, read)
    if changes := convert(document):
        note(f"{str(path)!r} is read with conversions: {summary(changes)}")
    return document


def read_raw(
    path: Path | str, read: Any = None, *, naming: "Naming | None" = None, images: Path | str | None = None
) -> Document:
    """Read a keypoint file without changing its content, except that a missing `categories` becomes [].

    Mirror pairs that the file states as a whole (`flip_idx`, `mirror`) are those of each category with keypoints.

    Args:
        path: The JSON file.
        read: Result of `read_labels_json` for this file, if it was read already.
        naming: Names of its keypoints, where it has none.
        images: Folder of its images, for forms whose labels are shares of them.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is not JSON, or not a keypoint file; the message says what it is instead.
        SkeletonMismatch: The names do not fit its annotations.
    """
    document = _read_parts(path, read, images)
    _state_mirror(document)
    if naming is not None:
        as_lists(document)  # names are given to lists of records
    named: Document = document if naming is None else naming.applied(document, path)
    _check_kind(named, path)
    return named


def _read_parts(path: Path | str, read: Any, images: Path | str | None = None) -> Document:
    """A document with the three parts of COCO's form, each of records."""
    document = read_labels_json(path, images=images) if read is None else read
    parts = isinstance(document, dict) and all(_rows_of(document.get(k)) is not None for k in ("images", "annotations"))
    if not parts and (other_form := read_form(path, document)) is not None:
        document, parts = other_form, True
    if not parts and (other := named_by_content(path, document)) is not None:
        raise AnnotationError(other)
    if isinstance(document, list):
        raise AnnotationError(
            f"{str(path)!r} is a list, as files of detections or results are; a keypoint file is an object with "
            f"`images`, `annotations` and `categories`"
        )
    if not parts:
        found = ", ".join(map(repr, list(document)[:8])) if isinstance(document, dict) else type(document).__name__
        raise AnnotationError(
            f"{str(path)!r} is no COCO keypoint file: it needs lists `images`, `annotations` and `categories`, found {found}"
        )
    document["categories"] = document.get("categories") or []
    _check_records(document, path)
    _check_references(document, path)
    made: Document = document
    return made


def _state_mirror(document: Document) -> None:
    """Give what the file states as a whole about its mirror pairs to each category with keypoints."""
    stated = {key: document[key] for key in ("flip_idx", "mirror") if document.get(key)}
    for category in _rows_of(document["categories"]) or []:
        if category.get("keypoints"):
            category.update({**stated, **category})


def read_labels_json(path: Path | str, *, images: Path | str | None = None) -> Any:
    """The content of a JSON file; of a file or folder of another form that is known (`read_form`) the document in COCO's form.

    Args:
        path: The file or folder.
        images: Folder of its images, for forms whose labels are shares of them.

    Raises:
        ReadError: The file is missing or cannot be read.
        AnnotationError: The file is of no form that is known; the message says which tool's file it is.
    """
    if Path(path).is_dir():
        return _read_folder(path, images)
    try:
        return read_json(path)
    except AnnotationError:
        if (made := read_form(path, images=images)) is not None:
            return made
        other = named_by_path(path)
        if other is None:
            raise
        raise AnnotationError(other) from None


def _read_folder(path: Path | str, images: Path | str | None) -> Document:
    check_folder(path, what="folder of labels")
    made = read_form(path, images=images)
    if made is None:
        raise AnnotationError(
            f"{str(path)!r} is a folder, and its files are none of the labels that are read as a folder (labelme's JSON, "
            f"YOLO's .txt, .pts of faces); give the label file itself"
        )
    return made


_REFERENCES = {"images": ("id",), "annotations": ("id", "image_id", "category_id"), "categories": ("id", "name")}
"""Fields that refer to records or are referred to; lists and objects cannot be looked up."""


def _rows_of(part: Any) -> list[Any] | None:
    """The records of a part: a list, or an object of them by id; None for anything else."""
    return part if isinstance(part, list) else list(part.values()) if isinstance(part, dict) else None


def _check_records(document: Document, path: Path | str) -> None:
    for part in _REFERENCES:
        rows = _rows_of(document[part])
        texts = part == "images" and isinstance(document[part], dict)
        kinds = dict | str if texts else dict
        wrong = [document[part]] if rows is None else [row for row in rows if not isinstance(row, kinds)]
        if wrong:
            raise AnnotationError(f"{str(path)!r}: `{part}` must be a list of objects, found {str(wrong[0])[:80]!r}")


def _check_references(document: Document, path: Path | str) -> None:
    for part, names in _REFERENCES.items():
        rows = [row for row in _rows_of(document[part]) or [] if isinstance(row, dict)]
        for name in names:
            odd = next(((i, row) for i, row in enumerate(rows) if isinstance(row.get(name), list | dict)), None)
            if odd is not None:
                raise AnnotationError(
                    f"{str(path)!r}: `{name}` of number {odd[0]} of `{part}` must be a number or text, "
                    f"found {str(odd[1][name])[:80]}"
                )


def _check_kind(document: Document, path: Path | str) -> None:
    """Refuse files of captions and of instances, which COCO's archive has beside the keypoint files."""
    people, categories = _rows_of(document["annotations"]) or [], _rows_of(document["categories"]) or []
    if any("keypoints" in a for a in people) or any(c.get("keypoints") for c in categories):
        return
    if not people:
        raise AnnotationError(f"{str(path)!r} has no annotations and no category with keypoints; give a keypoint file")
    first = people[0]
    if "joint_valid" in first and "hand_type" in first:
        raise AnnotationError(
            f"{str(path)!r} is of InterHand2.6M, whose keypoints are 3-D and stand in InterHand2.6M_*_joint_3d.json; project "
            f"them by the cameras of InterHand2.6M_*_camera.json and add them as `keypoints`"
        )
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
