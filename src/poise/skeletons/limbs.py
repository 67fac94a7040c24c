"""Which keypoints point at which, for models that put people together from limbs (OffsetGuided, arXiv 2107.03098).

A limb goes from one keypoint to another; where the first one is, a network says where the second one is. COCO's keypoints have
the sets of OffsetGuided's release: "16" (a tree), "19", "31", "44" and "redundant" (those of "44" that "19" has not). Every
skeleton has the sets made by rule:

- "bones": its bones; what a mirror makes of them; and where these leave it in pieces, a link from the middle of the largest
  piece to the middle of each other one, and what a mirror makes of it.
- "tree": the fewest of these that hold every keypoint, found from the middle outwards, so closed under the mirror but where a
  keypoint can be reached in two ways.
- "dense": "bones", and whatever is two of them apart, and the pairs that a mirror exchanges.

By rule a limb leads away from the middle, the keypoint from which the farthest is nearest; the nearer limbs come first, so that
people grow from their middle when limbs are joined in their order.
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
    """A set of limbs, as places of keypoints (from, to).

    Args:
        skeleton: Whose keypoints.
        which: "bones", "tree" or "dense"; for COCO's keypoints also "16", "19", "31", "44" and "redundant". By default "19"
            for COCO's keypoints, else "bones".

    Raises:
        UnknownName: The skeleton has no such set.

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
    joined = _joined(skeleton)
    middle = _middle(range(len(skeleton)), joined, skeleton)
    if which is None or which == "bones":
        return _outwards(joined, middle, skeleton)
    if which == "tree":
        return _tree(_outwards(joined, middle, skeleton))
    if which == "dense":
        return _outwards(joined + _two_apart(joined) + list(_pairs(skeleton)), middle, skeleton)
    raise unknown(f"set of limbs of skeleton {skeleton.name!r} called", which, [*sets, "bones", "tree", "dense"])


def mirrored_limbs(limbs: Limbs, flip: Int64[Tensor, " k"]) -> tuple[Int64[Tensor, " l"], Bool[Tensor, " l"]]:
    """For each limb the place of the one it becomes in a mirror; and which ones become none, so that they stand at their own.

    Between a left and a right keypoint a mirror turns a limb round: it then leads where no map of the mirrored view says.

    >>> index, alone = mirrored_limbs(((0, 1), (0, 2), (1, 2)), torch.tensor([0, 2, 1]))
    >>> index.tolist(), alone.tolist()
    ([1, 0, 2], [False, False, True])
    """
    places = {limb: number for number, limb in enumerate(limbs)}
    partner = [places.get((int(flip[a]), int(flip[b]))) for a, b in limbs]
    index = [own if other is None else other for own, other in enumerate(partner)]
    device = flip.device
    alone = torch.tensor([other is None for other in partner], dtype=torch.bool, device=device)
    return torch.tensor(index, dtype=torch.int64, device=device), alone


def _joined(skeleton: Skeleton) -> list[Limb]:
    """Bones, their mirrored ones and links between pieces, in no direction."""
    flip = skeleton.flip.tolist()
    found = _closed(skeleton.edges, flip)
    pieces = _pieces(range(len(skeleton)), found)
    pieces.sort(key=lambda piece: (-len(piece), min(piece)))
    hub = _middle(pieces[0], found, skeleton)
    for piece in pieces[1:]:
        if not any(hub in part and piece <= part for part in _pieces(range(len(skeleton)), found)):
            found = _closed([*found, (hub, _middle(piece, found, skeleton))], flip)
    return found


def _closed(pairs: Iterable[Limb], flip: list[int]) -> list[Limb]:
    """The pairs and the mirrored ones, each once in one direction."""
    found: dict[frozenset[int], Limb] = {}
    for a, b in pairs:
        for one, other in ((a, b), (flip[a], flip[b])):
            if one != other:
                found.setdefault(frozenset((one, other)), (one, other))
    return list(found.values())


def _pieces(keypoints: Iterable[int], pairs: Iterable[Limb]) -> list[set[int]]:
    """Which keypoints hang together."""
    pieces = [{keypoint} for keypoint in keypoints]
    for a, b in pairs:
        touched = [piece for piece in pieces if a in piece or b in piece]
        pieces = [piece for piece in pieces if piece not in touched] + [set().union(*touched)]
    return pieces


def _middle(piece: Iterable[int], pairs: list[Limb], skeleton: Skeleton) -> int:
    """The keypoint from which the farthest of its piece is nearest; of several the one a mirror leaves, then the first."""
    flip = skeleton.flip.tolist()
    return min(piece, key=lambda k: (max(_distances((k,), pairs).values()), flip[k] != k, k))


def _distances(sources: Iterable[int], pairs: Iterable[Limb]) -> dict[int, int]:
    """How many limbs each keypoint is away from the nearest source."""
    both = [step for a, b in pairs for step in ((a, b), (b, a))]
    found = dict.fromkeys(sources, 0)
    while reached := {b: found[a] + 1 for a, b in both if a in found and b not in found}:
        found |= reached
    return found


def _outwards(pairs: list[Limb], middle: int, skeleton: Skeleton) -> Limbs:
    """The pairs and their mirrored ones as limbs that lead away from the middle and its mirrored keypoint, nearest first."""
    flip = skeleton.flip.tolist()
    bones = _joined(skeleton)
    depth = _distances({middle, flip[middle]}, bones)
    away = [min((a, b), (b, a), key=lambda limb: (depth[limb[0]], limb)) for a, b in pairs]
    found: dict[frozenset[int], Limb] = {}
    for a, b in away:
        for one, other in ((a, b), (flip[a], flip[b])):
            found.setdefault(frozenset((one, other)), (one, other))
    return tuple(sorted(found.values(), key=lambda limb: (depth[limb[0]], depth[limb[1]])))


def _tree(outwards: Limbs) -> Limbs:
    """The limbs that reach a keypoint no earlier one has reached."""
    kept: list[Limb] = []
    for limb in outwards:
        if all(not set(limb) <= piece for piece in _pieces({k for pair in [*kept, limb] for k in pair}, kept)):
            kept.append(limb)
    return tuple(kept)


def _two_apart(pairs: list[Limb]) -> list[Limb]:
    """What is two limbs apart."""
    near = {frozenset(pair) for pair in pairs}
    keypoints = sorted({k for pair in pairs for k in pair})
    distances = {k: _distances((k,), pairs) for k in keypoints}
    return [(a, b) for a in keypoints for b in keypoints if a < b and distances[a][b] == 2 and frozenset((a, b)) not in near]


def _pairs(skeleton: Skeleton) -> Iterable[Limb]:
    """What a mirror exchanges."""
    return ((a, b) for a, b in enumerate(skeleton.flip.tolist()) if a < b)
