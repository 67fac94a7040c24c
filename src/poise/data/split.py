"""Splitting an annotation file into two that share no image, or no group of images."""

import re
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np

from poise.data.coco_labels import labelled
from poise.data.records import Document
from poise.errors import AnnotationError, InputError


def split(document: Document, *, share: float, seed: int = 0, group: str | None = None) -> tuple[Document, Document]:
    """Split a keypoint file into two; the same seed gives the same split.

    Images of one group stay together. Groups are taken in random order; each goes to the first document if that brings it
    nearer to its share. Labelled people count, so that unlabelled images of an export do not; groups without any go to the
    first document, and both documents have some. Where nobody at all is labelled, images count.

    Args:
        document: A keypoint file (`read_document`).
        share: Share of the labelled people in the first document, between 0 and 1.
        seed: Seed of the random order.
        group: A field of the image records (such as `sequence`), or a regular expression whose first group, matched in
            `file_name`, is the name of the group. None: every image is a group of its own.

    Returns:
        The first document, with about `share` of the labelled people, and the second.

    Raises:
        InputError: `share` is not between 0 and 1, or `group` is neither a field nor a regular expression.
        AnnotationError: An image lacks the field or does not match, or all labelled people are in one group.
    """
    if not 0 < share < 1:
        raise InputError(f"the share of the first file must lie between 0 and 1, found {share}")
    members: dict[Hashable, list[int]] = {}
    for index, name in enumerate(groups(document, group)):
        members.setdefault(name, []).append(index)
    people = people_of(document)
    counts = [people.get(image.get("id"), 0) if people else 1 for image in document["images"]]
    sizes = {name: sum(counts[i] for i in members[name]) for name in sorted(members, key=repr)}
    second = _second(sizes, share=share, seed=seed)
    if second is None:
        what = f"{sum(people.values())} labelled people" if people else f"{len(document['images'])} images"
        raise AnnotationError(
            f"{what} in {sum(map(bool, sizes.values()))} groups cannot be split so that both files have some; choose another "
            "group"
        )
    ids = [image.get("id") for image in document["images"]]
    held = {ids[i] for name in second for i in members[name]}
    return select_images(document, set(ids) - held), select_images(document, held)


def people_of(document: Document) -> dict[Hashable, int]:
    """Number of people with a labelled keypoint in each image that has some, by image id.

    Args:
        document: A keypoint file.
    """
    return dict(Counter(a.get("image_id") for a in document["annotations"] if not a.get("iscrowd") and labelled(a)))


def _second(sizes: Mapping[Hashable, int], *, share: float, seed: int) -> list[Hashable] | None:
    """The groups of the second document; None where fewer than two have any size."""
    names = list(sizes)
    counted = [names[i] for i in np.random.default_rng(seed).permutation(len(names)) if sizes[names[i]]]
    if len(counted) < 2:
        return None
    wanted, taken = share * sum(sizes.values()), 0
    second = []
    for name in counted:
        if abs(taken + sizes[name] - wanted) < abs(taken - wanted):
            taken += sizes[name]
        else:
            second.append(name)
    if not second:  # a small share of few people is one group
        return [min(counted, key=lambda name: sizes[name])]
    return second if len(second) < len(counted) else [name for name in second if name != min(second, key=lambda n: sizes[n])]


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
