"""What a reader of another form of label files is (`Form`), what it is given (`Source`) and what it makes (`Picture`)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

from poise.data.images import SUFFIXES
from poise.data.naming import to_category
from poise.data.records import Document
from poise.dims import Size
from poise.errors import AnnotationError
from poise.fields import number
from poise.reading import read_file
from poise.skeletons import Skeleton

MOST_FILES = 1_000_000
"""Files of a folder of labels, at most."""

Point = tuple[float, float, int]
"""x, y, pixels, and visibility: 0 not labelled, 1 hidden, 2 visible."""

Box = tuple[float, float, float, float]
"""x, y, width, height, pixels."""


@final
@dataclass(frozen=True)
class Source:
    """A file, or a folder of files, that is not in COCO's form.

    Attributes:
        path: The file or folder.
        content: Content of a JSON file; None for all others.
        images: Folder of the images, where the user names one.
    """

    path: Path
    content: Any = None
    images: Path | None = None

    @cached_property
    def text(self) -> str:
        """The file as text; bytes that are none are replaced."""
        return read_file(self.path, what="label file").decode("utf-8-sig", "replace")

    @cached_property
    def first(self) -> str:
        """The first line of a file that is not JSON; "" for folders."""
        if self.content is not None or self.path.is_dir():
            return ""
        with self.path.open("rb") as file:
            return file.readline(1 << 16).decode("utf-8-sig", "replace").strip()

    def ends(self, *suffixes: str) -> bool:
        """Whether this is a file, not JSON, with one of these endings."""
        return self.content is None and self.path.suffix.lower() in suffixes and not self.path.is_dir()

    @cached_property
    def files(self) -> list[Path]:
        """The files in a folder and its folders, in order of their names; [] where this is a file."""
        if self.content is not None or not self.path.is_dir():
            return []
        found = []
        for path in self.path.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                found.append(path)
            if len(found) > MOST_FILES:
                raise AnnotationError(f"{str(self.path)!r} has more than {MOST_FILES:,} files; give the folder of the labels")
        return sorted(found)

    def image_of(self, path: Path) -> Path | None:
        """The image of a file of labels: of the same name in the folder of images, in `images` in place of `labels`, or beside.

        Args:
            path: One of `files`, or the file itself.
        """
        inside = path.relative_to(self.path) if path != self.path else Path(path.name)
        parts = path.absolute().parts
        places = [] if self.images is None else [self.images / inside, self.images / inside.name]
        for folder in ("labels", "landmarks"):
            if folder in parts:
                at = len(parts) - 1 - parts[::-1].index(folder)
                places.append(Path(*parts[:at], "images", *parts[at + 1 :]))
        endings = [end for suffix in sorted(SUFFIXES) for end in (suffix, suffix.upper())]
        found = (place.with_name(place.stem + end) for place in [*places, path] for end in endings)
        return next((image for image in found if image.is_file()), None)

    def image_name(self, path: Path) -> str:
        """Name of the image of a file of labels, relative to the folder; with .jpg where there is none."""
        inside = path.relative_to(self.path) if path != self.path else Path(path.name)
        image = self.image_of(path)
        return inside.with_name(inside.stem + (image.suffix if image else ".jpg")).as_posix()

    def inside(self, suffix: str) -> list[Path]:
        """The files of a folder with an ending."""
        return [path for path in self.files if path.suffix.lower() == suffix]


@final
@dataclass(frozen=True)
class Form:
    """A form of label files.

    Attributes:
        what: Its name in a sentence, such as "a label file of labelme".
        fits: Whether a source has this form.
        read: Reads it; errors are `AnnotationError`s that name the file and the record.
    """

    what: str
    fits: Callable[[Source], bool]
    read: Callable[[Source], Document]


@final
@dataclass(frozen=True, kw_only=True)
class Person:
    """A labelled person, animal or thing.

    Attributes:
        points: Keypoints by name; those that are missing are not labelled.
        box: Its box; None where it is to be the one around the keypoints.
        kind: Name of its category.
    """

    points: Mapping[str, Point]
    box: Box | None = None
    kind: str = "object"


@final
@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image and who is in it.

    Attributes:
        name: File name, as the label file has it.
        people: Everybody with a label.
        size: Height and width, pixels, where they are known.
    """

    name: str
    people: Sequence[Person] = field(default=())
    size: Size | None = None


