"""Where unlabelled frames come from: a list of frames, a folder of images, a COCO file of which only the boxes are read."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from poise.data.boxes import detections_by_name
from poise.data.document import read_boxes_document
from poise.data.files import ImageFiles
from poise.data.frames import Box, FrameRecord, FramesDataset
from poise.data.records import FRAME_FIELDS, SEQUENCE_FIELDS, first_stated, stated_size
from poise.errors import AnnotationError, InputError, ReadError, unknown
from poise.fields import flag, number, whole
from poise.notes import note
from poise.reading import read_json
from poise.skeletons import Skeleton

LIST_NAME = "frames.json"
"""Name of the list in a folder that has one."""

_DIGITS = re.compile(r"(\d+)")


def open_frames(
    source: Path | str,
    images: Path | str | None = None,
    *,
    skeleton: Skeleton,
    boxes: Path | str | None = None,
    min_score: float = 0.0,
    categories: Collection[str] = (),
) -> FramesDataset:
    """Unlabelled frames from wherever they are listed.

    Args:
        source: A folder or zip file of images, or a JSON file: a list of frames, or a COCO file. A folder with a file
            `frames.json` is that list, its images in the folder `images`.
        images: Folder or zip file of the images of a JSON file; by default the folder `images` beside it, else its own folder.
        skeleton: The keypoints that are unknown here.
        boxes: A detector's file (COCO's result format) for a folder; without it each image is one box.
        min_score: Lowest score of a detector's box that is used.
        categories: Names of categories or supercategories of a COCO file whose boxes are used; () for all.

    Raises:
        ReadError: A file, folder or image is missing.
        AnnotationError: A record has no valid value, or comes twice.
        UnknownName: The file has no such category.
        InputError: An argument has no meaning for this source.
    """
    place = Path(source)
    listed = place / LIST_NAME
    if place.is_dir() and listed.is_file() and boxes is None:
        place = listed
    if place.suffix.lower() != ".json":
        if categories:
            raise InputError(f"{str(source)!r} is no COCO file, so it has no categories to choose from")
        return FramesDataset(folder_frames(place, boxes=boxes, min_score=min_score), place, skeleton=skeleton)
    if boxes is not None:
        raise InputError(f"{str(source)!r} has boxes of its own; a detector's file goes with a folder of images")
    beside = place.parent / "images"
    root = images if images is not None else beside if beside.is_dir() else place.parent
    document = read_json(place)
    if isinstance(document, list):
        if categories:
            raise InputError(f"{str(source)!r} is no COCO file, so it has no categories to choose from")
        return FramesDataset(listed_frames(document, str(place)), root, skeleton=skeleton, file=place)
    frames = coco_frames(read_boxes_document(place, document), str(place), categories=categories)
    return FramesDataset(frames, root, skeleton=skeleton, file=place)


def listed_frames(rows: Sequence[Any], name: str) -> list[FrameRecord]:
    """The frames of a list: `file_name`, and if wanted `sequence`, `frame`, `bbox` (x, y, width, height), `area`.

    Several rows of one image are several animals. Without `bbox` the whole image is the box; without `sequence` and `frame`
    they come from the names, as in a folder.

    Args:
        rows: Content of the file.
        name: The file, for messages.

    Raises:
        AnnotationError: A row has no valid value, or comes twice.
    """
    images: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str) or not row["file_name"]:
            raise AnnotationError(f"{name!r}: frame {index} needs a `file_name`, found {str(row)[:80]}")
        images.setdefault(row["file_name"], []).append((index, row))
    guessed = places_by_name(list(images), str(Path(name).parent.name))
    return [_listed_frame(i, found, name, guessed[file]) for i, (file, found) in enumerate(images.items(), start=1)]


def _listed_frame(
    image_id: int, rows: Sequence[tuple[int, Mapping[str, Any]]], name: str, guessed: tuple[str, int]
) -> FrameRecord:
    wheres = [f"{name!r}: frame {index} ({row['file_name']!r})" for index, row in rows]
    places = {_place(row, where, guessed) for (_, row), where in zip(rows, wheres, strict=True)}
    if len(places) > 1:
        raise AnnotationError(f"{wheres[-1]} stands at another place of a sequence before; give an image one place")
    (sequence, frame), first = places.pop(), rows[0][1]
    whole_image = first.get("bbox") is None
    boxes = () if whole_image else tuple(_box(row.get("bbox"), where) for (_, row), where in zip(rows, wheres, strict=True))
    if (whole_image and len(rows) > 1) or len(set(boxes)) < len(boxes):
        raise AnnotationError(f"{wheres[-1]} repeats an earlier row; each animal of an image stands in the list once")
    areas = () if whole_image else tuple(_area(row.get("area"), where) for (_, row), where in zip(rows, wheres, strict=True))
    return FrameRecord(
        first["file_name"], image_id, sequence, frame, None if whole_image else boxes, areas, size=stated_size(first)
    )


def folder_frames(root: Path | str, *, boxes: Path | str | None = None, min_score: float = 0.0) -> list[FrameRecord]:
    """The images of a folder or zip file, each a whole box, or with the boxes of a detector's file.

    A sub-folder is a sequence; images of the folder itself are one sequence for each name before the last number.

    Args:
        root: Folder or zip file.
        boxes: COCO's result format: `file_name` or, where names are numbers, `image_id`.
        min_score: Lowest score of a box that is used.

    Raises:
        ReadError: The folder is missing or has no images.
        AnnotationError: The file is no list of detections.
        InputError: No box belongs to an image.
    """
    names = ImageFiles(root).names()
    if not names:
        raise ReadError(f"the folder {str(root)!r} holds no images")
    places = places_by_name(names, Path(root).stem)
    if boxes is None:
        return [FrameRecord(name, i, *places[name]) for i, name in enumerate(names, start=1)]
    found = detections_by_name(boxes, names, min_score=min_score)
    kept = []
    for i, rows in found.items():
        own = tuple(_box(row.bbox, f"{str(boxes)!r}: {names[i]!r}") for row in rows)
        kept.append(FrameRecord(names[i], i + 1, *places[names[i]], own, size=rows[0].size))
    if len(kept) < len(names):
        note(f"{str(boxes)!r} has no box for {len(names) - len(kept)} of {len(names)} images; they are left out")
    return kept


def coco_frames(document: Mapping[str, Any], name: str, *, categories: Collection[str] = ()) -> list[FrameRecord]:
    """The boxes of a COCO file; keypoints and crowds are not read, images without a box are left out.

    Images have a sequence where their records have one of `SEQUENCE_FIELDS`, else they are photos.

    Args:
        document: Content of the file.
        name: The file, for messages.
        categories: Names of categories or supercategories whose boxes are used; () for all.

    Raises:
        AnnotationError: An annotation is of no image, or its box is none.
        UnknownName: The file has no such category.
    """
    wanted = _wanted(document["categories"], categories)
    known = {image.get("id"): image for image in document["images"]}
    found: dict[Any, list[tuple[Box, float, int, int]]] = {}
    for index, one in enumerate(document["annotations"]):
        where = f"{name!r}: annotation {one.get('id', index)}"
        if one.get("image_id") not in known:
            raise AnnotationError(f"{where} is of image {one.get('image_id')}, which is not among `images`")
        if (wanted is None or one.get("category_id") in wanted) and not flag(one.get("iscrowd")):
            ids = whole(one.get("category_id")) or 1, whole(one.get("id")) or index + 1
            found.setdefault(one["image_id"], []).append((_box(one.get("bbox"), where), _area(one.get("area"), where), *ids))
    return [_coco_frame(image, rows, name, i) for i, (image, rows) in enumerate((known[i], rows) for i, rows in found.items())]


def _coco_frame(image: Mapping[str, Any], rows: Sequence[tuple[Box, float, int, int]], name: str, order: int) -> FrameRecord:
    file, image_id = image.get("file_name"), whole(image.get("id"))
    if not isinstance(file, str) or not file or image_id is None:
        raise AnnotationError(f"{name!r}: an image needs a `file_name` and a whole number `id`, found {str(dict(image))[:80]}")
    size = stated_size(image)
    boxes, areas, kinds, ids = zip(*rows, strict=True)
    for box, number_ in zip(boxes, ids, strict=True):
        if size is not None and (box[0] >= size[1] or box[1] >= size[0] or box[2] <= 0 or box[3] <= 0):
            raise AnnotationError(
                f"{name!r}: the box of annotation {number_} lies outside its image {file!r} of {size[1]} x {size[0]} pixels; "
                "`poise data check` lists such boxes"
            )
    sequence, frame = _place(image, f"{name!r}: image {file!r}", (None, order))
    return FrameRecord(file, image_id, sequence, None if sequence is None else frame, boxes, areas, kinds, ids, size)


def places_by_name(names: Sequence[str], root: str) -> dict[str, tuple[str, int]]:
    """Sequence and frame of each image by its name: the folder, or the name before the last number, and that number.

    Where numbers do not tell the frames of a sequence apart they are counted in natural order (2 before 10), from 0.

    Args:
        names: Names with `/` between folders.
        root: Name of the sequence of images whose names are numbers alone.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=natural):
        folder = PurePosixPath(name).parent.as_posix()
        groups.setdefault(_stem(name) or root if folder == "." else folder, []).append(name)
    return {name: (sequence, frame) for sequence, group in groups.items() for name, frame in _numbered(group)}


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """Sort key by which frame2 comes before frame10.

    >>> sorted(["f10.jpg", "f2.jpg"], key=natural)
    ['f2.jpg', 'f10.jpg']
    """
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(name))), name


