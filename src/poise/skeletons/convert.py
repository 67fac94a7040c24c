"""Conversions between skeletons: keypoints matched by name, unions, subsets."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.errors import SkeletonMismatch
from poise.skeletons._skeleton import Skeleton
from poise.skeletons.mirror import meaning_of


def keypoint_indices(source: Skeleton, target: Skeleton) -> tuple[int, ...]:
    """For each keypoint of `target` its index in `source`, -1 where `source` does not have it.

    Args:
        source: The skeleton that is indexed.
        target: The skeleton whose keypoints are looked up by name.
    """
    known = {name: i for i, name in enumerate(source.keypoints)}
    return tuple(known.get(name, -1) for name in target.keypoints)


def keypoint_partners(source: Skeleton, target: Skeleton) -> dict[str, str]:
    """For keypoints of `target` the one of `source` that means the same: of equal name, or of a name spelled otherwise.

    `L_F_Paw`, `frontLeftPaw` and `left_front_paw` are the same; a name that could mean two keypoints means none.

    Args:
        source: The skeleton whose keypoints are looked up.
        target: The skeleton whose keypoints look for them.
    """
    equal = [name for name in target.keypoints if name in source.keypoints]
    old = _by_meaning(name for name in source.keypoints if name not in equal)
    new = _by_meaning(name for name in target.keypoints if name not in equal)
    spelled = {name: old[meaning] for meaning, name in new.items() if meaning in old}
    return {name: name if name in equal else spelled[name] for name in target.keypoints if name in equal or name in spelled}


def _by_meaning(names: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Names by what they mean, without those that share a meaning."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        found.setdefault(meaning_of(name), []).append(name)
    return {meaning: alike[0] for meaning, alike in found.items() if len(alike) == 1}


def check_shared(source: Skeleton, target: Skeleton) -> None:
    """Refuse two skeletons that share no keypoint.

    Raises:
        SkeletonMismatch: No name is in both.
    """
    if set(source.keypoints).isdisjoint(target.keypoints):
        raise SkeletonMismatch(
            f"skeletons {source.name!r} and {target.name!r} share no keypoint: "
            f"{', '.join(source.keypoints)} against {', '.join(target.keypoints)}"
        )


def convert(
    xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], *, source: Skeleton, target: Skeleton
) -> tuple[Float[Tensor, "n k2 2"], Int64[Tensor, "n k2"]]:
    """Keypoints of one skeleton as those of another, matched by name.

    Args:
        xy: Positions in the order of `source`, pixels.
        visible: Visibility in the order of `source`: 0 not labelled, 1 hidden, 2 visible.
        source: The skeleton of `xy` and `visible`.
        target: The skeleton wanted.

    Returns:
        Positions and visibility in the order of `target`; keypoints that `source` does not have are not labelled (0).

    Raises:
        SkeletonMismatch: The skeletons share no keypoint.
    """
    check_shared(source, target)
    index = torch.tensor(keypoint_indices(source, target))
    known = index >= 0
    index = index.clamp(min=0)
    return xy[:, index] * known[:, None].to(xy), visible[:, index] * known


def select(skeleton: Skeleton, names: Sequence[str], *, name: str | None = None) -> Skeleton:
    """The skeleton of some of the keypoints; bones and pairs of which one end is left out are removed.

    Args:
        skeleton: The skeleton to take them from.
        names: Names of the keypoints, in the order wanted.
        name: Name of the new skeleton; by default the old name and the number of keypoints.

    Raises:
        SkeletonMismatch: A name is not one of the skeleton's.
    """
    index = [skeleton.index(n) for n in names]
    kept = set(names)
    return Skeleton(
        name=name or f"{skeleton.name}-{len(names)}",
        keypoints=tuple(names),
        bones=tuple(pair for pair in skeleton.bones if kept.issuperset(pair)),
        mirror=tuple(pair for pair in skeleton.mirror if kept.issuperset(pair)),
        sigmas=tuple(skeleton.sigmas[i] for i in index),
        upper=tuple(n for n in skeleton.upper if n in kept),
        sigma_source=skeleton.sigma_source,
    )


def union(skeletons: Sequence[Skeleton], *, name: str | None = None) -> Skeleton:
    """All keypoints of several skeletons, matched by name, in the order of first appearance.

    Args:
        skeletons: At least one. Where two have different sigmas for one keypoint, the first one's is kept.
        name: Name of the new skeleton; by default the names joined by "+".

    Raises:
        SkeletonMismatch: `skeletons` is empty, or they have different left-right pairs for one keypoint.
    """
    if not skeletons:
        raise SkeletonMismatch("a union needs at least one skeleton, found none")
    first = skeletons[0]
    if all(s.keypoints == first.keypoints for s in skeletons):
        return first
    sigmas = {n: v for s in reversed(skeletons) for n, v in zip(s.keypoints, s.sigmas, strict=True)}
    names = tuple(dict.fromkeys(n for s in skeletons for n in s.keypoints))
    return Skeleton(
        name=name or "+".join(dict.fromkeys(s.name for s in skeletons)),
        keypoints=names,
        bones=tuple({frozenset(p): p for s in reversed(skeletons) for p in s.bones}.values()),
        mirror=_mirror(skeletons),
        sigmas=tuple(sigmas[n] for n in names),
        upper=tuple(dict.fromkeys(n for s in skeletons for n in s.upper)),
        sigma_source="; ".join(dict.fromkeys(f"{s.name}: {s.sigma_source}" for s in skeletons)),
    )


def _mirror(skeletons: Sequence[Skeleton]) -> tuple[tuple[str, str], ...]:
    pairs = dict.fromkeys(p for s in skeletons for p in s.mirror)
    partners: dict[str, set[str]] = {}
    for a, b in pairs:
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    conflicting = sorted(n for n, p in partners.items() if len(p) > 1)
    if conflicting:
        raise SkeletonMismatch(
            f"skeletons {', '.join(s.name for s in skeletons)} disagree about the mirror partner of {', '.join(conflicting)}; "
            f"rename these keypoints in one of the files"
        )
    return tuple({frozenset(p): p for p in reversed(pairs)}.values())[::-1]
