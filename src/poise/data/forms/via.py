"""VGG Image Annotator 2 (robots.ox.ac.uk/~vgg/software/via): a project or its JSON of annotations, with points as regions."""

from collections.abc import Mapping
from typing import Any

from poise.data.forms._form import Form, Mark, Picture, Source, document_of, finite, people_of, placed
from poise.data.records import Document
from poise.errors import AnnotationError

_HINT = "give the regions of each one a common attribute `id`"
_GROUPS = ("id", "instance", "group", "group_id", "individual", "animal_id", "person_id", "track_id")
"""Attributes that say whose a region is."""


def _entries(content: Any) -> list[Any]:
    found = content.get("_via_img_metadata", content) if isinstance(content, dict) else content
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []


def _fits(source: Source) -> bool:
    rows = _entries(source.content)
    return bool(rows) and all(isinstance(row, dict) and {"filename", "regions"} <= row.keys() for row in rows)


def _read(source: Source) -> Document:
    return document_of([_picture(row, f"{str(source.path)!r}: image {row['filename']!r}") for row in _entries(source.content)])


def _picture(row: Mapping[str, Any], where: str) -> Picture:
    regions = row["regions"].values() if isinstance(row["regions"], dict) else row["regions"]
    marks = [mark for region in regions if (mark := _mark(region, where)) is not None]
    return Picture(name=str(row["filename"]), people=people_of(marks, where, hint=_HINT))


def _mark(region: Mapping[str, Any], where: str) -> Mark | None:
    shape = region["shape_attributes"]
    if shape["name"] not in ("point", "rect"):
        return None
    attributes = {name: value for name, value in (region.get("region_attributes") or {}).items() if value not in ("", None)}
    group = next((attributes.pop(name) for name in _GROUPS if name in attributes), None)
    label = next((value for value in attributes.values() if isinstance(value, str)), None)
    if shape["name"] == "rect":
        x, y, w, h = finite((shape[k] for k in ("x", "y", "width", "height")), where)
        return Mark(label=label or "object", box=(x, y, w, h), group=group)
    if label is None:
        raise AnnotationError(f"{where} has a point whose attributes do not say which keypoint it is; name it in one attribute")
    return Mark(label=label, point=placed(shape["cx"], shape["cy"], where), group=group)


FORMS = (Form("VGG Image Annotator's", _fits, _read),)
