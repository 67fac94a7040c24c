"""Ultralytics YOLO-pose: a folder of text files beside the folder of their images, and `data.yaml` above both.

A line is a class, the box (x, y of its centre, width, height), and x, y or x, y, visible of each keypoint: shares of the image.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

from PIL import Image

from poise.data.forms._form import Form, Person, Picture, Source, document_of, finite, unnamed
from poise.data.images import asked
from poise.data.records import Document
from poise.dims import Size
from poise.errors import AnnotationError, MissingExtra
from poise.reading import read_file

_ABOVE = 4
"""Folders above the labels in which `data.yaml` is looked for."""


def _fits(source: Source) -> bool:
    first = next((line for path in source.inside(".txt") if (line := _lines(path))), None)
    return first is not None and len(first[0].split()) >= 7 and "/" not in first[0]


def _lines(path: Path) -> list[str]:
    text = read_file(path, what="label file").decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def _read(source: Source) -> Document:
    folder = source.path.resolve()
    rows = {path: _lines(path) for path in source.inside(".txt") if path.name not in ("classes.txt", "labels.txt")}
    stated = _Stated.above(folder)
    width = stated.width or _width(line for lines in rows.values() for line in lines)
    pictures = [_picture(path, lines, source, stated, width) for path, lines in rows.items()]
    document = document_of(pictures, names=stated.names or unnamed(_count(rows, width)))
    if stated.flip is not None:
        document["categories"] = [c | {"flip_idx": stated.flip} for c in document["categories"]]
    return document


def _count(rows: Mapping[Path, list[str]], width: int) -> int:
    return max((len(line.split()) - 5) // width for lines in rows.values() for line in lines)


def _width(lines: Iterable[str]) -> int:
    """Numbers of a keypoint: three where each third can be a visibility."""
    values = [line.split()[5:] for line in lines]
    return 3 if all(len(v) % 3 == 0 and {float(s) for s in v[2::3]} <= {0, 1, 2} for v in values) else 2


def _picture(path: Path, lines: list[str], source: Source, stated: "_Stated", width: int) -> Picture:
    image = source.image_of(path)
    if image is None:
        raise AnnotationError(
            f"no image was found for {str(path)!r}, and YOLO's labels are shares of its size; name the folder of the "
            f"images (--images), or put them where Ultralytics has them (`images` in place of `labels` in the path)"
        )
    size = _size(image)
    people = [_person(line, size, stated, width, f"{str(path)!r}, line {i}") for i, line in enumerate(lines, start=1)]
    return Picture(name=source.image_name(path), people=people, size=size)


def _size(image: Path) -> Size:
    """Height and width as the image is read: Ultralytics turns pictures by their EXIF orientation first."""
    try:
        with Image.open(image) as opened:
            w, h = opened.size
            turned = opened.getexif().get(0x0112, 1) >= 5 and asked() != "stored"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"the size of image {str(image)!r} cannot be read: {error}") from error
    return (w, h) if turned else (h, w)


def _person(line: str, size: Size, stated: "_Stated", width: int, where: str) -> Person:
    kind, *values = line.split()
    x, y, w, h, *points = finite(values, where)
    if len(points) % width or not points:
        raise AnnotationError(f"{where}: {len(points)} numbers follow the box, and keypoints have {width} each")
    rows = [points[i : i + width] for i in range(0, len(points), width)]
    names = stated.names or unnamed(len(rows))
    if len(rows) != len(names):
        raise AnnotationError(f"{where}: {len(rows)} keypoints, and data.yaml has {len(names)}")
    height, across = size
    found = {
        name: (row[0] * across, row[1] * height, int(row[2]) if width == 3 else 2 * any(row))
        for name, row in zip(names, rows, strict=True)
    }
    box = ((x - w / 2) * across, (y - h / 2) * height, w * across, h * height)
    return Person(points=found, box=box, kind=stated.kinds.get(kind, f"class {kind}"))


@final
class _Stated:
    """What `data.yaml` says: names of classes and keypoints, numbers of a keypoint, mirror partners."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        given = content.get("names") or {}
        pairs = given.items() if isinstance(given, dict) else enumerate(given)
        self.kinds = {str(number): str(name) for number, name in pairs}
        shape = content.get("kpt_shape") or [0, 0]
        self.width = int(shape[1]) if len(shape) == 2 and shape[1] in (2, 3) else None
        names = content.get("kpt_names") or content.get("keypoint_names") or []
        first = next(iter(names.values()), []) if isinstance(names, dict) else names
        self.names = [str(name) for name in first]
        self.flip = content.get("flip_idx")

    @classmethod
    def above(cls, folder: Path) -> "_Stated":
        """The nearest `data.yaml` that names a shape of keypoints; nothing where there is none."""
        for place in (folder, *folder.parents)[:_ABOVE]:
            for path in sorted(place.glob("*.y*ml"))[:20]:
                if path.is_file() and "kpt_shape" in (text := read_file(path, most=2**20).decode("utf-8", "replace")):
                    return cls(_yaml(text, path))
        return cls({})


def _yaml(text: str, path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(f"{str(path)!r} is read by PyYAML, which is not installed: pip install 'poise[train]'") from error
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise AnnotationError(f"{str(path)!r} is not valid YAML: {str(error)[:120]}") from error
    return found if isinstance(found, dict) else {}


FORMS = (Form("labels of Ultralytics YOLO-pose", _fits, _read),)
