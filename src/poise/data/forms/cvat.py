"""CVAT's XML "CVAT for images 1.1": skeletons, or points and boxes that share a `group_id`."""

from collections.abc import Iterator
from xml.etree import ElementTree

from poise.data.forms._form import Form, Mark, Person, Picture, Point, Source, around, document_of, finite, people_of, placed
from poise.data.records import Document, stated_size
from poise.errors import AnnotationError

_HINT = "label them as skeletons, or group the points of each (G in CVAT)"


def _fits(source: Source) -> bool:
    text = source.text if source.ends(".xml") else ""
    return "<annotations>" in text[:2000] and ("<image " in text or "<track " in text)


def _read(source: Source) -> Document:
    where = repr(str(source.path))
    if "<!DOCTYPE" in source.text or "<!ENTITY" in source.text:
        raise AnnotationError(f"{where} declares a document type or entities, which files of CVAT do not; export it again")
    try:
        root = ElementTree.fromstring(source.text)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{where} is not valid XML ({error}); is the file complete?") from error
    images = list(root.iter("image"))
    if not images:
        raise AnnotationError(
            f"{where} is CVAT's XML of a video, whose frames have no files; export it as 'CVAT for images 1.1' or "
            f"'COCO Keypoints 1.0' with the option 'Save images', and give the frames as images"
        )
    return document_of([_picture(image, f"{where}: image {image.get('name')!r}") for image in images])


def _picture(image: ElementTree.Element, where: str) -> Picture:
    people = [_skeleton(found, where) for found in image.findall("skeleton")]
    loose = people_of(list(_marks(image, where)), where, hint=_HINT)
    size = stated_size({"height": image.get("height"), "width": image.get("width")})
    return Picture(name=str(image.get("name")), people=[*people, *loose], size=size)


def _skeleton(found: ElementTree.Element, where: str) -> Person:
    points = {str(part.get("label")): _point(part, where) for part in found.findall("points")}
    return Person(points=points, kind=found.get("label", "object"))


def _point(part: ElementTree.Element, where: str) -> Point:
    if part.get("outside") == "1":
        return 0.0, 0.0, 0
    x, _, y = part.get("points", "").split(";")[0].partition(",")
    return placed(x, y, where, seen=1 if part.get("occluded") == "1" else 2)


def _marks(image: ElementTree.Element, where: str) -> Iterator[Mark]:
    for part in image.findall("points"):
        yield Mark(label=str(part.get("label")), point=_point(part, where), group=part.get("group_id"))
    for part in image.findall("box"):
        corners = finite((part.get(side) for side in ("xtl", "ytl", "xbr", "ybr")), where)
        yield Mark(label=str(part.get("label")), box=around(corners), group=part.get("group_id"))


FORMS = (Form("CVAT's XML", _fits, _read),)
