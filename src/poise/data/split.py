"""An annotation file in two, so that nothing of one part is known from the other."""

import re
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np

from poise.data.document import Document
from poise.errors import AnnotationError, InputError


def split(document: Document, *, share: float, seed: int = 0, group: str | None = None) -> tuple[Document, Document]:
    """Two documents; the first has about `share` of the images. The same seed gives the same parts.

    Images of one group stay together. Groups are drawn in random order; each goes to the first part while that brings it
    nearer to its share.

    Args:
        document: A keypoint file as it stands (`read_document`).
        share: Of the first part, between 0 and 1.
        seed: Of the order.
        group: A field of the image records (`sequence`), or a regular expression whose first group, found in `file_name`,
            names the group. None: every image is its own group.

    Raises:
        InputError: `share` is not between 0 and 1, or the expression is none.
        AnnotationError: An image has no such field or does not match, or one part would be empty.
    """
    if not 0 < share < 1:
        raise InputError(f"the share of the first part must lie between 0 and 1, found {share}")
    members: dict[Hashable, list[int]] = {}
    for place, name in enumerate(groups(document, group)):
        members.setdefault(name, []).append(place)
    wanted, taken = share * len(document["images"]), 0
    first: set[int] = set()
    order = np.random.default_rng(seed).permutation(len(members))
    names = sorted(members, key=repr)
    for place in order:
        size = len(members[names[place]])
        if abs(taken + size - wanted) < abs(taken - wanted):
            taken += size
            first.update(members[names[place]])
    if not 0 < len(first) < len(document["images"]):
        raise AnnotationError(
            f"{len(document['images'])} images in {len(members)} groups cannot be split by {share} so that both parts "
            f"have images; choose another share or group"
        )
    ids = [image.get("id") for image in document["images"]]
    return part(document, {ids[i] for i in first}), part(document, {i for place, i in enumerate(ids) if place not in first})


def groups(document: Document, key: str | None) -> list[Hashable]:
    """The group of each image: the value of a field, else what a regular expression finds in `file_name`.

    Raises:
        InputError: `key` is neither a field of any image nor a regular expression.
        AnnotationError: An image lacks the field, or its name does not match.
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
            f"{pattern.pattern!r} is no field of the image records, and as a regular expression it does not match "
            f"the file name {image.get('file_name')!r}"
        )
    return found.group(1) if pattern.groups else found.group(0)


def part(document: Document, image_ids: Collection[Hashable]) -> Document:
    """The document of some of the images and their annotations; everything else stays as it is."""
    return {
        **document,
        "images": [image for image in document["images"] if image.get("id") in image_ids],
        "annotations": [a for a in document["annotations"] if a.get("image_id") in image_ids],
    }
