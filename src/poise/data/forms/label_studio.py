"""Label Studio (labelstud.io): the JSON of all tasks, with positions in percent; JSON-MIN has the same without its results."""

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import PurePosixPath
from typing import Any

from poise.data.forms._form import Form, Mark, Picture, Source, document_of, finite, people_of, placed
from poise.data.records import Document
from poise.dims import Size
from poise.errors import AnnotationError

_HINT = "draw a rectangle around each, or make their keypoints children of one (drag them onto it in the list of regions)"
_UPLOADED = re.compile(r"/data/upload/\d+/(?:[0-9a-f]{8}-)?(.+)")
"""What Label Studio makes of the name of a file that is uploaded."""


def _fits(source: Source) -> bool:
    rows = source.content
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return ("data" in row and ("annotations" in row or "completions" in row)) or bool(_labels_of(row))


def _labels_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The regions of a row of JSON-MIN."""
    lists = [value for value in row.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return [region for found in lists for region in found if {"keypointlabels", "rectanglelabels"} & region.keys()]


def _read(source: Source) -> Document:
    return document_of(
        [_picture(row, f"{str(source.path)!r}: task {row.get('id', i)}") for i, row in enumerate(source.content)]
    )


def _picture(row: Mapping[str, Any], where: str) -> Picture:
    data = row.get("data", row)
    name = next((v for v in data.values() if isinstance(v, str) and PurePosixPath(v.split("?")[0]).suffix), None)
    name = name or next((v for v in data.values() if isinstance(v, str) and "?d=" in v), None)
    if name is None:
        raise AnnotationError(f"{where} names no image under `data`, found {str(data)[:80]}")
    regions = list(_regions(row))
    parents = {region.get("parentID") for region in regions}
    marks = [mark for region in regions if (mark := _mark(region, parents, where)) is not None]
    size = next((_size(region, where) for region in regions if region.get("original_width")), None)
    uploaded = _UPLOADED.search(name)
    return Picture(name=uploaded[1] if uploaded else name, people=people_of(marks, where, hint=_HINT), size=size)


def _regions(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All regions of the first annotation that was not cancelled, each with what stands in its `value`."""
    if "data" not in row:
        yield from ({**region} for region in _labels_of(row))
        return
    given = [a for a in row.get("annotations") or row.get("completions") or [] if not a.get("was_cancelled")]
    for region in given[0]["result"] if given else []:
        yield {**region, **region.get("value", {})}


def _mark(region: Mapping[str, Any], parents: Set[Any], where: str) -> Mark | None:
    kind = next((k for k in ("keypointlabels", "rectanglelabels") if region.get(k)), None)
    if kind is None:
        return None
    h, w = _size(region, where)
    x, y = region["x"] * w / 100, region["y"] * h / 100
    label = str(region[kind][0])
    if kind == "keypointlabels":
        return Mark(label=label, point=placed(x, y, where), group=region.get("parentID") or None)
    box = (x, y, region["width"] * w / 100, region["height"] * h / 100)
    return Mark(label=label, box=box, group=region["id"] if region.get("id") in parents - {None} else None)


def _size(region: Mapping[str, Any], where: str) -> Size:
    h, w = finite((region.get("original_height"), region.get("original_width")), f"{where}, size of the image")
    return int(h), int(w)


FORMS = (Form("an export of Label Studio", _fits, _read),)
