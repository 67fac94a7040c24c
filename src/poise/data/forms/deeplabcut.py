"""DeepLabCut's and Lightning Pose's CollectedData_*.csv: a row for each frame, below scorer, individuals, bodyparts, coords."""

import csv
from collections.abc import Sequence

from poise.data.forms._form import Form, Person, Picture, Source, document_of, placed
from poise.data.records import Document
from poise.errors import AnnotationError

_HEAD = ("scorer", "individuals", "bodyparts", "coords")
_Column = tuple[str, str, str]
"""Individual, keypoint, x or y."""


def _fits(source: Source) -> bool:
    return source.ends(".csv") and source.first.split(",")[0].strip('"') == "scorer"


def _read(source: Source) -> Document:
    rows = [row for row in csv.reader(source.text.splitlines()) if any(row)]
    head = {row[0]: row for row in rows[:4] if row[0] in _HEAD}
    where = repr(str(source.path))
    if not {"bodyparts", "coords"} <= head.keys():
        raise AnnotationError(f"{where} begins like a table of DeepLabCut, but has no rows `bodyparts` and `coords`")
    if "likelihood" in head["coords"]:
        raise AnnotationError(
            f"{where} has predictions of DeepLabCut (`likelihood`), not labels; give "
            f"labeled-data/VIDEO/CollectedData_SCORER.csv"
        )
    index = next(i for i, text in enumerate(head["coords"]) if text in ("x", "y"))
    who = head.get("individuals", ["animal"] * len(head["coords"]))
    columns = list(zip(who, head["bodyparts"], head["coords"], strict=True))
    data = [row for row in rows[len(head) :] if len(row) == len(columns)]
    return document_of([_picture(row, columns, index, f"{where}: frame {row[0]!r}") for row in data])


def _picture(row: Sequence[str], columns: Sequence[_Column], index: int, where: str) -> Picture:
    """A frame; its path is in one column or in three."""
    places: dict[str, dict[str, dict[str, str]]] = {}
    for value, (who, part, coordinate) in zip(row[index:], columns[index:], strict=True):
        places.setdefault(who, {}).setdefault(part, {})[coordinate] = value
    people = []
    for who, parts in places.items():
        points = {part: placed(xy.get("x"), xy.get("y"), where) for part, xy in parts.items()}
        if any(v for _, _, v in points.values()):
            people.append(Person(points=points, kind="single" if who == "single" else "animal"))
    return Picture(name="/".join(row[:index]), people=people)


FORMS = (Form("a table of DeepLabCut", _fits, _read),)
