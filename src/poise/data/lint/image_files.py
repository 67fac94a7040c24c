"""Rules for image files: missing, unreadable, of another size than stated, duplicates."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.files import ImageFiles
from poise.data.images import asked, decode, has_16_bits, orientation
from poise.data.lint.identity import People, labelled_people, merge_images, same_people
from poise.data.lint.report import Finding
from poise.data.records import Document, stated_size
from poise.dims import Size
from poise.errors import ImageError
from poise.fields import number
from poise.notes import note

EXAMPLES = 3
"""Images that are named where several are read in one way."""


@final
@dataclass(frozen=True)
class ImageInfo:
    """Contents of an image file.

    Attributes:
        digest: SHA-256 of the file, hexadecimal; "" where it was not read.
        size: Size of the image (h, w) after its EXIF orientation is applied, pixels.
        stored: Size of the image (h, w) as it is stored, pixels.
        orientation: EXIF orientation, 1 to 8; 5 and more exchange width and height; 1 where all images are read as stored.
        bits: Number of bits per channel that are used, where the file has 16 and fewer than 15 are; 0 for all other files.
        problem: "missing", or the error message of a file that cannot be read; "" for none.
    """

    digest: str = ""
    size: Size = (0, 0)
    stored: Size = (0, 0)
    orientation: int = 1
    bits: int = 0
    problem: str = ""


def read_image_infos(
    document: Document, files: ImageFiles, *, advance: Callable[[], None] | None = None
) -> dict[str, ImageInfo]:
    """Read the image files of a document once; of images without annotations only whether they are there, which is said.

    Nobody learns from those, and no score depends on what is in them but for people that a model of whole images invents. They
    are read where the document does not state their size.

    Args:
        document: The annotation file.
        files: The image files.
        advance: Called after each image, for progress bars.

    Returns:
        What each file contains, by `file_name`.
    """
    names = list(dict.fromkeys(str(i["file_name"]) for i in document["images"] if i.get("file_name")))
    idle = _idle(document)
    if idle:
        note(f"{len(idle)} of {len(names)} images have no annotation: they are looked for, and not read")
    found = {}
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda n: _look_for(files, n) if n in idle else _read(files, n), names)
        for name, info in zip(names, read, strict=True):
            found[name] = info
            if advance:
                advance()
    return found


def _idle(document: Document) -> set[str]:
    """Names of the images without annotations whose size is stated; none where annotations name images in another way."""
    named = {str(a.get("image_id")) for a in document["annotations"]}
    if not named <= {str(image.get("id")) for image in document["images"]}:
        return set()
    idle: dict[bool, set[str]] = {True: set(), False: set()}
    for image in document["images"]:
        idle[str(image.get("id")) not in named and stated_size(image) is not None].add(str(image.get("file_name")))
    return idle[True] - idle[False]


def _look_for(files: ImageFiles, name: str) -> ImageInfo:
    return ImageInfo() if files.has(name) else ImageInfo(problem="missing")


def _read(files: ImageFiles, name: str) -> ImageInfo:
    try:
        data = files.bytes(name)
        pixels = decode(data, name=name)
        _, h, w = pixels.shape
        turn = 1 if asked() == "stored" else orientation(data, name=name)
        digest = hashlib.sha256(data).hexdigest()
        return ImageInfo(digest, (h, w), (w, h) if turn >= 5 else (h, w), turn, _bits(data, pixels, name))
    except ImageError as error:
        missing = not files.has(name)
        return ImageInfo(problem="missing" if missing else str(error))


def _bits(data: bytes, pixels: UInt8[Tensor, "3 H W"], name: str) -> int:
    """Bits that a file of 16 bits uses, where they are so few that its picture is dark; 0 for other files."""
    largest = int(pixels.max())
    if largest >= 64 or not has_16_bits(data, name=name):
        return 0
    return 8 + largest.bit_length()


def check_image_files(document: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    """Compare the image records with the files. Corrects `document` in place.

    Args:
        document: The annotation file.
        infos: Contents of the image files, by name.
    """
    yield from _unreadable(document, infos)
    yield from _sizes(document, infos)
    yield from _dark(document, infos)
    yield from _duplicates(document, infos)


def _unreadable(document: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    lost = set()
    kept = []
    people: People | None = None
    for image in document["images"]:
        info = infos.get(image.get("file_name", ""), ImageInfo())
        if not info.problem:
            kept.append(image)
            continue
        lost.add(image.get("id"))
        people = labelled_people(document) if people is None else people
        rule = "image file missing" if info.problem == "missing" else "image file unreadable"
        found = "not in the images folder" if info.problem == "missing" else info.problem
        gone = len(people.get(image.get("id"), ()))
        yield Finding(rule, f"image {image['file_name']!r}", found, "dropped with its annotations", lost=gone)
    document["images"] = kept
    if lost:
        document["annotations"] = [a for a in document["annotations"] if a.get("image_id") not in lost]


def _sizes(document: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    unturned: list[str] = []
    turned = {i.get("id") for i in document["images"] if _turned(infos.get(i.get("file_name", ""), ImageInfo()))}
    corners = _corners(document, turned)
    for image in document["images"]:
        info = infos.get(image.get("file_name", ""), ImageInfo())
        stated, given = stated_size(image), f"`width` {image.get('width')!r}, `height` {image.get('height')!r}"
        where, shown = f"image {image.get('file_name')!r}", f"{info.size[1]} x {info.size[0]}"
        if not info.digest:
            if stated is None:
                yield Finding("image size missing", where, given)
            continue
        if stated == info.size:
            if info.orientation > 1 and stated == info.stored and asked() is None:
                turn = f"EXIF orientation {info.orientation}, and {shown} either way"
                found = f"{turn}: were the labels made on the picture as shown? Else add --orientation stored"
                yield Finding("size does not tell whether labels follow the EXIF orientation", where, found)
            continue
        if stated is not None and stated == info.stored:
            if asked() is None:
                unturned.append(str(image.get("file_name")))
                continue
            found = f"labelled as stored ({stated[1]} x {stated[0]}), but its EXIF orientation shows it as {shown}"
            yield Finding("labels ignore the EXIF orientation", where, found)
            continue
        rule, size = "image size missing" if stated is None else "image size wrong", info.size
        if _turned(info) and _fits(corner := corners.get(image.get("id")), info.stored) and not _fits(corner, size):
            size, shown = info.stored, f"{info.stored[1]} x {info.stored[0]} as it is stored, and its labels fit no other way"
        fixed = _resized(image, size)
        yield Finding(rule, where, f"stated {given}, the file is {shown}", fixed)
    if unturned:
        first = ", ".join(map(repr, unturned[:EXAMPLES]))
        which = f"image {first} is" if len(unturned) == 1 else f"{len(unturned)} images, such as {first}, are"
        note(f"{which} read as stored, for the file states the stored size, not the one that the EXIF orientation gives")


def _turned(info: ImageInfo) -> bool:
    """Whether the picture as shown has another size than as stored."""
    return bool(info.digest) and info.size != info.stored


def _corners(document: Document, images: set[Any]) -> dict[Any, tuple[float, float]]:
    """How far labels reach in each of these images, y and x, by the image's id."""
    far: dict[Any, tuple[float, float]] = {}
    for one in document["annotations"] if images else ():
        image = one.get("image_id")
        for x, y in _points(one) if image in images else ():
            high, right = far.get(image, (0.0, 0.0))
            far[image] = max(high, y), max(right, x)
    return far


