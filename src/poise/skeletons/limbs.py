"""Limbs: directed pairs of keypoints, for bottom-up models that assemble people from them (OffsetGuided, arXiv 2107.03098).

At the first keypoint of a limb the network predicts the offset to the second one. COCO's keypoints have the sets of
OffsetGuided's release: "16" (a tree), "19", "31", "44" and "redundant" (the limbs of "44" that are not in "19"). Every skeleton
has the sets made by rule:

- "bones": its bones and their flipped ones. If these do not connect all keypoints, also a limb from the centre of the largest
  component to the centre of each other component, and its flipped one.
- "tree": a spanning tree of "bones", grown from the centre. It is closed under the flip, except where a keypoint can be reached
  in two ways.
- "dense": "bones", all pairs at distance 2 in the graph of bones, and all left-right pairs.

By rule a limb points away from the centre of the graph: the keypoint with the smallest distance to the keypoint farthest from
it. Limbs nearer to the centre come first, so people are assembled from their centre when limbs are joined in this order.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from poise.errors import unknown
from poise.skeletons._skeleton import Skeleton
from poise.skeletons.coco import COCO17

Limb = tuple[int, int]
Limbs = tuple[Limb, ...]

_TREE = (
    (0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15), (6, 12),
    (12, 14), (14, 16),
)  # fmt: skip
_USUAL = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (5, 6), (4, 6), (3, 5), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12),
    (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
_MORE = (
    (1, 5), (2, 6), (5, 12), (6, 11), (11, 14), (12, 13), (5, 9), (6, 10), (11, 15), (12, 16), (5, 0), (6, 0),
)  # fmt: skip
_DENSER = (
    (0, 1), (0, 2), (1, 2), (0, 3), (0, 4), (3, 4), (0, 5), (0, 6), (1, 5), (2, 6), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6),
    (5, 11), (6, 12), (5, 12), (6, 11), (11, 12), (5, 7), (6, 8), (7, 9), (8, 10), (5, 9), (6, 10), (7, 8), (9, 10), (9, 11),
    (10, 12), (9, 13), (10, 14), (13, 11), (14, 12), (11, 14), (12, 13), (11, 15), (12, 16), (15, 13), (16, 14), (13, 16),
    (14, 15), (13, 14), (15, 16),
)  # fmt: skip


def limbs(skeleton: Skeleton, which: str | None = None) -> Limbs:
    """A set of limbs, as pairs of keypoint indices (from, to).

    Args:
        skeleton: The skeleton.
        which: Name of the set: "bones", "tree" or "dense"; for COCO's keypoints also "16", "19", "31", "44" and "redundant".
            By default "19" for COCO's keypoints, else "bones".

    Raises:
        UnknownName: The skeleton has no set of that name.

    >>> limbs(COCO17)[:3]
    ((0, 1), (0, 2), (1, 2))
    """
    sets = {"16": _TREE, "19": _USUAL, "31": _USUAL + _MORE, "44": _DENSER}
    sets["redundant"] = tuple(limb for limb in _DENSER if limb not in _USUAL)
    if skeleton.keypoints != COCO17.keypoints:
        sets = {}
    elif which is None:
        return _USUAL
    if which in sets:
        return sets[which]
    connected = _connected(skeleton)
    centre = _centre(range(len(skeleton)), connected, skeleton)
    if which is None or which == "bones":
        return _outwards(connected, centre, skeleton)
    if which == "tree":
        return _tree(_outwards(connected, centre, skeleton))
    if which == "dense":
        return _outwards(connected + _two_apart(connected) + list(_pairs(skeleton)), centre, skeleton)
    raise unknown(f"set of limbs of skeleton {skeleton.name!r} called", which, [*sets, "bones", "tree", "dense"])


def mirrored_limbs(limbs: Limbs, flip: Int64[Tensor, " k"]) -> tuple[Int64[Tensor, " l"], Bool[Tensor, " l"]]:
    """For each limb the index of the limb that a left-right flip makes of it.

    A flip reverses a limb between a left and a right keypoint, and the reversed limb is usually not in the set.

    Args:
        limbs: The limbs, as pairs of keypoint indices.
        flip: For each keypoint the index of its flipped one (`Skeleton.flip`).

    Returns:
        The index of the flipped limb, the limb's own index where the set does not have it; and True for those limbs.

    >>> index, alone = mirrored_limbs(((0, 1), (0, 2), (1, 2)), torch.tensor([0, 2, 1]))
    >>> index.tolist(), alone.tolist()
    ([1, 0, 2], [False, False, True])
    """
    position = {limb: i for i, limb in enumerate(limbs)}
    partner = [position.get((int(flip[a]), int(flip[b]))) for a, b in limbs]
    index = [own if other is None else other for own, other in enumerate(partner)]
    device = flip.device
    alone = torch.tensor([other is None for other in partner], dtype=torch.bool, device=device)
    return torch.tensor(index, dtype=torch.int64, device=device), alone


def _connected(skeleton: Skeleton) -> list[Limb]:
    """Bones, their flipped ones and links between components, as undirected pairs."""
    flip = skeleton.flip.tolist()
    found = _closed(skeleton.edges, flip)
    components = _components(range(len(skeleton)), found)
    components.sort(key=lambda component: (-len(component), min(component)))
    hub = _centre(components[0], found, skeleton)
    for component in components[1:]:
        if not any(hub in other and component <= other for other in _components(range(len(skeleton)), found)):
            found = _closed([*found, (hub, _centre(component, found, skeleton))], flip)
    return found


def _closed(pairs: Iterable[Limb], flip: list[int]) -> list[Limb]:
    """The pairs and their flipped ones, each once in one direction."""
    found: dict[frozenset[int], Limb] = {}
    for a, b in pairs:
        for one, other in ((a, b), (flip[a], flip[b])):
            if one != other:
                found.setdefault(frozenset((one, other)), (one, other))
    return list(found.values())


def _components(keypoints: Iterable[int], pairs: Iterable[Limb]) -> list[set[int]]:
    """The connected components of the keypoints."""
    components = [{keypoint} for keypoint in keypoints]
    for a, b in pairs:
        touched = [component for component in components if a in component or b in component]
        components = [component for component in components if component not in touched] + [set().union(*touched)]
    return components


def _centre(component: Iterable[int], pairs: list[Limb], skeleton: Skeleton) -> int:
    """The centre of a component: the keypoint of smallest eccentricity; of several one that a flip leaves, then the first."""
    flip = skeleton.flip.tolist()
    return min(component, key=lambda k: (max(_distances((k,), pairs).values()), flip[k] != k, k))


def _distances(sources: Iterable[int], pairs: Iterable[Limb]) -> dict[int, int]:
    """Distance of each keypoint from the nearest source, in limbs."""
    both = [step for a, b in pairs for step in ((a, b), (b, a))]
    found = dict.fromkeys(sources, 0)
    while reached := {b: found[a] + 1 for a, b in both if a in found and b not in found}:
        found |= reached
    return found


def _outwards(pairs: list[Limb], centre: int, skeleton: Skeleton) -> Limbs:
    """The pairs and their flipped ones as limbs that point away from the centre and its flipped keypoint, nearest first."""
    flip = skeleton.flip.tolist()
    bones = _connected(skeleton)
    depth = _distances({centre, flip[centre]}, bones)
    away = [min((a, b), (b, a), key=lambda limb: (depth[limb[0]], limb)) for a, b in pairs]
    found: dict[frozenset[int], Limb] = {}
    for a, b in away:
        for one, other in ((a, b), (flip[a], flip[b])):
            found.setdefault(frozenset((one, other)), (one, other))
    return tuple(sorted(found.values(), key=lambda limb: (depth[limb[0]], depth[limb[1]])))


def _tree(outwards: Limbs) -> Limbs:
    """The limbs that reach a keypoint which no earlier limb has reached."""
    kept: list[Limb] = []
    for limb in outwards:
        if all(not set(limb) <= component for component in _components({k for pair in [*kept, limb] for k in pair}, kept)):
            kept.append(limb)
    return tuple(kept)


def _two_apart(pairs: list[Limb]) -> list[Limb]:
    """All pairs of keypoints at distance 2."""
    near = {frozenset(pair) for pair in pairs}
    keypoints = sorted({k for pair in pairs for k in pair})
    distances = {k: _distances((k,), pairs) for k in keypoints}
    return [(a, b) for a in keypoints for b in keypoints if a < b and distances[a][b] == 2 and frozenset((a, b)) not in near]


def _pairs(skeleton: Skeleton) -> Iterable[Limb]:
    """All left-right pairs."""
    return ((a, b) for a, b in enumerate(skeleton.flip.tolist()) if a < b)
