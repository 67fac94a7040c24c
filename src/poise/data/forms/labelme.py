"""labelme (github.com/wkentaro/labelme): a JSON file for each image, with `shapes`; those of a `group_id` are one person's."""

from collections.abc import Mapping
from typing import Any

from poise.data.forms._form import Form, Mark, Person, Picture, Source, around, document_of, finite, people_of, placed
from poise.data.records import Document, stated_size
from poise.reading import read_json

_HINT = "give the points and the rectangle of each one `group_id` (in labelme: Edit > Group)"
_HIDDEN = ("hidden", "occluded", "invisible")


def _is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def _fits(source: Source) -> bool:
    files = source.inside(".json")
    return _is_labelme(read_json(files[0])) if files else _is_labelme(source.content)


def _read(source: Source) -> Document:
    if source.content is not None:
        return document_of([_picture(source.content, repr(str(source.path)))])
    contents = ((path, read_json(path)) for path in source.inside(".json"))
    return document_of([_picture(content, repr(str(path))) for path, content in contents if _is_labelme(content)])


def _picture(content: Mapping[str, Any], where: str) -> Picture:
    marks = [mark for shape in content["shapes"] if (mark := _mark(shape, where)) is not None]
    people: list[Person] = people_of(marks, where, hint=_HINT)
    size = stated_size({"height": content.get("imageHeight"), "width": content.get("imageWidth")})
    return Picture(name=str(content["imagePath"]), people=people, size=size)


def _mark(shape: Mapping[str, Any], where: str) -> Mark | None:
    points, group = shape["points"], shape.get("group_id")
    if shape.get("shape_type") == "point":
        flags = shape.get("flags") or {}
        seen = 1 if any(flags.get(name) for name in _HIDDEN) else 2
        return Mark(label=str(shape["label"]), point=placed(points[0][0], points[0][1], where, seen=seen), group=group)
    if shape.get("shape_type") != "rectangle":
        return None
    corners = finite((value for point in (points[0], points[-2 if len(points) == 4 else -1]) for value in point), where)
    return Mark(label=str(shape["label"]), box=around(corners), group=group)


FORMS = (Form("labelme's", _fits, _read),)
