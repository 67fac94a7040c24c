"""Records of COCO-style keypoint files: those of images, and which annotations belong to which image and skeleton."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from poise.data.coco_labels import FIX, labelled
from poise.data.naming import names_hint
from poise.data.records import Document, stated_place, stated_size
from poise.errors import AnnotationError
from poise.notes import note
from poise.skeletons import Skeleton, from_category


def sources_of(document: Document, name: str, skeleton: Skeleton | None) -> dict[Any, Skeleton]:
    """Skeleton of each category that has keypoints, by category id.

    Args:
        document: The file's content.
        name: Path of the file, for messages.
        skeleton: Skeleton of all categories where none lists its keypoints.

    Raises:
        AnnotationError: No category lists keypoints and there is no skeleton, or a category is not valid.
    """
    with_keypoints = [c for c in document["categories"] if c.get("keypoints")]
    if with_keypoints:
        return {c.get("id", 1): from_category(c) for c in with_keypoints}
    if skeleton is None:
        raise AnnotationError(
            f"{name!r}: no category lists its `keypoints`, so the keypoints have no names; "
            f"{names_hint(document['annotations'])}"
        )
    return dict.fromkeys({a.get("category_id", 1) for a in document["annotations"]} or {1}, skeleton)


def image_record(index: int, record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of an image record that are used; a missing `file_name` is taken from `coco_url`, with its folder.

    Args:
        index: Row of the record.
        record: The record.
        name: Path of the file, for messages.

    Raises:
        AnnotationError: It has no name, or no whole number as its id.
    """
    file_name = record.get("file_name") or "/".join(str(record.get("coco_url", "")).split("/")[-2:])
    if not file_name or not isinstance(file_name, str):
        raise AnnotationError(f"{name!r}: image number {index} needs a `file_name`, found {_shown(record)}; add the name")
    if not isinstance(record.get("id"), int):
        raise AnnotationError(f"{name!r}: image number {index} needs a whole number `id`, found {_shown(record)}; {FIX}")
    complete = bool(record.get("all_persons_known", True))
    size, place = stated_size(record), stated_place(record)
    return {"id": record["id"], "file_name": file_name, "size": size, "place": place, "complete": complete}


def _shown(record: Mapping[str, Any]) -> str:
    text = str(dict(record))
    return text if len(text) <= 200 else text[:197] + "..."


def shared_id(records: Sequence[Mapping[str, Any]]) -> str:
    """What to say of images that share an id.

    Args:
        records: Records as of `image_record`, of which some have one id.
    """
    names: dict[int, list[str]] = {}
    for record in records:
        names.setdefault(record["id"], []).append(record["file_name"])
    shared = {i: found for i, found in names.items() if len(found) > 1}
    first, found = next(iter(shared.items()))
    return f"{len(records)} images share {len(names)} ids, such as {first} of {found[0]!r} and {found[1]!r}"


def kept_annotations(document: Document, sources: Mapping[Any, Skeleton], name: str) -> list[dict[str, Any]]:
    """The annotations of categories with keypoints; how many others have labelled keypoints is said once.

    Args:
        document: The file's content.
        sources: Skeleton of each category, by category id.
        name: Path of the file, for messages.

    Raises:
        AnnotationError: An annotation names no category, and several have keypoints.
    """
    kept, lost = [], []
    for annotation in document["annotations"]:
        if "category_id" not in annotation and len(sources) > 1:
            raise AnnotationError(
                f"{name!r}: annotation {annotation.get('id')} has no `category_id`, and {len(sources)} categories have "
                f"keypoints; add the id of one"
            )
        if annotation.get("category_id", next(iter(sources))) in sources:
            kept.append(annotation)
        elif labelled(annotation):
            lost.append(annotation)
    if lost:
        ids = ", ".join(sorted({repr(a.get("category_id")) for a in lost})[:5])
        note(
            f"{name!r}: {len(lost)} annotations with labelled keypoints are left out, such as {lost[0].get('id')}: they are of "
            f"categories without keypoint names (`category_id` {ids})"
        )
    return kept


def image_index(annotations: Sequence[Mapping[str, Any]], order: Mapping[int, int], name: str) -> Int64[np.ndarray, " n"]:
    """Index of the image of each annotation.

    Args:
        annotations: The annotations.
        order: Index of each image, by its id.
        name: Path of the file, for messages.

    Raises:
        AnnotationError: An annotation is of an image that is not listed.
    """
    index = [order.get(a.get("image_id", -1), -1) if "image_id" in a else -1 for a in annotations]
    if -1 in index:
        wrong = annotations[index.index(-1)]
        raise AnnotationError(
            f"{name!r}: annotation {wrong.get('id')} is of image {wrong.get('image_id')}, which is not among `images`; "
            f"`poise data check FILE --fix OUT` drops it"
        )
    return np.array(index, dtype=np.int64)


@contextmanager
def names_file(path: Path | str) -> Iterator[None]:
    """While this lasts, errors about annotations name the file.

    Args:
        path: The file.
    """
    try:
        yield
    except AnnotationError as error:
        if repr(str(path)) in str(error):
            raise
        raise AnnotationError(f"{str(path)!r}: {error}") from error


def note_unreadable(path: Path | str, faults: Sequence[str]) -> None:
    """Say once how many segmentations of a file are ignored.

    Args:
        path: The file.
        faults: What is wrong with each, beginning with its annotation.
    """
    if faults:
        count = "1 segmentation is" if len(faults) == 1 else f"{len(faults)} segmentations are"
        note(f"{str(path)!r}: {count} ignored as no polygon or run lengths that can be read, such as of {faults[0]}")
