"""Images to predict on: files, folders and patterns, and the boxes that belong to them."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.boxes import Detection, detections_by_name
from poise.data.images import MOST_BYTES, SUFFIXES, decode, read_bytes
from poise.data.orientation import decode_labelled, is_shown
from poise.data.reduced import Pick, decode_reduced
from poise.dims import Size
from poise.errors import InputError, ReadError, missing
from poise.geometry import Reduction, xywh_to_xyxy
from poise.inference.moving import VIDEOS, moving_text
from poise.inference.request import ImageRequest
from poise.reading import check_file, check_folder
from poise.structures import Key


@final
@dataclass(frozen=True)
class Source:
    """An image file.

    Attributes:
        path: Path of the file.
        name: Name in results: its path below the folder that was given, or its file name.
        image_id: The number its name is, where all names are different numbers; else its index, from 1.
    """

    path: Path
    name: str
    image_id: int


def find_images(sources: Sequence[str], *, without: Path | None = None) -> list[Source]:
    """The images of files, folders (with the folders in them) and patterns such as `photos/*.jpg`, each once, in order.

    Args:
        sources: Files, folders and patterns.
        without: A folder inside one of these whose files are not taken: results of an earlier run.

    Raises:
        InputError: There are no sources.
        ReadError: A file, folder or pattern has no image.
    """
    if not sources:
        raise InputError("no images were given; name files, folders or patterns")
    found: dict[str, tuple[Path, str]] = {}
    for text in sources:
        for path, name in _images_of(text, without):
            found.setdefault(os.path.realpath(path), (path, name))
    count = Counter(name for _, name in found.values())
    named = [(path, name if count[name] == 1 else path.as_posix().lstrip("/")) for path, name in found.values()]
    ids = ids_of([path.stem for path, _ in named])
    return [Source(path, name, number) for (path, name), number in zip(named, ids, strict=True)]


def ids_of(stems: Sequence[str]) -> list[int]:
    """Ids of images: the numbers that their names are, where all are different numbers; else their places, from 1.

    Args:
        stems: Names without folders and endings.

    >>> ids_of(["000012", "7"]), ids_of(["a", "7"])
    ([12, 7], [1, 2])
    """
    numbered = all(s.isascii() and s.isdigit() and int(s) > 0 for s in stems) and len({int(s) for s in stems}) == len(stems)
    return [int(stem) if numbered else place for place, stem in enumerate(stems, start=1)]


def _images_of(text: str, without: Path | None) -> list[tuple[Path, str]]:
    path = Path(text)
    if os.path.isdir(text):  # noqa: PTH112  # Path.is_dir raises where a folder may not be looked into
        check_folder(text, what="folder")
        inside = [p for p in sorted(path.rglob("*")) if _is_image(p) and not _below(p, without, path)]
        if not inside:
            film = next((p for p in sorted(path.rglob("*")) if p.suffix.lower() in VIDEOS), None)
            raise ReadError(
                moving_text(str(film)) if film else f"the folder {text!r} holds no images ({', '.join(sorted(SUFFIXES))})"
            )
        return [(p, p.relative_to(path).as_posix()) for p in inside]
    if moving := moving_text(text):
        raise ReadError(moving)
    if os.path.exists(text):  # noqa: PTH110  # as above
        check_file(text, what="image", most=MOST_BYTES)
        return [(path, path.name)]
    matches = [p for p in map(Path, sorted(glob.glob(text, recursive=True))) if _is_image(p)]  # noqa: PTH207
    if not matches:
        if glob.has_magic(text):
            raise ReadError(f"no image is called {text!r}; check the path")
        raise ReadError(missing("file or folder", text))
    return [(p, p.name) for p in matches]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _below(path: Path, without: Path | None, folder: Path) -> bool:
    """Whether an image lies in the folder to leave out, which is itself inside `folder`."""
    if without is None:
        return False
    left_out = Path(os.path.realpath(without))
    return Path(os.path.realpath(folder)) in left_out.parents and left_out in Path(os.path.realpath(path)).parents


@final
@dataclass(frozen=True, eq=False)
class SourceBoxes:
    """Boxes of people in one image; boxes without size may be among them.

    Attributes:
        boxes: x0 y0 x1 y1, pixels.
        scores: Confidence of each box.
        categories: Category id of each box.
        size: Size (h, w) of the image that the file of boxes states, pixels; None where it states none.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    categories: list[int]
    size: Size | None = None


def boxes_of(path: Path | str, sources: Sequence[Source], *, min_score: float = 0.0) -> dict[int, SourceBoxes]:
    """A detector's file for these images, by the image ids of the sources; images without boxes are left out.

    A row belongs to an image if it has its `file_name`, or else if the image's name is the number `image_id` (as COCO's are).

    Args:
        path: JSON list of image_id, bbox (x, y, width, height), score, and if wanted category_id and file_name.
        sources: The images.
        min_score: Lowest confidence that is kept.

    Raises:
        ReadError: The file is missing or unreadable.
        AnnotationError: It is no list of detections.
        InputError: No box belongs to any of the images.
    """
    found = detections_by_name(path, [source.name for source in sources], min_score=min_score)
    return {sources[index].image_id: _boxes(rows) for index, rows in found.items()}


def _boxes(rows: Sequence[Detection]) -> SourceBoxes:
    return SourceBoxes(
        xywh_to_xyxy(torch.tensor([row.bbox for row in rows], dtype=torch.float32)),
        torch.tensor([row.score for row in rows]),
        [1 if row.category_id is None else row.category_id for row in rows],
        rows[0].size,
    )


def requests_of(sources: Sequence[Source], where: Mapping[int, SourceBoxes] | None) -> list[ImageRequest]:
    """Requests: each image that has boxes with its boxes; without boxes every image as a whole."""
    kept = [s for s in sources if where is None or s.image_id in where]
    return [_request(s, None if where is None else where[s.image_id]) for s in kept]


def _request(source: Source, found: SourceBoxes | None) -> ImageRequest:
    size, read = None if found is None else found.size, partial(read_bytes, source.path)
    return ImageRequest(
        Key(source.name, source.image_id),
        partial(read_from, read, str(source.path), size),
        None if found is None else found.boxes,
        None if found is None else found.scores,
        partial(read_reduced_from, read, str(source.path), size),
    )


def read_from(read: Callable[[], bytes], name: str, stated: Size | None) -> UInt8[Tensor, "3 H W"]:
    """An image as boxes count its pixels, where their file states its size.

    Args:
        read: Gives the content of the file.
        name: Name of the file, for messages.
        stated: Size (h, w) that a file of boxes states, pixels.
    """
    return _decoded(read(), name, stated)


def read_reduced_from(
    read: Callable[[], bytes], name: str, stated: Size | None, pick: Pick
) -> tuple[UInt8[Tensor, "3 H W"], Reduction | None]:
    """As `read_from`, smaller where that can be.

    Args:
        read: Gives the content of the file.
        name: Name of the file, for messages.
        stated: Size (h, w) that a file of boxes states, pixels.
        pick: By what the sides may be divided.
    """
    data = read()
    turn = None if stated is None else is_shown(data, name=name, stated=stated)
    smaller = decode_reduced(data, name=name, pick=pick, turn=turn)
    return (_decoded(data, name, stated), None) if smaller is None else smaller


def _decoded(data: bytes, name: str, stated: Size | None) -> UInt8[Tensor, "3 H W"]:
    return decode(data, name=name) if stated is None else decode_labelled(data, name=name, stated=stated)
