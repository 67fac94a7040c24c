"""Label files that say the same as COCO's in another way: ids and numbers as text, keypoints as rows, null, other lengths.

Every reader of label files converts them first (`poise.fields` has what each value may be), so training, evaluation and
`poise data check` agree; nobody is lost by a conversion.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from poise.data.keypoint_lists import KeypointLists, list_of_text
from poise.data.records import Document
from poise.fields import flag, number, whole


@final
@dataclass(frozen=True)
class Change:
    """A value that was converted.

    Attributes:
        rule: What is odd, a few words.
        where: The record, such as "annotation 12".
        found: The value in the file.
        now: What it is read as.
    """

    rule: str
    where: str
    found: str
    now: str


def convert(document: Document) -> list[Change]:
    """Convert a document in place to the form of COCO's files; what has no meaning stays as it is.

    Args:
        document: A label file: `images`, `annotations` and `categories`, each a list of objects or an object of them.

    Returns:
        All conversions; [] for a file in COCO's form.
    """
    changes = as_lists(document)
    if all(isinstance(row, dict) for part in ("images", "annotations", "categories") for row in document[part]):
        changes += [*_ids(document), *_sizes(document["images"]), *_names(document["categories"]), *_people(document)]
    return changes


def as_lists(document: Document) -> list[Change]:
    """Make lists of records that are an object by id; a document of lists stays as it is.

    Args:
        document: A label file, changed in place.
    """
    return [change for part in ("images", "annotations", "categories") for change in _listed(document, part)]


def summary(changes: Sequence[Change]) -> str:
    """One clause per rule: how often, and the first value."""
    first: dict[str, Change] = {}
    for change in changes:
        first.setdefault(change.rule, change)
    count = Counter(change.rule for change in changes)
    return "; ".join(f"{rule}, {count[rule]} times ({c.where}: {c.found}, read as {c.now})" for rule, c in first.items())


def _listed(document: Document, part: str) -> list[Change]:
    """Objects of records by id, as AnimalPose has its images (`{"1": "a.jpg"}`), become lists."""
    found = document.get(part)
    if not isinstance(found, dict):
        return []
    rows = [_record(key, value, part) for key, value in found.items()]
    if not all(isinstance(row, dict) for row in rows):
        return []
    document[part] = rows
    return [Change(f"`{part}` is an object", "the file", f"{len(rows)} records by id", "a list")]


def _record(key: str, value: Any, part: str) -> Any:
    if isinstance(value, str) and part == "images":
        return {"id": key, "file_name": value}
    return {"id": key, **value} if isinstance(value, dict) else value


def _ids(document: Document) -> list[Change]:
    images, categories = document["images"], document["categories"]
    changes = _own_ids(images, "image") + _own_ids(categories, "category") + _own_ids(document["annotations"], "annotation")
    for name, rows, text in (("image_id", images, "file_name"), ("category_id", categories, "name")):
        known = {row["id"] for row in rows if isinstance(row.get("id"), str | int | float)}
        changes += _references(document["annotations"], name, known, _by_text(rows, text))
    return changes


def _own_ids(rows: Sequence[dict[str, Any]], what: str) -> list[Change]:
    """Ids as text or with a point become whole numbers, unless two ids would become one."""
    if all(type(row.get("id")) is int for row in rows):
        return []
    odd = [(row, new) for row in rows if type(row.get("id")) is not int and (new := whole(row.get("id"))) is not None]
    taken = {row["id"] for row in rows if type(row.get("id")) is int}
    wanted = {repr(row["id"]): new for row, new in odd}
    if len(set(wanted.values())) < len(wanted) or not taken.isdisjoint(wanted.values()):
        return []
    changes = [Change(f"{what} id is no whole number", f"{what} {row['id']!r}", repr(row["id"]), str(new)) for row, new in odd]
    for row, new in odd:
        row["id"] = new
    return changes


def _references(annotations: Sequence[dict[str, Any]], name: str, known: set[Any], other: Mapping[str, Any]) -> list[Change]:
    """References that are text, have a point or name the record become the ids of these records."""
    changes = []
    for annotation in annotations:
        old = annotation.get(name)
        if type(old) is int:
            continue
        if old is None:
            annotation.pop(name, None)
            continue
        if isinstance(old, bool):  # Python's True is 1, which may be the id of a record
            annotation[name] = repr(old)
            continue
        if old in known and not isinstance(old, float):
            continue
        new = whole(old)
        new = new if new in known else other.get(str(old))
        if new is not None:
            annotation[name] = new
            changes.append(Change(f"`{name}` is no whole number", _where(annotation), repr(old), repr(new)))
    return changes


def _by_text(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Id of each record by a text of it, for texts that occur once."""
    count = Counter(row.get(name) for row in rows if isinstance(row.get(name), str))
    return {text: row["id"] for row in rows if isinstance(text := row.get(name), str) and count[text] == 1 and "id" in row}


