"""The type of a skeleton: keypoints by name, bones, left-right pairs and OKS sigmas."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from jaxtyping import Int64
from torch import Tensor

from poise.errors import SkeletonMismatch

Pair = tuple[str, str]


@final
@dataclass(frozen=True)
class Skeleton:
    """The keypoints of a data set.

    Attributes:
        name: Name of the skeleton.
        keypoints: Names of the keypoints, in the order of the k axis of every tensor.
        bones: Pairs of keypoint names that are drawn as lines.
        mirror: Pairs of names (left, right) that a flip exchanges; other keypoints stay. If a flip exchanges none, give a pair
            of one keypoint with itself. Without any pair the exchange is unknown, and nothing is mirrored (`mirrors`).
        sigmas: OKS sigma of each keypoint: the standard deviation of repeated annotations, divided by the object's scale.
        upper: Names of the upper-body keypoints, for half-body augmentation.
        sigma_source: Source of the sigmas, a sentence for reports.

    Raises:
        SkeletonMismatch: A name repeats, a pair names a keypoint that does not exist, or the sigmas are not one positive number
            per keypoint.
    """

    name: str
    keypoints: tuple[str, ...]
    bones: tuple[Pair, ...] = ()
    mirror: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] = ()
    upper: tuple[str, ...] = ()
    sigma_source: str = "given"

    def __post_init__(self) -> None:
        """Check names, pairs and sigmas."""
        if not self.keypoints:
            raise SkeletonMismatch(f"skeleton {self.name!r} has no keypoints; it needs at least one")
        repeated = sorted({n for n in self.keypoints if self.keypoints.count(n) > 1})
        if repeated:
            raise SkeletonMismatch(f"skeleton {self.name!r} names {repeated} more than once; names must differ")
        named = {n for pair in self.bones + self.mirror for n in pair} | set(self.upper)
        unknown = named - set(self.keypoints)
        if unknown:
            raise SkeletonMismatch(
                f"skeleton {self.name!r}: bones, mirror pairs or upper body name {sorted(unknown)}, "
                f"which are not among its {len(self.keypoints)} keypoints"
            )
        mirrored = [n for pair in self.mirror for n in set(pair)]
        if len(set(mirrored)) != len(mirrored):
            raise SkeletonMismatch(f"skeleton {self.name!r}: a keypoint is in two mirror pairs")
        if len(self.sigmas) != len(self.keypoints):
            raise SkeletonMismatch(
                f"skeleton {self.name!r} has {len(self.sigmas)} sigmas for {len(self.keypoints)} keypoints; one each is needed"
            )
        if not all(0 < s < float("inf") for s in self.sigmas):
            raise SkeletonMismatch(f"skeleton {self.name!r}: every sigma must be above 0 and finite, found {self.sigmas}")

    def __len__(self) -> int:
        """Number of keypoints, k."""
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """Index of a keypoint on the k axis.

        Args:
            name: Name of the keypoint.

        Raises:
            SkeletonMismatch: There is no keypoint of that name.
        """
        if name not in self.keypoints:
            raise SkeletonMismatch(f"skeleton {self.name!r} has no keypoint {name!r}; it has {', '.join(self.keypoints)}")
        return self.keypoints.index(name)

    @cached_property
    def flip(self) -> Int64[Tensor, " k"]:
        """For each keypoint the index of the one that a left-right flip makes of it."""
        partner = {a: b for pair in self.mirror for a, b in (pair, pair[::-1])}
        with torch.inference_mode(False):  # it is kept, and training may need it after a prediction asked first
            return torch.tensor([self.keypoints.index(partner.get(n, n)) for n in self.keypoints])

    @property
    def mirrors(self) -> bool:
        """Whether it is known what a left-right flip exchanges: there are pairs, or one keypoint alone.

        Where it is not, neither training views nor tests are mirrored.
        """
        return len(self) == 1 or bool(self.mirror)

    @property
    def unpaired(self) -> tuple[str, ...]:
        """The keypoints that a flip leaves as they are, because they are in no pair."""
        paired = {name for pair in self.mirror if len(set(pair)) == 2 for name in pair}
        return tuple(name for name in self.keypoints if name not in paired)

    @property
    def mirror_text(self) -> str:
        """The keypoints that a mirror image exchanges and those it does not, as text; or how to declare them where unknown."""
        if not self.mirrors:
            return (
                f"nothing is mirrored, in training and tests: of {_few(self.keypoints)} none is known as the left or right of "
                "another; --mirror A:B C:D or `mirror` in the file's category names pairs (A:A where a mirror exchanges none)"
            )
        pairs = [f"{a} - {b}" for a, b in self.mirror if a != b]
        left = f"leave alone {_few(self.unpaired)}" if self.unpaired else "leave none alone"
        return f"mirrored views exchange {_few(pairs)} and {left}" if pairs else "mirrored views exchange no keypoints"

    def with_mirror(self, pairs: Sequence[Pair]) -> "Skeleton":
        """The skeleton with further mirror pairs; earlier pairs of the same keypoints give way.

        Args:
            pairs: Names (left, right), or a keypoint with itself.

        Raises:
            SkeletonMismatch: A name is no keypoint, or is in two of the pairs.
        """
        given = {name for pair in pairs for name in pair}
        kept = tuple(pair for pair in self.mirror if given.isdisjoint(pair))
        return replace(self, mirror=(*kept, *pairs)) if pairs else self

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The bones as pairs of keypoint indices."""
        return tuple((self.keypoints.index(a), self.keypoints.index(b)) for a, b in self.bones)

    def check_flip(self) -> None:
        """Refuse the flip test where it is unknown which keypoints a flip exchanges.

        Raises:
            SkeletonMismatch: There are several keypoints and no mirror pair.
        """
        if not self.mirrors:
            raise SkeletonMismatch(
                "the flip test averages with the flipped view and must know which keypoints a flip exchanges, but skeleton "
                f"{self.name!r} has no mirror pairs; give it some before training (`mirror`, or names with left_ and right_ in "
                "a COCO file, or --mirror A:B; a keypoint paired with itself if none is exchanged), or turn the flip test off "
                "(--no-flip, flip=False)"
            )


SHOWN = 12
"""Names that a sentence lists."""


def _few(names: Sequence[str]) -> str:
    """Names in a sentence, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
