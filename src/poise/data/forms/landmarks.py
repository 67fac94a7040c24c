"""Landmarks of faces in text files: 300W's .pts, WFLW's lists, LaPa's files, CelebA's list."""

from collections.abc import Sequence
from pathlib import Path

from poise.data.forms._form import Form, Person, Picture, Point, Source, around, document_of, finite, unnamed
from poise.data.records import Document
from poise.errors import AnnotationError
from poise.reading import read_file
from poise.skeletons import Skeleton
from poise.skeletons.registry import find

_WFLW = 2 * 98 + 4 + 6 + 1
"""Columns of WFLW's lists: landmarks, corners of the box, six attributes, image."""


def _pts_fits(source: Source) -> bool:
    return source.ends(".pts") or bool(source.inside(".pts"))


def _pts(source: Source) -> Document:
    """300W and others: `n_points`, then a pair of numbers for each between braces, pixels counted from 1."""
    files = [(path, _braced(path)) for path in source.inside(".pts") or [source.path]]
    count = max(len(points) for _, points in files)
    return _document([(path, [(x - 1, y - 1) for x, y in points]) for path, points in files], source, count, {68: "300w"})


def _braced(path: Path) -> list[tuple[float, float]]:
    text = read_file(path, what="landmark file", most=2**24).decode("utf-8", "replace")
    _, brace, inside = text.partition("{")
    if not brace or "}" not in inside:
        raise AnnotationError(f"{str(path)!r} has no landmarks between braces, as .pts files have; is it complete?")
    return _pairs(inside.partition("}")[0].split(), path)


def _pairs(words: Sequence[str], path: Path) -> list[tuple[float, float]]:
    numbers = finite(words, f"{str(path)!r}")
    if len(numbers) % 2:
        raise AnnotationError(f"{str(path)!r} has {len(numbers)} coordinates, which are no pairs; is it complete?")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _document(
    files: Sequence[tuple[Path, Sequence[tuple[float, float]]]], source: Source, count: int, known: dict[int, str]
) -> Document:
    """Files of landmarks, each named as its image."""
    odd = next(((path, points) for path, points in files if len(points) != count), None)
    if odd is not None:
        raise AnnotationError(f"{str(odd[0])!r} has {len(odd[1])} landmarks and others {count}; give those of one kind")
    skeleton = find(known[count]) if count in known else None
    pictures = [Picture(name=source.image_name(path), people=[_face(points, skeleton)]) for path, points in files]
    return document_of(pictures, skeleton=skeleton, names=unnamed(count))


def _face(points: Sequence[tuple[float, float]], skeleton: Skeleton | None, box: Sequence[float] | None = None) -> Person:
    names = skeleton.keypoints if skeleton else unnamed(len(points))
    found: dict[str, Point] = {name: (x, y, 2) for name, (x, y) in zip(names, points, strict=True)}
    return Person(points=found, box=None if box is None else around(box), kind="face")


def _lapa_fits(source: Source) -> bool:
    first = next(iter(source.inside(".txt")), source.path if source.ends(".txt") else None)
    return first is not None and Source(first).first.isdecimal() and not _celeba_fits(source)


def _lapa(source: Source) -> Document:
    """LaPa and 106-point sets: the number of landmarks, then a pair in each line."""
    files = []
    for path in source.inside(".txt") or [source.path]:
        words = read_file(path, what="landmark file", most=2**24).decode("utf-8", "replace").split()
        files.append((path, _pairs(words[1:], path)))
    return _document(files, source, max(len(points) for _, points in files), {106: "lapa"})


def _wflw_fits(source: Source) -> bool:
    return source.ends(".txt") and len(source.first.split()) == _WFLW


def _wflw(source: Source) -> Document:
    """WFLW's list_98pt_rect_attr_*.txt: a face in each line."""
    skeleton, pictures = find("wflw"), []
    for number, line in enumerate(source.text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != _WFLW:
            raise AnnotationError(f"{str(source.path)!r}, line {number}: expected {_WFLW} columns, found {len(words)}")
        values = finite(words[:200], f"{str(source.path)!r}, line {number}")
        points = list(zip(values[:196:2], values[1:196:2], strict=True))
        pictures.append(Picture(name=words[-1], people=[_face(points, skeleton, values[196:])]))
    return document_of(pictures, skeleton=skeleton)


def _celeba_fits(source: Source) -> bool:
    return source.ends(".txt") and source.first.isdecimal() and "_x" in source.text[:2000].partition("\n")[2].partition("\n")[0]


def _celeba(source: Source) -> Document:
    """CelebA's list_landmarks_*.txt: the number of images, the names of the columns, an image in each line."""
    lines = [line.split() for line in source.text.splitlines() if line.strip()]
    if "landmark" in lines[1][-1]:
        raise AnnotationError(
            f"{str(source.path)!r} is DeepFashion's list of landmarks, whose number depends on the kind of clothes; give "
            f"MMPose's fld_upper_train.json, fld_lower_train.json or fld_full_train.json, with --skeleton deepfashion_upper, "
            f"deepfashion_lower or deepfashion_full"
        )
    names = [word.removesuffix("_x") for word in lines[1][::2]]
    pictures = []
    for number, (image, *words) in enumerate(lines[2:], start=3):
        values = finite(words, f"{str(source.path)!r}, line {number}")
        points = {name: (x, y, 2) for name, x, y in zip(names, values[::2], values[1::2], strict=True)}
        pictures.append(Picture(name=image, people=[Person(points=points, kind="face")]))
    return document_of(pictures)


FORMS = (
    Form("landmarks in .pts files", _pts_fits, _pts),
    Form("CelebA's list of landmarks", _celeba_fits, _celeba),
    Form("WFLW's list of landmarks", _wflw_fits, _wflw),
    Form("landmarks in text files (as LaPa's)", _lapa_fits, _lapa),
)