def _sizes(images: Sequence[dict[str, Any]]) -> list[Change]:
    changes = []
    for image in images:
        for name in ("height", "width"):
            old = image.get(name)
            if isinstance(old, str) and (new := whole(old)) is not None:
                image[name] = new
                changes.append(Change(f"`{name}` is text", f"image {image.get('file_name')!r}", repr(old), str(new)))
    return changes


def _names(categories: Sequence[dict[str, Any]]) -> list[Change]:
    """Names of keypoints as an object by number, as one text or as objects with a `name` become a list of texts."""
    changes = []
    for category in categories:
        old = category.get("keypoints")
        if (new := _listed_names(old)) is not None and new:
            category["keypoints"] = new
            where = f"category {category.get('name', category.get('id'))!r}"
            changes.append(Change("`keypoints` of a category are no list of names", where, _short(old), _short(new)))
    return changes


def _listed_names(value: Any) -> list[Any] | None:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if isinstance(value, dict):
        keys = {key: whole(key) for key in value}
        return [value[key] for key in (value if None in keys.values() else sorted(value, key=lambda k: keys[k] or 0))]
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return [one["name"] for one in value]
    return None


def _people(document: Document) -> list[Change]:
    changes: list[Change] = []
    lists = KeypointLists(document["categories"])
    for annotation in document["annotations"]:
        for name, odd, converted in _FIELDS:
            old = annotation.get(name)
            if old is None or not odd(old):
                continue
            new = converted(old)
            if new is not None:
                annotation[name] = new
                changes.append(Change(_RULES[name], _where(annotation), _short(old), _short(new)))
        if (rule := lists.convert(annotation)) is not None:
            changes.append(Change(rule[0], _where(annotation), rule[1], rule[2]))
    for annotation, rule_, found, now in lists.fit(document["annotations"]):
        changes.append(Change(rule_, _where(annotation), found, now))
    return changes


def _odd_flag(value: Any) -> bool:
    return type(value) is not int or value not in (0, 1)


def _odd_number(value: Any) -> bool:
    return isinstance(value, str | bool)


def _odd_box(value: Any) -> bool:
    return isinstance(value, dict | str) or (isinstance(value, list) and not {int, float}.issuperset(map(type, value)))


_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
)


def _named_box(value: Mapping[str, Any]) -> list[Any]:
    """x, y, width, height of a box with named sides or corners; [] for other names."""
    for names in _SIDES:
        if value.keys() >= set(names):
            return [value[name] for name in names]
    for names in _CORNERS:
        if value.keys() >= set(names) and None not in (numbers := [number(value[name]) for name in names]):
            x0, y0, x1, y1 = (n or 0 for n in numbers)
            return [x0, y0, x1 - x0, y1 - y0]
    return []


def _box(value: Any) -> list[Any] | None:
    """Four numbers, also as text, in pairs or with names."""
    value = _named_box(value) if isinstance(value, dict) else (list_of_text(value) or []) if isinstance(value, str) else value
    flat = [v for part in value for v in part] if value and all(isinstance(v, list) for v in value) else value
    numbers = [number(v) for v in flat]
    return numbers if len(numbers) == 4 and None not in numbers else None


_FIELDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    ("iscrowd", _odd_flag, flag),
    ("bbox", _odd_box, _box),
    ("area", _odd_number, number),
    ("num_keypoints", _odd_number, whole),
)
_RULES = {
    "iscrowd": "`iscrowd` is not 0 or 1",
    "bbox": "`bbox` is not four numbers",
    "area": "`area` is no number",
    "num_keypoints": "`num_keypoints` is no number",
}


def _where(annotation: Mapping[str, Any]) -> str:
    return f"annotation {annotation.get('id')}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
