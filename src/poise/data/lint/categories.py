"""Rules for categories: their ids, names of keypoints, sigmas and bones."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from poise.data.coco_labels import labelled
from poise.data.lint.identity import is_id
from poise.data.lint.report import Finding
from poise.data.naming import fields_of
from poise.data.records import Document
from poise.errors import PoiseError
from poise.skeletons import Skeleton, from_category, usable_bones


def check_categories(document: Document) -> Iterator[Finding]:
    """Categories without a valid skeleton, with repeated or odd ids. Corrects `document` in place where nothing is guessed."""
    if not document["categories"]:
        yield Finding("no categories", "the file", "`categories` is missing or empty, so the keypoints have no names")
    elif not any(category.get("keypoints") for category in document["categories"]):
        yield Finding("no category with keypoints", "the file", "no category lists its `keypoints`, so they have no names")
    yield from _ids(document)
    yield from _without_names(document)
    for category in document["categories"]:
        if category.get("keypoints"):
            yield from _skeleton(category)


def skeleton_of(category: dict[str, Any]) -> Skeleton | str:
    """The skeleton of a category, or the error message if it is not valid."""
    try:
        return from_category(category)
    except PoiseError as error:
        return str(error)


def _where(category: dict[str, Any]) -> str:
    return f"category {category.get('name', category.get('id'))!r}"


def _ids(document: Document) -> Iterator[Finding]:
    seen: dict[Any, dict[str, Any]] = {}
    kept = []
    for category in document["categories"]:
        known = seen.setdefault(category.get("id"), category)
        if known is not category and known == category:
            yield Finding("the same category twice", _where(category), f"id {category.get('id')!r}", "the second dropped")
            continue
        kept.append(category)
        if known is not category:
            yield Finding("category id repeats", _where(category), f"id {category.get('id')!r}")
    document["categories"] = kept
    yield from _odd_ids(document)


def _odd_ids(document: Document) -> Iterator[Finding]:
    """Gives new ids to categories whose id is missing or no whole number, and to their annotations."""
    taken = max((c["id"] for c in document["categories"] if is_id(c.get("id"))), default=0)
    moved = {}
    for category in document["categories"]:
        old = category.get("id")
        if is_id(old):
            continue
        taken = max(taken, 0) + 1
        category["id"] = taken
        if old is not None or len(document["categories"]) == 1:
            moved[old] = taken
        yield Finding("category id is not a whole number", _where(category), f"id {old!r}", f"id {taken}, with its annotations")
    if moved:
        for annotation in document["annotations"]:
            old = annotation.get("category_id")
            annotation["category_id"] = moved.get(old, old)


def _without_names(document: Document) -> Iterator[Finding]:
    """Labelled people in categories without names beside others with names; no command reads them."""
    nameless = {c.get("id"): c for c in document["categories"] if not c.get("keypoints")}
    if len(nameless) == len(document["categories"]):
        return
    people: dict[Any, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        if annotation.get("category_id") in nameless and labelled(annotation):
            people.setdefault(annotation["category_id"], []).append(annotation)
    for category, own in people.items():
        found = (
            f"{len(own)} labelled annotations with {fields_of(own).get('keypoints', 'some')} keypoints each, such as "
            f"{own[0].get('id')}; it lists no `keypoints`, so nobody is trained or scored on them; --skeleton names them"
        )
        yield Finding("keypoints of a category without names", _where(nameless[category]), found)


def _skeleton(category: dict[str, Any]) -> Iterator[Finding]:
    yield from _names(category)
    yield from _sigmas(category)
    yield from _bones(category)
    if isinstance(problem := skeleton_of(category), str):
        yield Finding("skeleton cannot be used", _where(category), problem)


def _names(category: dict[str, Any]) -> Iterator[Finding]:
    names = category["keypoints"]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        return
    twice = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if not twice:
        return
    new: list[str] = []
    for name in map(str, names):
        number = 2
        unique = name
        while unique in new:
            unique, number = f"{name}_{number}", number + 1
        new.append(unique)
    category["keypoints"] = new
    changed = [n for n, old in zip(new, names, strict=True) if n != old]
    yield Finding("keypoint names repeat", _where(category), ", ".join(twice), f"renamed {', '.join(changed)}")


def _sigmas(category: dict[str, Any]) -> Iterator[Finding]:
    if not category.get("sigmas") or not isinstance(problem := skeleton_of({**category, "skeleton": []}), str):
        return
    if isinstance(skeleton_of({**category, "skeleton": [], "sigmas": []}), str):
        return
    del category["sigmas"]
    yield Finding("sigmas cannot be used", _where(category), problem, "removed; the sigmas of the names are used")


def _bones(category: dict[str, Any]) -> Iterator[Finding]:
    """Bones are only drawn, so those that join nothing are removed."""
    given = category.get("skeleton")
    if not isinstance(category["keypoints"], list):
        return  # the names are at fault
    names = [str(name) for name in category["keypoints"]]
    bones, wrong = usable_bones(names, given)
    if not wrong:
        return
    category["skeleton"] = [[names.index(a) + 1, names.index(b) + 1] for a, b in bones]
    found = f"{len(wrong)} of its bones, such as {str(wrong[0])[:60]}"
    yield Finding("bones join no keypoints", _where(category), found, "removed")
