"""What the values of a label file, a file of detections or a file of results may be: one table for all that read them.

| field | may be | is read as |
|---|---|---|
| `id`, `image_id`, `category_id` | a whole number, also with a point or as text: 7, 7.0, "7", "007" | 7 |
| `keypoints`, `bbox`, `area`, `width`, `score` | a number, also as text: 12.5, "12.5", "12,5" | 12.5 |
| the same | nothing: null, "", "nan" | nan, and `keypoints` that are not labelled as 0 |
| `bbox` | pairs, or an object: x, y, width, height; left, top; xmin, ymin, xmax, ymax; x1, y1, x2, y2 | x, y, width, height |
| `keypoints` of a category | a list of names, an object by number, one text with commas, objects with `name` | the list |
| `iscrowd` | 0 or 1, true or false, "0", "1", "true", "false", "yes", "no", null | 0 or 1 |

Everything else has no meaning; whoever reads it names the file, the record and the field.
"""

import math
import re
from typing import Any

LARGEST = 2**63 - 1
"""Largest whole number that may be an id."""

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,4})?")
_NOTHING = frozenset({"", "nan", "null", "none", "na", "n/a"})
_FLAGS = {"0": 0, "1": 1, "true": 1, "false": 0, "yes": 1, "no": 0, "0.0": 0, "1.0": 1, "": 0, "none": 0, "null": 0}


def number(value: Any) -> float | int | None:
    """A number, also as text; nan for nothing (null, "", "nan"); None for what is no number.

    >>> number("12,5"), number(" 7 "), number(3), number(True), number("left"), number([1])
    (12.5, 7, 3, 1, None, None)
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -LARGEST <= value <= LARGEST else math.inf if value > 0 else -math.inf
    if isinstance(value, float):
        return value
    if value is None:
        return math.nan
    return _parsed(value.strip()) if isinstance(value, str) and len(value) <= 64 else None


def _parsed(text: str) -> float | int | None:
    if text.lower() in _NOTHING:
        return math.nan
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    found = float(text.replace(",", "."))
    return int(found) if text.lstrip("+-").isdigit() and abs(found) < 2**53 else found


def whole(value: Any) -> int | None:
    """A whole number that can be an id, also as text or with a point; None for anything else.

    >>> whole("007"), whole(7.0), whole(-3), whole("7.0"), whole(7.5), whole(True), whole(10**30), whole("a7")
    (7, 7, -3, 7, None, None, None, None)
    """
    if type(value) is int:
        return value if -LARGEST <= value <= LARGEST else None
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal() and value.isascii() and len(value) <= 32:
        found: float | int | None = int(value)
    else:
        found = number(value)
    if found is None or not math.isfinite(found) or found != int(found) or abs(found) > LARGEST:
        return None
    return int(found)


def flag(value: Any) -> int | None:
    """0 or 1 of a flag, also as text; None for what is neither.

    >>> flag("false"), flag(True), flag(1.0), flag(None), flag("maybe"), flag(2)
    (0, 1, 1, 0, None, None)
    """
    if value is None:
        return 0
    if isinstance(value, int | float):
        return int(value) if value in (0, 1) else None
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
