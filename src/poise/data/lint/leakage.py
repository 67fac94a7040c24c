"""Leakage: images present in both files, which make a test on one after training on the other too optimistic."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from poise.data.document import Document
from poise.data.lint.image_files import ImageInfo
from poise.data.lint.report import Finding
from poise.data.split import select_images

LintedFile = tuple[str, Document, Mapping[str, ImageInfo]]
"""Name of an annotation file, its document, and what its image files contain, by name (empty where they were not read)."""


def remove_leakage(first: LintedFile, second: LintedFile) -> list[Finding]:
    """Drop the images present in both files from the larger document, which is assumed to be the training file.

    Two images are the same if their files are equal or, where one was not read, if their names or their ids are equal. If the
    larger document would lose all its images nothing is dropped, as only the author knows which file is wanted.

    Args:
        first: A file; its document may be changed in place.
        second: Another file; its document may be changed in place.

    Returns:
        One finding for each image present in both.
    """
    large, small = (first, second) if len(first[1]["images"]) >= len(second[1]["images"]) else (second, first)
    found = list(_shared(large, small))
    lost = {i for i, _ in found}
    if lost == {image.get("id") for image in large[1]["images"]}:
        return [replace(finding, fix="") for _, finding in found]
    fixed = select_images(large[1], {image.get("id") for image in large[1]["images"]} - lost)
    large[1]["images"], large[1]["annotations"] = fixed["images"], fixed["annotations"]
    return [finding for _, finding in found]


def _shared(large: LintedFile, small: LintedFile) -> Iterator[tuple[Any, Finding]]:
    by_digest = {info.digest: name for name, info in small[2].items() if info.digest}
    by_name = {_tail(image): image for image in small[1]["images"]}
    by_id = {image.get("id"): image for image in small[1]["images"]}
    for image in large[1]["images"]:
        why = _same_bytes(image, large[2], by_digest)
        if why is None:
            why = _same_name(image, by_name, by_id, large[2], small[2])
        if why:
            where, fixed = f"image {image.get('file_name')!r} of {large[0]}", f"dropped from {large[0]}"
            yield image.get("id"), Finding("image in both files", where, f"{why} in {small[0]}", fixed)


def _same_bytes(image: Mapping[str, Any], infos: Mapping[str, ImageInfo], by_digest: Mapping[str, str]) -> str | None:
    info = infos.get(str(image.get("file_name")), ImageInfo())
    return f"the same bytes as {by_digest[info.digest]!r}" if info.digest in by_digest else None


def _same_name(
    image: Mapping[str, Any],
    by_name: Mapping[str, Mapping[str, Any]],
    by_id: Mapping[Any, Mapping[str, Any]],
    infos: Mapping[str, ImageInfo],
    others: Mapping[str, ImageInfo],
) -> str | None:
    """Same name, unless both files were read and differ; or same id, size and number in the name."""
    for other, what in (
        (by_name.get(_tail(image)), "the same name as"),
        (by_id.get(image.get("id")), "the same id and size as"),
    ):
        if other is None or (_read(image, infos) and _read(other, others)):
            continue
        sizes = [(i.get("height"), i.get("width")) for i in (image, other)]
        if what == "the same name as" or (
            sizes[0] == sizes[1] and None not in sizes[0] and _numbered(image) == _numbered(other)
        ):
            return f"{what} {other.get('file_name')!r}"
    return None


def _read(image: Mapping[str, Any], infos: Mapping[str, ImageInfo]) -> bool:
    return bool(infos.get(str(image.get("file_name")), ImageInfo()).digest)


def _tail(image: Mapping[str, Any]) -> str:
    return PurePosixPath(str(image.get("file_name"))).name


def _numbered(image: Mapping[str, Any]) -> int:
    """The number in a file name: COCO has one image as `COCO_val2014_000000000042.jpg` and as `000000000042.jpg`."""
    digits = "".join(c for c in PurePosixPath(_tail(image)).stem.split("_")[-1] if c.isdigit())
    return int(digits) if digits else -1
