"""Skeletons read from the `categories` of a COCO file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from poise.errors import AnnotationError, SkeletonMismatch
from poise.fields import whole
from poise.notes import note
from poise.skeletons._skeleton import Pair, Skeleton
from poise.skeletons.coco import COCO17, sigmas_by_name
from poise.skeletons.convert import union
from poise.skeletons.lsp import LSP14
from poise.skeletons.mpii import MPII16

_SWAPPED = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GLUED = re.compile(r"^(left|right)(?=[a-z])")
_UPPER = frozenset(COCO17.upper + MPII16.upper + LSP14.upper) | {"head"}


def mirror_pairs(names: Sequence[str]) -> tuple[Pair, ...]:
    """The pairs (left, right) among keypoint names: `left_eye`, `LeftEye`, `lefteye`, `eye_left`, `l_eye`, `L_F_Paw`, `LEye`.

    >>> mirror_pairs(("nose", "right_eye", "left_eye", "L_F_Paw", "R_F_Paw"))
    (('left_eye', 'right_eye'), ('L_F_Paw', 'R_F_Paw'))
    """
    words = {tuple(_split(name)): name for name in names}
    pairs: dict[frozenset[str], Pair] = {}
    for spelled, name in words.items():
        partner = words.get(tuple(_SWAPPED.get(word, word) for word in spelled))
        if partner is None or partner == name:
            continue
        side = next(word for word in spelled if word in _SWAPPED)
        pairs.setdefault(frozenset((name, partner)), (name, partner) if side.startswith("l") else (partner, name))
    return tuple(pairs.values())


def _split(name: str) -> list[str]:
    words = [word.lower() for word in _WORDS.findall(name)]
    return [part for word in words for part in re.split(r"\s+", _GLUED.sub(r"\1 ", word))]


def from_category(category: Mapping[str, Any]) -> Skeleton:
    """The skeleton of one entry of `categories`.

    Keypoints and bones are its `keypoints` and `skeleton` (`usable_bones`). Mirror pairs follow from the
    names (`mirror_pairs`). Sigmas are its optional list `sigmas`, else they follow from the names (`sigmas_by_name`).
    Keypoints named and ordered like COCO's, MPII's or LSP's give that skeleton.

    Args:
        category: The entry, as it is in the file.

    Raises:
        AnnotationError: It has no keypoints.
        SkeletonMismatch: Names repeat, or the sigmas are not one positive number per keypoint.
    """
    label = str(category.get("name", category.get("id", "?")))
    given = category.get("keypoints") or ()
    names = tuple(str(n) for n in given) if isinstance(given, list | tuple) else ()
    if not names or not all(isinstance(n, str | int) for n in given):
        raise AnnotationError(f"category {label!r} names no keypoints; a keypoint file lists them under `keypoints`")
    standard = next((s for s in (COCO17, MPII16, LSP14) if s.keypoints == names), None)
    skeleton = standard or _new(label, names, category)
    if not category.get("sigmas"):
        return skeleton
    try:
        sigmas = tuple(float(s) for s in category["sigmas"])
    except (TypeError, ValueError):
        raise AnnotationError(f"category {label!r}: `sigmas` must be numbers, found {category['sigmas']!r}") from None
    return replace(skeleton, sigmas=sigmas, sigma_source="given in the annotation file")


def _new(label: str, names: tuple[str, ...], category: Mapping[str, Any]) -> Skeleton:
    sigmas, source = sigmas_by_name(names)
    return Skeleton(
        name=label,
        keypoints=names,
        bones=_bones(label, names, category.get("skeleton")),
        mirror=mirror_pairs(names),
        sigmas=sigmas,
        upper=tuple(n for n in names if n in _UPPER),
        sigma_source=source,
    )


def usable_bones(names: Sequence[str], given: Any) -> tuple[tuple[Pair, ...], list[Any]]:
    """The bones of a file that join two of its keypoints, and what else is listed there.

    Ends are indices from 1 (from 0 if a 0 occurs), also as text or with a point, or names. Bones are only drawn: whatever is
    wrong with them, the file can be used.

    Args:
        names: The keypoints.
        given: The field `skeleton` of a category.

    >>> usable_bones(("a", "b", "c"), [[1, 2], ["2", 3.0], ["a", "c"], [1, 9], None, [1, 1]])
    ((('a', 'b'), ('b', 'c'), ('a', 'c')), [[1, 9], None])
    """
    if not given:
        return (), []
    if not isinstance(given, list | tuple):
        return (), [given]
    pairs = [tuple(pair) if isinstance(pair, list | tuple) else () for pair in given]
    first = 0 if any(whole(end) == 0 for pair in pairs for end in pair) else 1
    bones, wrong = [], []
    for pair, found in zip(pairs, given, strict=True):
        ends = [_end(end, names, first) for end in pair]
        if len(ends) != 2 or None in ends:
            wrong.append(found)
        elif ends[0] != ends[1]:
            bones.append((str(ends[0]), str(ends[1])))
    return tuple(bones), wrong


def _end(value: Any, names: Sequence[str], first: int) -> str | None:
    """The keypoint that an end of a bone is."""
    if isinstance(value, str) and value in names:
        return value
    index = whole(value)
    return names[index - first] if index is not None and first <= index < first + len(names) else None


def _bones(label: str, names: tuple[str, ...], given: Any) -> tuple[Pair, ...]:
    bones, wrong = usable_bones(names, given)
    if wrong:
        note(
            f"category {label!r}: {len(wrong)} of its bones join none of its {len(names)} keypoints, such as "
            f"{str(wrong[0])[:60]}; they are left out, as bones are only drawn"
        )
    return bones


def from_categories(categories: Sequence[Mapping[str, Any]]) -> Skeleton:
    """The union, by name, of the skeletons of all categories that have keypoints.

    Args:
        categories: The list `categories` of a file.

    Raises:
        AnnotationError: No category has keypoints, or two have different left-right pairs for one keypoint.
    """
    with_keypoints = [c for c in categories if c.get("keypoints")]
    if not with_keypoints:
        raise AnnotationError("no category names keypoints; a keypoint file lists them under `keypoints`")
    try:
        return union([from_category(c) for c in with_keypoints])
    except SkeletonMismatch as error:
        raise AnnotationError(f"the categories of the file do not fit together: {error}") from error
