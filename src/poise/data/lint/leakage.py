"""Images that two files share: who trains on one and tests on the other fools himself."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from poise.data.document import Document
from poise.data.lint.finding import Finding
from poise.data.lint.image_files import ImageInfo
from poise.data.split import select_images

LintedFile = tuple[str, Document, Mapping[str, ImageInfo]]
"""A file's name, its document, and its images as far as they were read."""


def remove_leakage(first: LintedFile, second: LintedFile) -> list[Finding]:
    """The images that two files share; they are dropped from the larger document, which is taken for the training file.

    Images are the same when their bytes are, or, where one of them was not read, when their names or their ids are. A
    document that would lose all its images stays as it is: which of the two is wanted only the author knows.
    """
    large, small = (first, second) if len(first[1]["images"]) >= len(second[1]["images"]) else (second, first)
    found = list(_shared(large, small))
    lost = {i for i, _ in found}
    if lost == {image.get("id") for image in large[1]["images"]}:
        return [replace(finding, mended="") for _, finding in found]
    mended = select_images(large[1], {image.get("id") for image in large[1]["images"]} - lost)
    large[1]["images"], large[1]["annotations"] = mended["images"], mended["annotations"]
    return [finding for _, finding in found]


def _shared(large: LintedFile, small: LintedFile) -> Iterator[tuple[Any, Finding]]:
    by_digest = {p.digest: name for name, p in small[2].items() if p.digest}
    by_name = {_tail(image): image for image in small[1]["images"]}
    by_id = {image.get("id"): image for image in small[1]["images"]}
    for image in large[1]["images"]:
        why = _same_bytes(image, large[2], by_digest)
        if why is None:
            why = _same_name(image, by_name, by_id, large[2], small[2])
        if why:
            where, mended = f"image {image.get('file_name')!r} of {large[0]}", f"dropped from {large[0]}"
            yield image.get("id"), Finding("image in both files", where, f"{why} in {small[0]}", mended)


def _same_bytes(image: Mapping[str, Any], pictures: Mapping[str, ImageInfo], by_digest: Mapping[str, str]) -> str | None:
    picture = pictures.get(str(image.get("file_name")), ImageInfo())
    return f"the same bytes as {by_digest[picture.digest]!r}" if picture.digest in by_digest else None


def _same_name(
    image: Mapping[str, Any],
    by_name: Mapping[str, Mapping[str, Any]],
    by_id: Mapping[Any, Mapping[str, Any]],
    pictures: Mapping[str, ImageInfo],
    others: Mapping[str, ImageInfo],
) -> str | None:
    """By name, where not both were read and differ; by id, where also the sizes agree."""
    for other, what in (
        (by_name.get(_tail(image)), "the same name as"),
        (by_id.get(image.get("id")), "the same id and size as"),
    ):
        if other is None or (_read(image, pictures) and _read(other, others)):
            continue
        sizes = [(i.get("height"), i.get("width")) for i in (image, other)]
        if what == "the same name as" or (
            sizes[0] == sizes[1] and None not in sizes[0] and _numbered(image) == _numbered(other)
        ):
            return f"{what} {other.get('file_name')!r}"
    return None


def _read(image: Mapping[str, Any], pictures: Mapping[str, ImageInfo]) -> bool:
    return bool(pictures.get(str(image.get("file_name")), ImageInfo()).digest)


def _tail(image: Mapping[str, Any]) -> str:
    return PurePosixPath(str(image.get("file_name"))).name


def _numbered(image: Mapping[str, Any]) -> int:
    """The digits of a name as a number: COCO calls one image `COCO_val2014_000000000042.jpg` and `000000000042.jpg`."""
    digits = "".join(c for c in PurePosixPath(_tail(image)).stem.split("_")[-1] if c.isdigit())
    return int(digits) if digits else -1
