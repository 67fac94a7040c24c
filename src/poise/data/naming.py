"""Names for keypoints where a file has none, and lists of keypoints beside `keypoints` (`Naming`)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from poise.errors import AnnotationError, InputError, ReadError, SkeletonMismatch
from poise.notes import note
from poise.reading import read_json
from poise.skeletons import Skeleton, from_categories, mirror_pairs, select
from poise.skeletons.coco import sigmas_by_name
from poise.skeletons.registry import find, of_length
from poise.skeletons.wholebody import FIELDS, WHOLEBODY133

_KEYPOINT_FIELD = re.compile(r"(^|_)(kpts|keypoints|landmarks)($|_(?!3d)|\d)", re.IGNORECASE)
"""Fields with keypoints in the image, not those in space such as `keypoints_3d`."""

_BOXES = {"face_kpts": "face_box", "lefthand_kpts": "lefthand_box", "righthand_kpts": "righthand_box"}
"""Fields of COCO-WholeBody's annotations: the box of a part."""


@final
@dataclass(frozen=True, kw_only=True)
class Naming:
    """A user's statements about the keypoints of a file.

    Attributes:
        skeleton: Names, bones, mirror pairs and sigmas, for categories without names and for `fields`.
        fields: Fields of the annotations whose lists are the keypoints, one after the other; by default `keypoints`, or those
            that hold as many as the skeleton has.
        mirror: Mirror pairs, as of `Skeleton.with_mirror`.
    """

    skeleton: Skeleton | None = None
    fields: tuple[str, ...] = ()
    mirror: tuple[tuple[str, str], ...] = ()

    def applied(self, document: dict[str, Any], path: Path | str) -> dict[str, Any]:
        """A keypoint file with these names, fields and pairs.

        Args:
            document: The file's content; it may change.
            path: Path of the file, for messages.

        Raises:
            AnnotationError: No annotation has such a field, or none has as many keypoints as the skeleton.
            SkeletonMismatch: The fields hold another number of keypoints than the skeleton has, or a pair names none of them.
        """
        if self.skeleton is not None or self.fields:
            document = self._named(document, path)
        return self._mirrored(document, path) if self.mirror else document

    def _named(self, document: dict[str, Any], path: Path | str) -> dict[str, Any]:
        held = fields_of(document["annotations"])
        wanted = self.fields or _fitting(held, self.skeleton, path)
        missing = [name for name in wanted if name not in held]
        if missing:
            raise AnnotationError(
                f"{str(path)!r}: no annotation has keypoints in a field `{missing[0]}`; there are {_described(held) or 'none'}"
            )
        skeleton = self.skeleton or _of_fields(wanted, path)
        counts = [held[name] for name in wanted]
        if sum(counts) != len(skeleton) and not self.fields and _all_named(document):
            note(f"{str(path)!r}: its keypoints have names, and --skeleton {skeleton.name} is for files without")
            return document
        if sum(counts) != len(skeleton):
            raise SkeletonMismatch(
                f"{str(path)!r}: {' and '.join(wanted)} hold {' + '.join(map(str, counts))} keypoints, and skeleton "
                f"{skeleton.name!r} has {len(skeleton)}; choose one with as many{_known(sum(counts))}"
            )
        categories = document.get("categories") or [{"id": 1, "name": skeleton.name}]
        taken = [c for c in categories if self._takes(c, document["annotations"], wanted)]
        named = [{**c, **to_category(skeleton)} if c in taken else c for c in categories]
        ids = {c.get("id") for c in taken}
        annotations = document["annotations"]
        if wanted != ("keypoints",):
            annotations = [
                _joined(a, wanted, counts) if a.get("category_id", next(iter(ids), None)) in ids else a for a in annotations
            ]
        return {**document, "categories": named, "annotations": annotations}

    def _takes(self, category: Mapping[str, Any], annotations: Sequence[Any], fields: tuple[str, ...]) -> bool:
        """Whether a category gets the names: it has none, or its annotations hold as many keypoints in the fields."""
        if not category.get("keypoints"):
            return True
        own = [a for a in annotations if a.get("category_id", category.get("id")) == category.get("id")]
        return set(fields) <= fields_of(own).keys() if own else False

    def _mirrored(self, document: dict[str, Any], path: Path | str) -> dict[str, Any]:
        names = [{str(n) for n in c.get("keypoints") or ()} for c in document["categories"]]
        unknown = [name for pair in self.mirror for name in pair if not any(name in own for own in names)]
        if unknown:
            raise SkeletonMismatch(
                f"{str(path)!r}: --mirror names {unknown[0]!r}, and the keypoints are {', '.join(sorted(set().union(*names)))}"
            )
        categories = [
            {**c, "mirror": [*_kept(c, self.mirror), *(list(p) for p in self.mirror if own.issuperset(p))], "flip_idx": None}
            for c, own in zip(document["categories"], names, strict=True)
        ]
        return {**document, "categories": categories}