def _stem(name: str) -> str:
    """The name before its last number, without `_`, `-`, `.` and spaces at its end."""
    found = _last_number(name)
    return (PurePosixPath(name).stem if found is None else found[0]).rstrip("_-. ")


def _last_number(name: str) -> tuple[str, int] | None:
    parts = _DIGITS.split(PurePosixPath(name).stem)
    return ("".join(parts[:-2]), int(parts[-2])) if len(parts) > 1 else None


def _numbered(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    found = [_last_number(name) for name in names]
    numbers = {one[1] for one in found if one is not None and one[1] < 2**63}
    clear = len(numbers) == len(names) and len({one[0] for one in found if one is not None}) == 1
    for order, (name, one) in enumerate(zip(names, found, strict=True)):
        yield name, one[1] if clear and one is not None else order


def _place(row: Mapping[str, Any], where: str, guessed: tuple[str | None, int]) -> tuple[str | None, int]:
    """Sequence and frame that a record states, else the guessed ones."""
    stated, given = (first_stated(row, names) for names in (SEQUENCE_FIELDS, FRAME_FIELDS))
    sequence = guessed[0] if stated is None else stated
    frame = guessed[1] if given is None else whole(given)
    if frame is None or not isinstance(sequence, str | int | None) or isinstance(sequence, bool):
        found = f"`frame` {given!r}" if frame is None else f"`sequence` {str(sequence)[:40]!r}"
        raise AnnotationError(f"{where} has {found}; expected the sequence's name and a whole number as the frame")
    return None if sequence is None else str(sequence), frame


def _box(values: Any, where: str) -> Box:
    """A box x0 y0 x1 y1 of x, y, width, height."""
    numbers = [number(v) for v in values] if isinstance(values, list | tuple) and len(values) == 4 else [None]
    if any(v is None or not math.isfinite(v) for v in numbers):
        raise AnnotationError(f"{where} has bbox {str(values)[:60]}; expected four numbers x, y, width, height")
    x, y, w, h = (float(v) for v in numbers if v is not None)
    if not (w > 0 and h > 0):
        raise AnnotationError(f"{where} has a box of {w:g} x {h:g} pixels; width and height must be above 0, so correct it")
    return x, y, x + w, y + h


def _area(value: Any, where: str) -> float:
    """An area, nan where there is none."""
    found = number(value)
    if found is None or found < 0:
        raise AnnotationError(f"{where} has area {str(value)[:40]!r}; expected a number of square pixels, or none")
    return float(found)


def _wanted(categories: Sequence[Mapping[str, Any]], names: Collection[str]) -> set[Any] | None:
    """Ids of categories by their names or those of their supercategories; None for all."""
    if not names:
        return None
    by_name: dict[str, set[Any]] = {}
    for category in categories:
        for field in ("name", "supercategory"):
            if isinstance(category.get(field), str):
                by_name.setdefault(category[field].casefold(), set()).add(category.get("id"))
    strange = next((name for name in names if name.casefold() not in by_name), None)
    if strange is not None:
        raise unknown("category", strange, by_name)
    return set().union(*(by_name[name.casefold()] for name in names))
