"""Keypoints of one body as those of another: by name, by given pairs, and by analogy from a person to a four-legged animal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from poise.errors import InputError, SkeletonMismatch, unknown
from poise.skeletons._skeleton import Pair, Skeleton
from poise.skeletons.convert import keypoint_partners
from poise.skeletons.mirror import meaning_of

ANALOGIES = "analogies"
"""Word for the analogies of poise in place of a pair."""

_FOOT = ("paw", "hoof", "foot", "fetlock")

_ALIKE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "wrist": tuple(("front", name) for name in _FOOT),
    "hand": tuple(("front", name) for name in _FOOT),
    "ankle": tuple(("back", name) for name in _FOOT),
    "elbow": (("front", "knee"), ("front", "elbow"), ("", "elbow")),
    "knee": (("back", "knee"), ("back", "hock"), ("back", "elbow"), ("", "knee")),
    "shoulder": (("", "shoulder"), ("front", "shoulder"), ("front", "elbow")),
    "hip": (("", "hip"), ("back", "hip"), ("back", "thigh"), ("back", "elbow")),
    "nose": (("", "nose"), ("", "snout"), ("", "muzzle"), ("", "chin")),
    "eye": (("", "eye"),),
    "ear": (("", "ear"), ("", "earbase")),
    "neck": (("", "neck"), ("", "throat")),
    "upperneck": (("", "neck"), ("", "throat")),
    "thorax": (("", "withers"), ("", "wither")),
    "pelvis": (("", "tailbase"), ("", "rootoftail")),
}
"""For keypoints of people the end of the body and the name of those of animals that are like them, the most alike first.

A wrist is as a front paw and an elbow as a front knee by their place in the limb, although the bones are others: what is alike
is where the joint lies and how it looks at the end or in the middle of a limb.
"""


@final
@dataclass(frozen=True)
class KeypointMap:
    """Which keypoint of a source stands for which of a target, where names do not tell.

    Attributes:
        pairs: Names (source, target). One of the source may stand for several of the target.
        analogies: Whether keypoints of a person stand for those of a four-legged animal (`ANALOGIES`) where neither pairs nor
            names tell.
        used: Words of pairs, or `ANALOGIES`, that a data set has used, so that a model to start from need not know them.
    """

    pairs: tuple[Pair, ...] = ()
    analogies: bool = False
    used: frozenset[str] = frozenset()

    @classmethod
    def of(cls, words: Sequence[str]) -> "KeypointMap":
        """The map of words such as `left_wrist:left_front_paw`, and `analogies`.

        Raises:
            InputError: A word is no pair, or two pairs name one keypoint of the target.

        >>> KeypointMap.of(["left_wrist:left_front_paw", "analogies"]).pairs
        (('left_wrist', 'left_front_paw'),)
        """
        pairs = []
        for word in words:
            source, colon, target = word.partition(":")
            if word != ANALOGIES and not (colon and source.strip() and target.strip() and ":" not in target):
                raise InputError(
                    f"--map wants SOURCE:TARGET, such as left_wrist:left_front_paw, or {ANALOGIES}; found {word!r}"
                )
            pairs += [(source.strip(), target.strip())] if colon else []
        targets = [target for _, target in pairs]
        twice = sorted({name for name in targets if targets.count(name) > 1})
        if twice:
            raise InputError(f"--map gives {twice[0]} two keypoints; a keypoint of the new model starts from one")
        return cls(tuple(pairs), ANALOGIES in words)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the pairs, and `analogies`."""
        return (*(f"{source}:{target}" for source, target in self.pairs), *((ANALOGIES,) if self.analogies else ()))

    def partners(self, source: Skeleton, target: Skeleton) -> dict[str, str]:
        """For keypoints of `target` the one of `source` that stands for it: by the pairs, else by name, else by analogy.

        Args:
            source: The skeleton whose keypoints are taken.
            target: The skeleton wanted.

        Raises:
            SkeletonMismatch: A pair that no data set has used names a keypoint that there is not, or there is no analogy.
        """
        for name, other in self.pairs:
            _check(other, target, f"{name}:{other}")
            if f"{name}:{other}" not in self.used:
                _check(name, source, f"{name}:{other}")
        found = keypoint_partners(source, target)
        found |= {other: name for name, other in self.pairs if name in source.keypoints}
        if self.analogies:
            alike = _analogies(source, target, found)
            if not alike and ANALOGIES not in self.used:
                raise SkeletonMismatch(
                    f"--map {ANALOGIES}: no further keypoint of {source.name!r} ({', '.join(source.keypoints)}) is like one of "
                    f"{target.name!r} ({', '.join(target.keypoints)}); leave it out, or give pairs"
                )
            found |= alike
        return {name: found[name] for name in target.keypoints if name in found}

    def for_data(self, source: Skeleton, target: Skeleton) -> "KeypointMap":
        """The part of the map that a data set of the keypoints `source` uses: no pair that names others.

        Raises:
            SkeletonMismatch: A pair names a keypoint that `target` does not have.
        """
        for name, other in self.pairs:
            _check(other, target, f"{name}:{other}")
        pairs = tuple(pair for pair in self.pairs if pair[0] in source.keypoints)
        known = replace(self, pairs=pairs, analogies=False).partners(source, target)
        return replace(self, pairs=pairs, analogies=self.analogies and bool(_analogies(source, target, known)))

    def having_used(self, parts: Sequence["KeypointMap"]) -> "KeypointMap":
        """The map, whose words in `parts` data sets have used."""
        return replace(self, used=self.used.union(*(part.words for part in parts)))

    def check_used(self) -> None:
        """Refuse words that neither data nor a model to start from used.

        Raises:
            InputError: There are some.
        """
        idle = [word for word in self.words if word not in self.used]
        if idle:
            raise InputError(
                f"--map {' '.join(idle)} changes nothing: it renames keypoints of the model of --start, or of further "
                "annotation files, and there are none that it names; give --start, or leave it out"
            )


def _check(name: str, skeleton: Skeleton, word: str) -> None:
    if name not in skeleton.keypoints:
        raise SkeletonMismatch(f"--map {word}: in {skeleton.name!r} {unknown('keypoint', name, skeleton.keypoints)}")


def _analogies(source: Skeleton, target: Skeleton, known: Mapping[str, str]) -> dict[str, str]:
    """Keypoints of a person for those of an animal, each at most once, and none that is known already."""
    free = {meaning_of(name): name for name in target.keypoints if name not in known}
    found: dict[str, str] = {}
    for name in source.keypoints:
        *sides, part = meaning_of(name)
        likes = () if name in known.values() else _ALIKE.get(part, ())
        places = [(*sides, *((end,) if end else ()), like) for end, like in likes]
        place = next((place for place in places if place in free), None)
        if place is not None:
            found[free.pop(place)] = name
    return found