def _kept(category: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Pairs of the category itself whose keypoints are not in others."""
    if not category.get("keypoints"):
        return []
    given = {name for pair in pairs for name in pair}
    return [list(pair) for pair in from_categories([category]).mirror if given.isdisjoint(pair)]


def fields_of(annotations: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Number of keypoints in each field of annotations that holds some: lists of x, y, visible."""
    found: dict[str, int] = {}
    other: set[str] = set()
    for annotation in annotations:
        if other.issuperset(annotation):
            continue
        for name, value in annotation.items():
            if name not in found and _KEYPOINT_FIELD.search(name) and isinstance(value, list) and value:
                flat = sum(len(v) if isinstance(v, list) else 1 for v in value)
                if flat % 3 == 0:
                    found[name] = flat // 3
        other.update(name for name in annotation if name in found or not _KEYPOINT_FIELD.search(name))
    return found


def note_unread_fields(annotations: Sequence[Mapping[str, Any]], naming: Naming | None, path: Path | str) -> None:
    """Say once which fields with keypoints are not read, and how to read them.

    Args:
        annotations: Annotations of the file.
        naming: What the user said; whoever chose fields or a skeleton knows them.
        path: Path of the file.
    """
    if naming is not None and (naming.skeleton is not None or naming.fields):
        return
    found = fields_of(annotations)
    others = {name: count for name, count in found.items() if name != "keypoints"}
    if others:
        names = "" if found.keys() <= FIELDS.keys() else " --skeleton FILE"
        note(
            f"{str(path)!r}: annotations also have {_described(others)}, not read; "
            f"`--fields {' '.join(found)}{names}` reads all"
        )


def _all_named(document: Mapping[str, Any]) -> bool:
    categories = document.get("categories") or []
    return bool(categories) and all(category.get("keypoints") for category in categories)


def _described(fields: Mapping[str, int]) -> str:
    return ", ".join(f"`{name}` ({count} keypoints)" for name, count in fields.items())


def _fitting(held: Mapping[str, int], skeleton: Skeleton | None, path: Path | str) -> tuple[str, ...]:
    """The fields that hold as many keypoints as a skeleton: `keypoints`, else another, else those of the whole body."""
    if skeleton is None or held.get("keypoints") == len(skeleton) or not held:
        return ("keypoints",)
    alike = [name for name, count in held.items() if count == len(skeleton)]
    if len(alike) > 1:
        raise AnnotationError(
            f"{str(path)!r}: {' and '.join(alike)} hold {len(skeleton)} keypoints each; choose with --fields {alike[0]}"
        )
    body = tuple(name for name in FIELDS if name in held)
    whole = body if sum(held[name] for name in body) == len(skeleton) else ()
    return tuple(alike) or whole or ("keypoints",)


def _of_fields(fields: tuple[str, ...], path: Path | str) -> Skeleton:
    """The skeleton of fields that are known: those of COCO-WholeBody."""
    strange = [name for name in fields if name not in FIELDS]
    if strange:
        raise InputError(
            f"{str(path)!r}: nothing is known about the keypoints of `{strange[0]}`; name them with --skeleton FILE or NAME"
        )
    names = [name for field in fields for name in FIELDS[field]]
    return select(WHOLEBODY133, names, name="+".join(field.removesuffix("_kpts") for field in fields))


def _known(count: int) -> str:
    names = of_length(count)
    return f", such as {' or '.join(names)}" if names else ", as a file with their names"


def names_hint(annotations: Sequence[Mapping[str, Any]]) -> str:
    """How to name the keypoints of a file that has no names: skeletons with as many."""
    count = fields_of(annotations).get("keypoints")
    known = of_length(count) if count else []
    such = f" ({' or '.join(known)} have {count})" if known else ""
    return f"add the names to `categories`, or give --skeleton NAME or FILE{such}"


def _joined(annotation: Mapping[str, Any], fields: tuple[str, ...], counts: Sequence[int]) -> dict[str, Any]:
    """An annotation whose keypoints are those of some fields; a hand or face alone has its own box."""
    keypoints = [value for name, count in zip(fields, counts, strict=True) for value in _part(annotation, name, count)]
    made = {**annotation, "keypoints": keypoints, "num_keypoints": sum(v > 0 for v in keypoints[2::3])}
    box = annotation.get(_BOXES.get(fields[0], "")) if len(fields) == 1 else None
    if box:
        made = {key: value for key, value in made.items() if key not in ("area", "segmentation")} | {"bbox": box}
    return made


def _part(annotation: Mapping[str, Any], field: str, count: int) -> list[Any]:
    """The keypoints of a field; none are labelled where it is missing or marked as not valid."""
    values = annotation.get(field) or []
    flat = [n for v in values for n in v] if values and isinstance(values[0], list) else values
    valid = annotation.get(field.replace("_kpts", "_valid"), True)
    if not valid or len(flat) != 3 * count:
        return [0] * (3 * count)
    if field == "keypoints":
        return list(flat)
    # the parts of the whole body say how sure a keypoint is, where others say 1 or 2
    seen = [v if v in (0, 1, 2) else 2 * (v > 0) for v in flat[2::3]]
    return [n for x, y, v in zip(flat[::3], flat[1::3], seen, strict=True) for n in ((x, y, v) if v else (0, 0, 0))]


def to_category(skeleton: Skeleton) -> dict[str, Any]:
    """The fields of an entry of `categories` that say what a skeleton says."""
    found: dict[str, Any] = {
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
        "flip_idx": skeleton.flip.tolist() if skeleton.mirrors else None,
    }
    if skeleton.sigmas != sigmas_by_name(skeleton.keypoints)[0]:
        found["sigmas"] = list(skeleton.sigmas)
    return found


def find_skeleton(text: str) -> Skeleton:
    """A skeleton by its name, or out of a file.

    Args:
        text: Such as `wflw98`; or a JSON file: a COCO file or an entry of its `categories`, or a list of names; or a text file
            with a name on each line.

    Raises:
        UnknownName: There is no such skeleton, nor such a file.
        ReadError: The file cannot be read.
        AnnotationError: The file names no keypoints.
    """
    path = Path(text)
    if path.suffix.lower() not in (".json", ".txt") and not path.is_file():
        return find(text)
    if path.suffix.lower() != ".txt":
        return _of_json(read_json(path), path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ReadError(f"the names of keypoints cannot be read from {text!r}: {error}") from error
    return _of_json([line.strip() for line in lines if line.strip()], path)


def _of_json(content: Any, path: Path) -> Skeleton:
    if isinstance(content, list):
        content = {"name": path.stem, "keypoints": content}
    if not isinstance(content, dict):
        raise AnnotationError(f"{str(path)!r} names no keypoints; expected a list of names, or a COCO category")
    categories = content.get("categories") if "categories" in content else [content]
    try:
        return from_categories([{"name": path.stem, **c} for c in categories or []])
    except (AnnotationError, TypeError) as error:
        raise AnnotationError(f"{str(path)!r} cannot be used as a skeleton: {error}") from error


def read_pairs(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Mirror pairs as they are typed, left:right.

    Raises:
        InputError: One is no pair.

    >>> read_pairs(["left_paw:right_paw", "nose:nose"])
    (('left_paw', 'right_paw'), ('nose', 'nose'))
    """
    pairs = []
    for word in words:
        a, colon, b = word.partition(":")
        if not (a and colon and b) or ":" in b:
            raise InputError(f"--mirror takes pairs of keypoints such as left_paw:right_paw; found {word!r}")
        pairs.append(next(iter(mirror_pairs((a, b))), (a, b)))
    repeated = [n for i, pair in enumerate(pairs) for n in pair if any(n in other for other in pairs[:i])]
    if repeated:
        raise InputError(f"--mirror has {repeated[0]!r} in two pairs; give each keypoint one partner")
    return tuple(pairs)


def naming_of(skeleton: str | None, fields: Sequence[str] = (), mirror: Sequence[str] = ()) -> Naming | None:
    """The statements of flags about keypoints; None where none is given.

    Args:
        skeleton: Name or file (`find_skeleton`).
        fields: Fields of the annotations.
        mirror: Pairs as they are typed (`read_pairs`).

    Raises:
        PoiseError: As of these.
    """
    if skeleton is None and not fields and not mirror:
        return None
    found = None if skeleton is None else find_skeleton(skeleton)
    return Naming(skeleton=found, fields=tuple(fields), mirror=read_pairs(mirror))
