"""Image files: missing, unreadable, of another size than stated, the same twice."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

from poise.data.document import Document, stated_size
from poise.data.files import ImageFiles
from poise.data.images import decode, is_turned
from poise.data.lint.finding import Finding
from poise.data.lint.identity import merge_images
from poise.dims import Size
from poise.errors import ImageError


@final
@dataclass(frozen=True)
class ImageInfo:
    """What was found in an image file: a digest of its bytes, its size as shown and as stored, or what is wrong."""

    digest: str = ""
    size: Size = (0, 0)
    stored: Size = (0, 0)
    problem: str = ""


def read_image_infos(
    document: Document, files: ImageFiles, *, advance: Callable[[], None] | None = None
) -> dict[str, ImageInfo]:
    """Read every image of a file once, by name; `advance` is called after each."""
    names = list(dict.fromkeys(str(i["file_name"]) for i in document["images"] if i.get("file_name")))
    found = {}
    with ThreadPoolExecutor(4) as pool:
        for name, picture in zip(names, pool.map(lambda n: _read(files, n), names), strict=True):
            found[name] = picture
            if advance:
                advance()
    return found


def _read(files: ImageFiles, name: str) -> ImageInfo:
    try:
        data = files.bytes(name)
        _, h, w = decode(data, name=name).shape
        return ImageInfo(hashlib.sha256(data).hexdigest(), (h, w), (w, h) if is_turned(data, name=name) else (h, w))
    except ImageError as error:
        missing = not files.has(name)
        return ImageInfo(problem="missing" if missing else str(error))


def check_image_files(document: Document, pictures: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    """Compare the records with the files. Mends `document` in place."""
    yield from _unreadable(document, pictures)
    yield from _sizes(document, pictures)
    yield from _duplicates(document, pictures)


def _unreadable(document: Document, pictures: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    lost = set()
    kept = []
    for image in document["images"]:
        picture = pictures.get(image.get("file_name", ""), ImageInfo())
        if not picture.problem:
            kept.append(image)
            continue
        lost.add(image.get("id"))
        kind = "image file missing" if picture.problem == "missing" else "image file unreadable"
        found = "not in the images folder" if picture.problem == "missing" else picture.problem
        yield Finding(kind, f"image {image['file_name']!r}", found, "dropped with its annotations")
    document["images"] = kept
    if lost:
        document["annotations"] = [a for a in document["annotations"] if a.get("image_id") not in lost]


def _sizes(document: Document, pictures: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    for image in document["images"]:
        picture = pictures.get(image.get("file_name", ""), ImageInfo())
        stated, given = stated_size(image), f"`width` {image.get('width')!r}, `height` {image.get('height')!r}"
        where, shown = f"image {image.get('file_name')!r}", f"{picture.size[1]} x {picture.size[0]}"
        if not picture.digest:
            if stated is None:
                yield Finding("image size missing", where, given)
            continue
        if stated == picture.size:
            continue
        if stated is not None and stated == picture.stored:
            found = f"labelled as stored ({stated[1]} x {stated[0]}), but its EXIF orientation shows it as {shown}"
            yield Finding("labels ignore the EXIF orientation", where, found)
            continue
        kind = "image size missing" if stated is None else "image size wrong"
        mended = _resized(image, picture.size)
        yield Finding(kind, where, f"stated {given}, the file is {shown}", mended)


def _resized(image: dict[str, Any], size: Size) -> str:
    """A missing size is filled; a wrong one is not: the labels may belong to an image of the size stated."""
    if stated_size(image) is not None:
        return ""
    image["height"], image["width"] = size
    return f"{size[1]} x {size[0]}"


def _duplicates(document: Document, pictures: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    first: dict[str, dict[str, Any]] = {}
    duplicates = {}
    for image in document["images"]:
        digest = pictures.get(image.get("file_name", ""), ImageInfo()).digest
        known = first.setdefault(digest, image) if digest else image
        if known is not image and known.get("id") != image.get("id"):
            duplicates[image.get("id")] = known.get("id")
            found = f"the same bytes as {known['file_name']!r}"
            mended = f"one record, {known['file_name']!r}, with all annotations"
            yield Finding("the same image twice", f"image {image['file_name']!r}", found, mended)
    merge_images(document, duplicates)
