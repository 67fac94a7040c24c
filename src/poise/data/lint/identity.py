"""Rules for the ids of images, categories and annotations, and for references to them."""

from collections.abc import Hashable, Iterator
from typing import Any

from poise.data.document import Document
from poise.data.lint.report import Finding
from poise.data.naming import fields_of
from poise.errors import PoiseError
from poise.skeletons import Skeleton, from_category


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
    for image in document["images"]:
        known = first.setdefault(image.get("file_name") or str(id(image)), image)
        if known is not image and known.get("id") != image.get("id"):
            duplicates[image.get("id")] = known.get("id")
            found = f"ids {known.get('id')} and {image.get('id')}"
            yield Finding(
                "the same image twice", _image(image), found, f"one record, id {known.get('id')}, with all annotations"
            )
    merge_images(document, duplicates)


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
    taken = max((i["id"] for i in document["images"] if _whole(i.get("id"))), default=0)
    moved = {}
    for image in document["images"]:
        old = image.get("id")
        if _whole(old) and old != 0:
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


def check_categories(document: Document) -> Iterator[Finding]:
    """Categories without a valid skeleton or with repeated ids. Corrects nothing, as only the author knows the names."""
    seen: set[Hashable] = set()
    if not document["categories"]:
        yield Finding("no categories", "the file", "`categories` is missing or empty, so the keypoints have no names")
    elif not any(category.get("keypoints") for category in document["categories"]):
        yield Finding("no category with keypoints", "the file", "no category lists its `keypoints`, so they have no names")
    for category in document["categories"]:
        where = f"category {category.get('name', category.get('id'))!r}"
        if category.get("id") in seen or not _whole(category.get("id")):
            yield Finding("category id repeats or is not a whole number", where, f"id {category.get('id')!r}")
        seen.add(category.get("id"))
        yield from _without_names(document, category)
        if category.get("keypoints") and isinstance(problem := skeleton_of(category), str):
            yield Finding("skeleton cannot be used", where, problem)


def _without_names(document: Document, category: dict[str, Any]) -> Iterator[Finding]:
    """People with keypoints in a category without names, which no command reads."""
    held = fields_of([a for a in document["annotations"] if a.get("category_id") == category.get("id")]).get("keypoints")
    if held and not category.get("keypoints") and any(c.get("keypoints") for c in document["categories"]):
        where = f"category {category.get('name', category.get('id'))!r}"
        found = f"its annotations have {held} keypoints each, and it lists no `keypoints`; --skeleton names them"
        yield Finding("annotations with keypoints in a category without names", where, found)


def skeleton_of(category: dict[str, Any]) -> Skeleton | str:
    """The skeleton of a category, or the error message if it is not valid."""
    try:
        return from_category(category)
    except PoiseError as error:
        return str(error)


def check_annotation_ids(document: Document) -> Iterator[Finding]:
    """Annotations whose id is 0, missing or repeated, or whose image or category does not exist. Corrects `document`."""
    images = {image.get("id") for image in document["images"]}
    taken = max((a["id"] for a in document["annotations"] if _whole(a.get("id"))), default=0)
    seen: set[int] = set()
    kept = []
    for index, annotation in enumerate(document["annotations"]):
        old = annotation.get("id")
        where = f"annotation {old if old is not None else f'number {index}'}"
        if annotation.get("image_id") not in images:
            yield Finding("annotation without image", where, f"image {annotation.get('image_id')!r} does not exist", "dropped")
            continue
        kept.append(annotation)
        if not _whole(old) or old == 0 or old in seen:
            taken += 1
            annotation["id"] = taken
            rule = "annotation id is 0" if old == 0 else "annotation id repeats" if _whole(old) else "annotation id is missing"
            yield Finding(rule, where, f"id {old!r}", f"id {taken}")
        seen.add(annotation["id"])
        yield from _category(annotation, document, where)
    document["annotations"] = kept


def _category(annotation: dict[str, Any], document: Document, where: str) -> Iterator[Finding]:
    ids = [c.get("id") for c in document["categories"]]
    old = annotation.get("category_id")
    if old in ids or not ids:
        return
    fixed = f"category {ids[0]}, the only one" if len(ids) == 1 and _whole(ids[0]) else ""
    if fixed:
        annotation["category_id"] = ids[0]
    yield Finding("annotation without category", where, f"category {old!r} does not exist", fixed)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _image(image: dict[str, Any]) -> str:
    return f"image {image.get('file_name') or image.get('id')!r}"
