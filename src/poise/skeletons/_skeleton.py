"""The type of a skeleton: which keypoints there are and how they belong together."""

from dataclasses import dataclass
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
    """Keypoints by name.

    Attributes:
        name: Of the skeleton.
        keypoints: Their names, in the order of every tensor.
        bones: Pairs to draw a line between.
        mirror: Pairs (left, right) that a mirror exchanges; the others stay. Where none is exchanged a pair of a keypoint with
            itself says so; without any pair nothing is known, and there is no flip test (`check_flip`).
        sigmas: Of OKS, one per keypoint: the deviation of repeated annotations over the object's scale.
        upper: The upper body, for half-body augmentation.
        sigma_source: Where the sigmas are from, for reports.

    Raises:
        SkeletonMismatch: A name that repeats, a pair that names what is not there, sigmas of another count or not positive.
    """

    name: str
    keypoints: tuple[str, ...]
    bones: tuple[Pair, ...] = ()
    mirror: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] = ()
    upper: tuple[str, ...] = ()
    sigma_source: str = "given"

    def __post_init__(self) -> None:
        """Check that everything fits."""
        if not self.keypoints:
            raise SkeletonMismatch(f"skeleton {self.name!r} has no keypoints; it needs at least one")
        repeated = sorted({n for n in self.keypoints if self.keypoints.count(n) > 1})
        if repeated:
            raise SkeletonMismatch(f"skeleton {self.name!r} names {repeated} more than once; every name must be its own")
        named = {n for pair in self.bones + self.mirror for n in pair} | set(self.upper)
        unknown = named - set(self.keypoints)
        if unknown:
            raise SkeletonMismatch(
                f"skeleton {self.name!r}: bones, mirror pairs or upper body name {sorted(unknown)}, "
                f"which are not among its {len(self.keypoints)} keypoints"
            )
        mirrored = [n for pair in self.mirror for n in set(pair)]
        if len(set(mirrored)) != len(mirrored):
            raise SkeletonMismatch(f"skeleton {self.name!r}: a keypoint stands in two mirror pairs")
        if len(self.sigmas) != len(self.keypoints):
            raise SkeletonMismatch(
                f"skeleton {self.name!r} has {len(self.sigmas)} sigmas for {len(self.keypoints)} keypoints; one each is needed"
            )
        if not all(0 < s < float("inf") for s in self.sigmas):
            raise SkeletonMismatch(f"skeleton {self.name!r}: every sigma must be above 0 and finite, found {self.sigmas}")

    def __len__(self) -> int:
        """How many keypoints."""
        return len(self.keypoints)

    def index(self, name: str) -> int:
        """The place of a keypoint.

        Raises:
            SkeletonMismatch: There is none of that name.
        """
        if name not in self.keypoints:
            raise SkeletonMismatch(f"skeleton {self.name!r} has no keypoint {name!r}; it has {', '.join(self.keypoints)}")
        return self.keypoints.index(name)

    @cached_property
    def flip(self) -> Int64[Tensor, " k"]:
        """For each keypoint the place of the one it becomes in a mirror."""
        partner = {a: b for pair in self.mirror for a, b in (pair, pair[::-1])}
        return torch.tensor([self.keypoints.index(partner.get(n, n)) for n in self.keypoints])

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The bones as places."""
        return tuple((self.keypoints.index(a), self.keypoints.index(b)) for a, b in self.bones)

    def check_flip(self) -> None:
        """Refuse the flip test where nobody has said which keypoints a mirror exchanges.

        Raises:
            SkeletonMismatch: Several keypoints, and no pair of them.
        """
        if len(self) > 1 and not self.mirror:
            raise SkeletonMismatch(
                "the flip test averages with the mirrored view and must know which keypoints a mirror exchanges, but skeleton "
                f"{self.name!r} has no mirror pairs; give it some (`mirror`, or names with left_ and right_ in a COCO "
                "file; a keypoint paired with itself if none is exchanged), or turn the flip test off (--no-flip, flip=False)"
            )