def _points(annotation: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Labelled keypoints and the far corner of the box, x and y; what is no number is left out."""
    values, box = annotation.get("keypoints"), annotation.get("bbox")
    numbers = [number(v) for v in values] if isinstance(values, list) else []
    corner = [number(v) for v in box] if isinstance(box, list) and len(box) == 4 else []
    rows = [(x, y) for x, y, v in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=False) if v]
    if corner and None not in corner:
        rows.append((corner[0] + corner[2], corner[1] + corner[3]))  # type: ignore[operator]  # none is None
    yield from ((float(x), float(y)) for x, y in rows if x is not None and y is not None)


def _fits(corner: tuple[float, float] | None, size: Size) -> bool:
    """Whether labels that reach so far lie in an image of that size."""
    return corner is not None and corner[0] <= size[0] and corner[1] <= size[1]


def _dark(document: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    for image in document["images"]:
        info = infos.get(image.get("file_name", ""), ImageInfo())
        if info.bits:
            found = (
                f"its largest value needs {info.bits} of 16 bits, so the picture is nearly black; scale its values to 16 bits"
            )
            yield Finding("image uses few of its 16 bits", f"image {image.get('file_name')!r}", found)


def _resized(image: dict[str, Any], size: Size) -> str:
    """Fills in a missing size. A wrong one stays, as the labels may belong to an image of the size stated."""
    if stated_size(image) is not None:
        return ""
    image["height"], image["width"] = size
    return f"{size[1]} x {size[0]}"


def _duplicates(document: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    first: dict[str, dict[str, Any]] = {}
    duplicates = {}
    people: People | None = None
    for image in document["images"]:
        digest = infos.get(image.get("file_name", ""), ImageInfo()).digest
        known = first.setdefault(digest, image) if digest else image
        if known is image or known.get("id") == image.get("id") or known["file_name"] == image["file_name"]:
            continue
        found = f"the same bytes as {known['file_name']!r}"
        people = labelled_people(document) if people is None else people
        if same_people(people, known.get("id"), image.get("id")):
            duplicates[image.get("id")] = known.get("id")
            fixed = f"one record, {known['file_name']!r}, with all annotations"
            yield Finding("the same image twice", f"image {image['file_name']!r}", found, fixed)
        else:
            yield Finding("one picture, different people", f"image {image['file_name']!r}", f"{found}, labelled otherwise")
    merge_images(document, duplicates)