def document_of(pictures: Iterable[Picture], *, skeleton: Skeleton | None = None, names: Sequence[str] = ()) -> Document:
    """A document in COCO's form.

    Args:
        pictures: The images; several with one name become one.
        skeleton: The keypoints of everybody, where they are known.
        names: The keypoints of everybody in the order of the file; by default, for each category, those that occur in it.
            Where they are "0", "1", ... the keypoints have no names.
    """
    joined: dict[str, list[Picture]] = {}
    for picture in pictures:
        joined.setdefault(picture.name, []).append(picture)
    orders = _orders(joined.values(), skeleton.keypoints if skeleton else names)
    kinds = {kind: number for number, kind in enumerate(orders, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, parts) in enumerate(joined.items(), start=1):
        size = next((part.size for part in parts if part.size), None)
        images.append({"id": image_id, "file_name": name} | ({"height": size[0], "width": size[1]} if size else {}))
        for person in (person for part in parts for person in part.people):
            row = _annotation(person, orders[person.kind])
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": kinds[person.kind]} | row)
    categories = [{"id": kinds[kind], "name": kind} | _named(order, skeleton) for kind, order in orders.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _orders(groups: Iterable[Sequence[Picture]], given: Sequence[str]) -> dict[str, list[str]]:
    """Keypoint names of each category, in the order given or in which they occur."""
    found: dict[str, dict[str, None]] = {}
    for person in (person for parts in groups for part in parts for person in part.people):
        found.setdefault(person.kind, {}).update(dict.fromkeys(given or person.points))
    return {kind: list(names) for kind, names in found.items()}


def _named(order: Sequence[str], skeleton: Skeleton | None) -> dict[str, Any]:
    if skeleton is not None:
        return to_category(skeleton)
    return {} if list(order) == unnamed(len(order)) else {"keypoints": list(order)}


def unnamed(count: int) -> list[str]:
    """What keypoints without names are called until `--skeleton` names them."""
    return [str(i) for i in range(count)]


def _annotation(person: Person, order: Sequence[str]) -> dict[str, Any]:
    rows = [person.points.get(name, (0, 0, 0)) for name in order]
    keypoints = [value for x, y, v in rows for value in ((x, y, v) if v else (0, 0, 0))]
    made: dict[str, Any] = {"keypoints": keypoints, "num_keypoints": sum(v > 0 for v in keypoints[2::3]), "iscrowd": 0}
    return made if person.box is None else made | {"bbox": list(person.box), "area": person.box[2] * person.box[3]}


def finite(values: Iterable[Any], where: str) -> list[float]:
    """Values as finite numbers.

    Args:
        values: Numbers, also as text.
        where: File and record, for the message.

    Raises:
        AnnotationError: One is none.
    """
    found = []
    for value in values:
        read = number(value)
        if read is None or not math.isfinite(read):
            raise AnnotationError(f"{where}: expected a number, found {str(value)[:40]!r}")
        found.append(float(read))
    return found


def placed(x: Any, y: Any, where: str, *, seen: int = 2) -> Point:
    """A labelled keypoint; one without a place (empty, null, nan) is not labelled.

    Args:
        x: Column, a number, also as text.
        y: Row.
        where: File and record, for the message.
        seen: Its visibility.

    Raises:
        AnnotationError: One is no number.
    """
    numbers = (number(x), number(y))
    if any(v is not None and math.isnan(v) for v in numbers):
        return 0.0, 0.0, 0
    a, b = finite((x, y), where)
    return a, b, seen


def around(corners: Sequence[float]) -> Box:
    """The box x, y, width, height of two corners x0, y0, x1, y1 in any order."""
    x0, y0, x1, y1 = corners
    return min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)


@final
@dataclass(frozen=True, kw_only=True)
class Mark:
    """A keypoint or a box that a labelling tool has drawn, before it is known whose it is.

    Attributes:
        label: Name of the keypoint, or category of the box.
        point: Its place; None for a box.
        box: The box; None for a keypoint.
        group: What it shares with others of the same person; None where the file does not say.
    """

    label: str
    point: Point | None = None
    box: Box | None = None
    group: Any = None


def people_of(marks: Sequence[Mark], where: str, *, hint: str) -> list[Person]:
    """Whose keypoints and boxes belong together.

    Those of a group do. Of the others each keypoint belongs to the only box that it lies in; where there is one box at most,
    all belong to one person.

    Args:
        marks: Keypoints and boxes of an image.
        where: File and image, for the message.
        hint: How a user of the tool groups them.

    Raises:
        AnnotationError: A person would have a keypoint twice, so the file does not tell whose they are.
    """
    groups: dict[Any, list[Mark]] = {}
    for mark in marks:
        groups.setdefault(mark.group, []).append(mark)
    alone = groups.pop(None, [])
    boxes = [mark for mark in alone if mark.box is not None]
    parts = [*groups.values(), *([alone] if len(boxes) < 2 else _by_box(alone, boxes))]
    return [_person(part, where, hint) for part in parts if any(mark.point for mark in part)]


def _by_box(marks: Sequence[Mark], boxes: Sequence[Mark]) -> list[list[Mark]]:
    parts: list[list[Mark]] = [[box] for box in boxes]
    rest: list[Mark] = []
    for mark in marks:
        if mark.point is not None:
            inside = [part for part in parts if _holds(part[0].box, mark.point)]
            (inside[0] if len(inside) == 1 else rest).append(mark)
    return [*parts, rest]


def _holds(box: Box | None, point: Point) -> bool:
    x, y, w, h = box or (0, 0, 0, 0)
    return x <= point[0] <= x + w and y <= point[1] <= y + h


def _person(part: Sequence[Mark], where: str, hint: str) -> Person:
    count = Counter(mark.label for mark in part if mark.point is not None)
    twice = next((label for label, times in count.items() if times > 1), None)
    if twice is not None:
        raise AnnotationError(f"{where} has keypoint {twice!r} {count[twice]} times and does not say whose they are; {hint}")
    box = next((mark for mark in part if mark.box is not None), None)
    points = {mark.label: mark.point for mark in part if mark.point is not None}
    return Person(points=points, box=box.box, kind=box.label) if box else Person(points=points)
