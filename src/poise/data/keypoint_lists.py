"""Lists of keypoints in other forms than COCO's flat x, y, visible: rows, text, null, x and y alone, padded lists."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

from poise.fields import number

Found = tuple[str, str, str]
"""What is odd, the value found, what it is read as."""

LONGEST = 100_000
"""Letters of a text that is read as numbers."""

_PLAIN = frozenset({int, float})


@final
class KeypointLists:
    """Converts the `keypoints` of annotations to flat lists of three numbers for each keypoint of their category.

    Args:
        categories: The list `categories` of the file.
    """

    def __init__(self, categories: Sequence[Mapping[str, Any]]) -> None:
        named = [c for c in categories if isinstance(c.get("keypoints"), list) and c["keypoints"]]
        self._names = {_key(c.get("id")): [str(n) for n in c["keypoints"]] for c in named}
        self._only = next(iter(self._names.values())) if len(self._names) == 1 else None
        self._labels = {_key(c.get("id")): str(c.get("name", c.get("id"))) for c in named}

    def count(self, annotation: Mapping[str, Any]) -> int | None:
        """Number of keypoints of an annotation's category; None for a category without keypoints."""
        names = self._names.get(_key(annotation["category_id"])) if "category_id" in annotation else self._only
        return None if names is None else len(names)

    def convert(self, annotation: dict[str, Any]) -> Found | None:
        """Make `keypoints` flat and numbers, where they are not; None where nothing was converted."""
        given = annotation.get("keypoints")
        values = self._listed(annotation)
        if values is None:
            return None
        count, listed = self.count(annotation), isinstance(given, list)
        if not listed and count is not None and len(values) not in (count, 2 * count, 3 * count):
            return None
        plain = _PLAIN.issuperset(map(type, values)) and _finite(values)
        if plain and listed and count is not None and len(values) == 3 * count:
            return None
        flat, rule = _flat(values), "`keypoints` are rows"
        if flat is values:
            rule = "`keypoints` have text, null or nan"
        if values and len(values) == count and all(v is None for v in values):
            flat = [0] * (3 * count)
        known = [None] if flat is None else [number(v) for v in flat]
        if None in known:
            return None
        if count is not None and len(known) == 2 * count and flat is values and not _triples(known):
            known = [v for i in range(count) for v in (*known[2 * i : 2 * i + 2], math.nan)]
            rule = "`keypoints` lack visibility"
        _settle(known)
        if len(known) % 3 or _same(known, values):
            return None
        annotation["keypoints"] = known
        if not listed:
            rule = "`keypoints` are named" if isinstance(given, dict) else "`keypoints` are text"
        return rule, _short(values), _short(known)

    def _listed(self, annotation: Mapping[str, Any]) -> list[Any] | None:
        """The list of an annotation: also of a text, or of places by name, None where one is left out; else None."""
        given = annotation.get("keypoints")
        if isinstance(given, list):
            return given
        if isinstance(given, str):
            return list_of_text(given)
        if not isinstance(given, dict):
            return None
        names = self._names.get(_key(annotation["category_id"])) if "category_id" in annotation else self._only
        return None if names is None or not set(given).issubset(names) else [given.get(name) for name in names]

    def fit(self, annotations: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, str, str]]:
        """Shorten lists that hold the keypoints of all categories, or zeros beyond their own; lengthen those without labels.

        Args:
            annotations: The annotations, changed in place.

        Yields:
            The annotation, what was odd, the value found, what it is read as.
        """
        groups: dict[tuple[Any, int], list[dict[str, Any]]] = {}
        for annotation in annotations:
            values, count = annotation.get("keypoints"), self.count(annotation)
            if count is None or not isinstance(values, list) or len(values) == 3 * count or len(values) % 3:
                continue
            if not _PLAIN.issuperset(map(type, values)):
                continue
            if not any(v > 0 for v in values[2::3]):
                annotation["keypoints"] = [0] * (3 * count)
                yield annotation, "`keypoints` of nobody of another length", f"{len(values)} numbers", f"{3 * count} zeros"
            else:
                groups.setdefault((_key(annotation.get("category_id")), len(values)), []).append(annotation)
        for (category, length), members in groups.items():
            if (slots := self._slots(category, length // 3, members)) is None:
                continue
            for annotation in members:
                values = annotation["keypoints"]
                annotation["keypoints"] = [v for s in slots for v in values[3 * s : 3 * s + 3]]
                yield annotation, "`keypoints` of another length", f"{length} numbers", self._told(category, slots)

    def _told(self, category: Any, slots: Sequence[int]) -> str:
        name = self._labels.get(category, next(iter(self._labels.values())))
        return f"the {len(slots)} keypoints of {name!r}, number {slots[0] + 1} to {slots[-1] + 1} of the list"

    def _slots(self, category: Any, length: int, members: Sequence[Mapping[str, Any]]) -> list[int] | None:
        """Where the own keypoints of a category are in lists that are longer; None where labels lie elsewhere."""
        own = self._names.get(category, self._only) or []
        labelled = {i for a in members for i, v in enumerate(a["keypoints"][2::3]) if v > 0}
        everything = list(dict.fromkeys(n for names in self._names.values() for n in names))
        layouts: list[list[int]] = []
        if len(self._names) > 1 and length == sum(map(len, self._names.values())):
            before = list(self._names).index(category)
            start = sum(len(names) for names in list(self._names.values())[:before])
            layouts.append(list(range(start, start + len(own))))
        if len(self._names) > 1 and length == len(everything):
            layouts.append([everything.index(n) for n in own])
        if length > len(own):
            layouts.append(list(range(len(own))))
        return next((slots for slots in layouts if labelled.issubset(slots)), None)


def list_of_text(text: str) -> list[str] | None:
    """The numbers of one text, such as "[12.5, 30, 2]" or "12,5;30;2"; None where it holds other words.

    >>> list_of_text("[12.5, 30, 2]"), list_of_text("12,5;30;2"), list_of_text("12 30 2"), list_of_text("left")
    (['12.5', '30', '2'], ['12,5', '30', '2'], ['12', '30', '2'], None)
    """
    if len(text) > LONGEST:
        return None
    inside = text.strip().strip("[]()")
    between = r"[;\s]+" if ";" in inside else r",\s+|\s+" if re.search(r"\s", inside) else ","
    parts = [part for part in re.split(between, inside) if part]
    return parts if parts and None not in map(number, parts) else None


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


def _flat(values: list[Any]) -> list[Any] | None:
    """The values of rows one after the other; the same list where there are no rows, None where rows differ."""
    if not any(isinstance(v, list | dict) for v in values):
        return values
    rows = [_row(v) for v in values]
    return None if None in rows else [v for row in rows if row is not None for v in row]


def _row(row: Any) -> list[Any] | None:
    if row is None:
        return [0, 0, 0]
    if isinstance(row, dict):
        seen = next((row[n] for n in ("v", "visible", "visibility", "vis") if n in row), None)
        return [row["x"], row["y"], seen] if "x" in row and "y" in row else None
    if not isinstance(row, list) or len(row) not in (0, 2, 3):
        return None
    return [0, 0, 0] if not row else [*row, None] if len(row) == 2 else row


def _finite(values: Sequence[Any]) -> bool:
    """Whether all numbers are finite: a sum is then finite, and takes a third of the time of an array."""
    try:
        return math.isfinite(sum(values))
    except OverflowError:
        return False


def _triples(values: Sequence[Any]) -> bool:
    """Whether each third number can be a visibility."""
    return len(values) % 3 == 0 and all(v in (0, 1, 2) for v in values[2::3])


def _settle(values: list[Any]) -> None:
    """Keypoints without visibility are visible where they have a place; those that are not labelled have none."""
    for i in range(0, len(values) - 2, 3):
        x, y, v = values[i : i + 3]
        placed = math.isfinite(x) and math.isfinite(y) and (x != 0 or y != 0)
        if math.isnan(v):
            v = 2 if placed else 0
        values[i : i + 3] = [x, y, v] if v != 0 or (math.isfinite(x) and math.isfinite(y)) else [0, 0, 0]


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Whether two lists are equal, nan included."""
    return len(new) == len(old) and all(type(a) is type(b) and (a == b or a != a) for a, b in zip(new, old, strict=True))


def _short(values: Sequence[Any]) -> str:
    text = ", ".join(map(str, values[:6]))
    return f"{text[:50]}{' ...' if len(values) > 6 or len(text) > 50 else ''}"
