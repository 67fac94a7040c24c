"""Splitting an annotation file into two that share no image, or no group of images."""

import re
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np

from poise.data.document import Document
from poise.errors import AnnotationError, InputError


def split(document: Document, *, share: float, seed: int = 0, group: str | None = None) -> tuple[Document, Document]:
    """Split a keypoint file into two; the same seed gives the same split.

    Images of one group stay together. Groups are taken in random order; each goes to the first document if that brings it
    nearer to its share.

    Args:
        document: A keypoint file (`read_document`).
        share: Share of the images in the first document, between 0 and 1.
        seed: Seed of the random order.
        group: A field of the image records (such as `sequence`), or a regular expression whose first group, matched in
            `file_name`, is the name of the group. None: every image is a group of its own.

    Returns:
        The first document, with about `share` of the images, and the second.

    Raises:
        InputError: `share` is not between 0 and 1, or `group` is neither a field nor a regular expression.
        AnnotationError: An image lacks the field or does not match, or one document would be empty.
    """
    if not 0 < share < 1:
        raise InputError(f"the share of the first file must lie between 0 and 1, found {share}")
    members: dict[Hashable, list[int]] = {}
    for index, name in enumerate(groups(document, group)):
        members.setdefault(name, []).append(index)
    wanted, taken = share * len(document["images"]), 0
    first: set[int] = set()
    order = np.random.default_rng(seed).permutation(len(members))
    names = sorted(members, key=repr)
    for i in order:
        size = len(members[names[i]])
        if abs(taken + size - wanted) < abs(taken - wanted):
            taken += size
            first.update(members[names[i]])
    if not 0 < len(first) < len(document["images"]):
        raise AnnotationError(
            f"{len(document['images'])} images in {len(members)} groups cannot be split by {share} so that both files "
            f"have images; choose another share or group"
        )
    ids = [image.get("id") for image in document["images"]]
    second = {image_id for index, image_id in enumerate(ids) if index not in first}
    return select_images(document, {ids[i] for i in first}), select_images(document, second)


def groups(document: Document, key: str | None) -> list[Hashable]:
    """The group of each image: the value of a field, else the match of a regular expression in `file_name`.

    Args:
        document: A keypoint file.
        key: Name of a field of the image records, or a regular expression; None makes every image a group of its own.

    Raises:
        InputError: `key` is neither a field of any image nor a regular expression.
        AnnotationError: An image lacks the field, or its file name does not match.
    """
    images = document["images"]
    if key is None:
        return list(range(len(images)))
    if any(key in image for image in images):
        without = [image for image in images if image.get(key) is None]
        if without:
            raise AnnotationError(f"{len(without)} of {len(images)} images have no {key!r}, the first is {without[0]}")
        return [str(image[key]) for image in images]
    try:
        pattern = re.compile(key)
    except re.error as error:
        raise InputError(f"{key!r} is neither a field of the image records nor a regular expression: {error}") from None
    return [_matched(pattern, image) for image in images]


def _matched(pattern: re.Pattern[str], image: Mapping[str, Any]) -> str:
    found = pattern.search(str(image.get("file_name", "")))
    if found is None:
        raise AnnotationError(
            f"{pattern.pattern!r} is not a field of the image records, and as a regular expression it does not match "
            f"the file name {image.get('file_name')!r}"
        )
    return found.group(1) if pattern.groups else found.group(0)


def select_images(document: Document, image_ids: Collection[Hashable]) -> Document:
    """The document with some of its images and their annotations; all other fields stay.

    Args:
        document: A keypoint file.
        image_ids: Ids of the images that are kept.
    """
    return {
        **document,
        "images": [image for image in document["images"] if image.get("id") in image_ids],
        "annotations": [a for a in document["annotations"] if a.get("image_id") in image_ids],
    }
