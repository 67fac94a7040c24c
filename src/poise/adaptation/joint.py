"""Views of several data sets in one batch: a labelled source and an unlabelled target, or more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.models.views.base import AnyViews, LoadedBatch, TimedView, ViewIndex, mixed_seed
from poise.structures import Batch, Key

EpochLength = Literal["longest", "shortest"]
"""Which of the joined views makes the length of an epoch: "shortest" as CC-SSL's release, whose loops are zipped."""

SOURCE, TARGET = "source", "target"


@final
@dataclass(frozen=True, eq=False)
class JointBatch:
    """A batch of each of the joined data sets, by name: "source", "target", ...

    Attributes:
        parts: Batches of equal length.
    """

    parts: Mapping[str, Batch]

    def __len__(self) -> int:
        """Number of views of each part."""
        return len(next(iter(self.parts.values())))

    @property
    def images(self) -> Float[Tensor, "b 3 h w"]:
        """The views of all parts, one part after the other."""
        return torch.cat([part.images for part in self.parts.values()])

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the images of all views, in the order of `images`."""
        return tuple(key for part in self.parts.values() for key in part.keys)

    @property
    def source(self) -> Batch:
        """The labelled part."""
        return self.parts[SOURCE]

    @property
    def target(self) -> Batch:
        """The unlabelled part."""
        return self.parts[TARGET]

    def to(self, *args: Any, **kwargs: Any) -> "JointBatch":
        """The batch moved as by `Tensor.to`."""
        return replace(self, parts={name: part.to(*args, **kwargs) for name, part in self.parts.items()})

    def pin_memory(self) -> "JointBatch":
        """The batch in page-locked memory."""
        return replace(self, parts={name: part.pin_memory() for name, part in self.parts.items()})


@final
class JointViews(AnyViews[tuple[TimedView[Any], ...], JointBatch]):
    """Views of several data sets, one of each at every index.

    Each part is gone through in a random order of its own, which depends on seed and epoch alone, and from its start again,
    in another order and with other chances, where another part is longer.

    Args:
        parts: Views by name; all of one size.
        length: Views of an epoch: those of the longest part, of the shortest, or a number.
        seed: Seed of the orders.
        tied: Parts that show the same people in the same order as another one, by name: "teacher" as "target".

    Raises:
        InputError: There are no parts, a length below 1, or tied parts of different lengths.
    """

    def __init__(
        self,
        parts: Mapping[str, AnyViews[Any, Batch]],
        *,
        seed: int,
        length: EpochLength | int = "longest",
        tied: Mapping[str, str] | None = None,
    ) -> None:
        if not parts:
            raise InputError("joining views needs at least one data set, found none")
        if isinstance(length, int) and length < 1:
            raise InputError(f"an epoch has at least 1 view, not {length}")
        self.parts = dict(parts)
        self.seed = seed
        names, same = list(parts), dict(tied or {})
        if any(len(parts[name]) != len(parts[other]) for name, other in same.items()):
            raise InputError(f"tied views show the same people, and {same} have different numbers of them")
        self._orders = [names.index(same.get(name, name)) for name in names]
        self.length = length if isinstance(length, int) else epoch_length([len(part) for part in parts.values()], length)

    def __len__(self) -> int:
        """Number of views of each part in an epoch."""
        return self.length

    def place(self, part: int, where: ViewIndex) -> ViewIndex:
        """Which view of a part stands at an index, and its epoch, which gives it its chances.

        Args:
            part: Number of the part.
            where: Epoch and index among these views.
        """
        epoch, index = where
        size = len(list(self.parts.values())[part])
        rounds = -(-self.length // size)
        number = epoch * rounds + index // size
        return number, _order(mixed_seed(self.seed, self._orders[part], number), size)[index % size]

    def __getitem__(self, where: ViewIndex) -> TimedView[tuple[TimedView[Any], ...]]:
        """A view of each part.

        Raises:
            ImageError: Images of a part cannot be read.
        """
        views = tuple(part[self.place(i, where)] for i, part in enumerate(self.parts.values()))
        bad = tuple(message for view in views for message in view.bad)
        return TimedView(views, where[1], sum(v.read for v in views), sum(v.warp for v in views), bad)

    def collate(self, cuts: list[TimedView[tuple[TimedView[Any], ...]]]) -> LoadedBatch[JointBatch]:
        """A batch of each part."""
        loaded = {name: part.collate([cut.view[i] for cut in cuts]) for i, (name, part) in enumerate(self.parts.items())}
        batch = JointBatch({name: one.batch for name, one in loaded.items()})
        read, warp = (sum(getattr(one, name) for one in loaded.values()) for name in ("read", "warp"))
        return LoadedBatch(batch, tuple(cut.index for cut in cuts), read, warp, tuple(m for cut in cuts for m in cut.bad))


def epoch_length(sizes: Sequence[int], length: EpochLength) -> int:
    """Views of an epoch of parts with so many views."""
    return max(sizes) if length == "longest" else min(sizes)


@lru_cache(maxsize=64)
def _order(seed: int, size: int) -> Sequence[int]:
    order: list[int] = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
