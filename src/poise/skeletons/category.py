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
from poise.skeletons.mirror import mirror_pairs
from poise.skeletons.mpii import MPII16

_UPPER = frozenset(COCO17.upper + MPII16.upper + LSP14.upper) | {"head"}
_FINE = re.compile(r"face-\d+|(left|right)_(hand_root|(thumb|forefinger|middle_finger|ring_finger|pinky_finger)[1-4])")
"""Names of a whole body's keypoints of face and hands."""


def in_upper_body(name: str) -> bool:
    """Whether a keypoint of a person is of the upper body, by its name.

    >>> [in_upper_body(name) for name in ("left_wrist", "face-30", "right_thumb2", "left_big_toe")]
    [True, True, True, False]
    """
    return name in _UPPER or _FINE.fullmatch(name) is not None


def from_category(category: Mapping[str, Any]) -> Skeleton:
    """The skeleton of one entry of `categories`.

    Keypoints and bones are its `keypoints` and `skeleton` (`usable_bones`). Mirror pairs follow from the
    names (`mirror_pairs`); its optional list `mirror` (pairs of names, or of indices as in `skeleton`) adds to them, and its
    optional list `flip_idx` (for each keypoint the index, from 0, of the one that a flip makes of it) replaces them. Sigmas are
    its optional list `sigmas`, else they follow from the names (`sigmas_by_name`). Keypoints named and ordered like COCO's,
    MPII's or LSP's give that skeleton.

    Args:
        category: The entry, as it is in the file.

    Raises:
        AnnotationError: It has no keypoints, or mirror pairs cannot be.
        SkeletonMismatch: Names repeat, or the sigmas are not one positive number per keypoint.
    """
    label = str(category.get("name", category.get("id", "?")))
    given = category.get("keypoints") or ()
    names = tuple(str(n) for n in given) if isinstance(given, list | tuple) else ()
    if not names or not all(isinstance(n, str | int) for n in given):
        raise AnnotationError(f"category {label!r} names no keypoints; a keypoint file lists them under `keypoints`")
    standard = next((s for s in (COCO17, MPII16, LSP14) if s.keypoints == names), None)
    skeleton = _mirrored(standard or _new(label, names, category), label, category)
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
        upper=tuple(n for n in names if in_upper_body(n)),
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


def _mirrored(skeleton: Skeleton, label: str, category: Mapping[str, Any]) -> Skeleton:
    """The skeleton with the mirror pairs that the file itself states, by `flip_idx` or `mirror`."""
    if not category.get("flip_idx"):
        return skeleton.with_mirror(_stated_pairs(label, skeleton.keypoints, category.get("mirror") or []))
    pairs = _by_index(label, skeleton.keypoints, category["flip_idx"])
    same = {frozenset(pair) for pair in pairs} == {frozenset(pair) for pair in skeleton.mirror}
    return skeleton if same else replace(skeleton, mirror=pairs)


def _stated_pairs(label: str, names: tuple[str, ...], pairs: Any) -> tuple[Pair, ...]:
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise AnnotationError(f"category {label!r}: `mirror` must be a list of pairs of keypoints, found {str(pairs)[:80]}")
    numbers = all(type(k) is int for pair in pairs for k in pair)
    first = 0 if numbers and any(0 in pair for pair in pairs) else 1
    known: dict[Any, str] = dict(enumerate(names, start=first)) if numbers else {name: name for name in names}
    wrong = [k for pair in pairs for k in pair if not isinstance(k, str | int) or k not in known]
    if wrong:
        raise AnnotationError(
            f"category {label!r}: `mirror` names {wrong[0]!r}; give pairs of its keypoints, by name or by number from {first}"
        )
    first_of = {frozenset(pair): _sided(known[pair[0]], known[pair[1]]) for pair in reversed(pairs)}
    distinct = tuple(first_of.values())[::-1]
    if len({k for pair in distinct for k in pair}) < sum(len(set(pair)) for pair in distinct):
        raise AnnotationError(f"category {label!r}: `mirror` has a keypoint in two pairs; give each keypoint one partner")
    return distinct


def _by_index(label: str, names: tuple[str, ...], flip: Any) -> tuple[Pair, ...]:
    """The pairs of a list of partners; where it exchanges nothing, the first keypoint with itself says so."""
    indices = range(len(names))
    whole = isinstance(flip, list | tuple) and len(flip) == len(names) and all(type(i) is int and i in indices for i in flip)
    if not whole or any(flip[flip[i]] != i for i in indices):
        raise AnnotationError(
            f"category {label!r}: `flip_idx` must hold for each of the {len(names)} keypoints the index of its partner, from "
            f"0, and partners each other's; found {str(flip)[:80]}"
        )
    return tuple(_sided(names[i], names[flip[i]]) for i in indices if i < flip[i]) or ((names[0], names[0]),)


def _sided(a: str, b: str) -> Pair:
    """A pair with the left one first, where the names tell."""
    return next(iter(mirror_pairs((a, b))), (a, b))


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
