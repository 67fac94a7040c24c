"""Rules for the ids of images and annotations, and for references to them."""

from collections.abc import Hashable, Iterator
from typing import Any

from poise.data.coco_labels import labelled
from poise.data.lint.report import Finding
from poise.data.records import Document
from poise.fields import LARGEST


def check_images(document: Document) -> Iterator[Finding]:
    """File names and ids of images that are missing, 0 or repeated. Corrects `document` in place."""
    yield from _names(document)
    yield from _repeated_ids(document)
    yield from _repeated_names(document)
    yield from _odd_ids(document)


def _names(document: Document) -> Iterator[Finding]:
    for index, image in enumerate(document["images"]):
        if image.get("file_name") and isinstance(image["file_name"], str):
            continue
        url = "/".join(str(image.get("coco_url") or "").split("/")[-2:])
        where = f"image {image.get('id', f'number {index}')}"
        image["file_name"] = url
        yield Finding("image without file name", where, "no `file_name`", f"{url!r}, from its `coco_url`" if url else "")


def _repeated_ids(document: Document) -> Iterator[Finding]:
    """Drops the second of two equal records. Two images with one id stay, as it is unknown whose the annotations are."""
    first: dict[Hashable, dict[str, Any]] = {}
    kept = []
    for image in document["images"]:
        known = first.setdefault(image.get("id"), image)
        if image.get("id") is None or known is image:
            kept.append(image)
        elif known.get("file_name") == image.get("file_name"):
            found = f"id {image['id']} stands twice with this name"
            yield Finding("the same image twice", _image(image), found, "the second record dropped")
        else:
            kept.append(image)
            found = f"id {image['id']} is also that of {known.get('file_name')!r}"
            yield Finding("image id repeats", _image(image), found)
    document["images"] = kept


def _repeated_names(document: Document) -> Iterator[Finding]:
    first: dict[str, dict[str, Any]] = {}
    duplicates = {}
    people = None
    for image in document["images"]:
        known = first.setdefault(image.get("file_name") or str(id(image)), image)
        if known is image or known.get("id") == image.get("id"):
            continue
        people = labelled_people(document) if people is None else people
        found = f"ids {known.get('id')} and {image.get('id')}"
        if same_people(people, known.get("id"), image.get("id")):
            duplicates[image.get("id")] = known.get("id")
            fix = f"one record, id {known.get('id')}, with all annotations"
            yield Finding("the same image twice", _image(image), found, fix)
        else:
            yield Finding("one file name, different people", _image(image), f"{found}: are they of different folders?")
    merge_images(document, duplicates)


People = dict[Any, set[tuple[Any, ...]]]
"""The keypoints of the labelled people of each image, by image id."""


def labelled_people(document: Document) -> People:
    """The keypoints of the labelled people of each image.

    Args:
        document: The document.
    """
    people: People = {}
    for annotation in document["annotations"]:
        if labelled(annotation):
            people.setdefault(annotation.get("image_id"), set()).add(tuple(map(repr, annotation["keypoints"])))
    return people


def same_people(people: People, first: Any, second: Any) -> bool:
    """Whether two records can be of one image: one has no labelled people, or only such as the other has, too.

    Args:
        people: The people of all images.
        first: Id of an image.
        second: Id of another.
    """
    a, b = people.get(first, set()), people.get(second, set())
    return a <= b or b <= a


def merge_images(document: Document, duplicates: dict[Any, Any]) -> None:
    """Drop duplicates of images and move their annotations to the images that stay.

    Args:
        document: The document, changed in place.
        duplicates: Id of the image that stays, by the id of each image that is dropped.
    """
    if not duplicates:
        return
    document["images"] = [image for image in document["images"] if image.get("id") not in duplicates]
    for annotation in document["annotations"]:
        annotation["image_id"] = duplicates.get(annotation.get("image_id"), annotation.get("image_id"))


def _odd_ids(document: Document) -> Iterator[Finding]:
    """Gives new ids to images whose id is 0, missing or not a whole number, and to their annotations."""
    taken = max((i["id"] for i in document["images"] if is_id(i.get("id"))), default=0)
    taken, moved = max(taken, 0), {}
    for image in document["images"]:
        old = image.get("id")
        if is_id(old) and old != 0:
            continue
        taken += 1
        image["id"] = taken
        if old is not None:
            moved[old] = taken
        rule = "image id is 0" if old == 0 else "image id is not a whole number"
        yield Finding(rule, _image(image), f"id {old!r}", f"id {taken}, its annotations with it")
    if moved:
        for annotation in document["annotations"]:
            old = annotation.get("image_id")
            annotation["image_id"] = moved.get(old, annotation.get("image_id"))


def check_annotation_ids(document: Document) -> Iterator[Finding]:
    """Annotations whose id is 0, missing or repeated, or whose image or category does not exist. Corrects `document`."""
    images = {image.get("id") for image in document["images"]}
    taken, categories = 0, [c.get("id") for c in document["categories"]]
    seen: set[int] = set()
    kept = []
    for index, annotation in enumerate(document["annotations"]):
        old, good = annotation.get("id"), annotation.get("image_id") in images and annotation.get("category_id") in categories
        if good and old and is_id(old) and old not in seen:
            seen.add(old)
            kept.append(annotation)
            continue
        where = f"annotation {old if old is not None else f'number {index}'}"
        if annotation.get("image_id") not in images:
            found, lost = f"image {annotation.get('image_id')!r} does not exist", int(labelled(annotation))
            yield Finding("annotation without image", where, found, "dropped", lost=lost)
            continue
        kept.append(annotation)
        if not is_id(old) or old == 0 or old in seen:
            taken = (taken or max([0, *(a["id"] for a in document["annotations"] if is_id(a.get("id")))])) + 1
            annotation["id"] = taken
            rule = "annotation id is 0" if old == 0 else "annotation id repeats" if is_id(old) else "annotation id is missing"
            yield Finding(rule, where, f"id {old!r}", f"id {taken}")
        seen.add(annotation["id"])
        yield from _category(annotation, categories, where)
    document["annotations"] = kept


def _category(annotation: dict[str, Any], ids: list[Any], where: str) -> Iterator[Finding]:
    old = annotation.get("category_id")
    if old in ids or not ids:
        return
    fixed = f"category {ids[0]}, the only one" if len(ids) == 1 and is_id(ids[0]) else ""
    if fixed:
        annotation["category_id"] = ids[0]
    yield Finding("annotation without category", where, f"category {old!r} does not exist", fixed)


def is_id(value: Any) -> bool:
    """Whether a value is a whole number that can be an id."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _image(image: dict[str, Any]) -> str:
    return f"image {image.get('file_name') or image.get('id')!r}"
