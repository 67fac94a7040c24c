"""The views of a data set as a torch data set: cut in worker processes, each depending on seed, epoch and index alone.

Any number of workers gives the same views, and a run can go on from the middle of an epoch.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, final, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import ImageError
from poise.notes import Counted
from poise.structures import Sample

ViewIndex = tuple[int, int]
"""Epoch, and index in the list of views."""

V = TypeVar("V")
"""A view: `structures.View`, `scenes.SceneView`, or a type of a model's own."""


@runtime_checkable
class AnyBatch(Protocol):
    """A batch of views: a frozen dataclass with images of one size, which can be moved and pinned."""

    @property
    def images(self) -> Tensor:
        """The views (b 3 h w), normalised."""

    def __len__(self) -> int:
        """Number of views."""

    def to(self, *args: Any, **kwargs: Any) -> "AnyBatch":
        """The batch moved as by `Tensor.to`."""

    def pin_memory(self) -> "AnyBatch":
        """The batch in page-locked memory."""


B = TypeVar("B", bound=AnyBatch)
"""A batch of views: `structures.Batch`, `scenes.SceneBatch`, or a type of a model's own."""

_TRIES = 10


@final
@dataclass(frozen=True, eq=False)
class LoadedBatch(Generic[B]):
    """A batch of a loader, the indices of its views, and the seconds it took.

    Attributes:
        batch: Views of one size, stacked.
        indices: Indices of these views in the list of views.
        read: Seconds of reading and decoding images.
        warp: Seconds of warping views.
        bad: Messages about images that could not be read.
        counted: What was counted while they were read (`notes.take_counted`).
    """

    batch: B
    indices: tuple[int, ...]
    read: float
    warp: float
    bad: tuple[str, ...] = ()
    counted: tuple[Counted, ...] = ()

    def to(self, *args: Any, **kwargs: Any) -> "LoadedBatch[B]":
        """The batch moved as by `Tensor.to`; Lightning asks for this."""
        return replace(self, batch=self.batch.to(*args, **kwargs))  # type: ignore[arg-type]  # the same type of batch

    def pin_memory(self) -> "LoadedBatch[B]":
        """The batch in page-locked memory."""
        return replace(self, batch=self.batch.pin_memory())  # type: ignore[arg-type]  # the same


@final
@dataclass(frozen=True, eq=False)
class TimedView(Generic[V]):
    """One view, the seconds it took, and messages about images that could not be read."""

    view: V
    index: int
    read: float
    warp: float
    bad: tuple[str, ...] = ()


class AnyViews(ABC, TorchDataset[TimedView[V]], Generic[V, B]):
    """What a loader needs of views: `ViewDataset`, or several of them together (`adaptation.joint`)."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of views in an epoch."""

    @abstractmethod
    def __getitem__(self, where: ViewIndex) -> TimedView[V]:
        """The view of one index in one epoch, the same whenever it is asked for.

        Raises:
            ImageError: Its image, and those of views after it, cannot be read.
        """

    @abstractmethod
    def collate(self, cuts: list[TimedView[V]]) -> LoadedBatch[B]:
        """Views to one batch whose images are channels-last."""


class ViewDataset(AnyViews[V, B]):
    """The views of a data set, by (epoch, index).

    Args:
        dataset: Data set of the images.
        seed: Seed of all random choices.
    """

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    @abstractmethod
    def __len__(self) -> int:
        """Number of views in an epoch."""

    @abstractmethod
    def image(self, index: int) -> int:
        """Index of the image in the data set that a view shows."""

    def sample(self, image: int) -> Sample:
        """Image and labels of an image of the data set, with what else the views need."""
        return self.dataset[image]

    @abstractmethod
    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> V:
        """The view of that index, from its sample; the generator makes all random choices."""

    @abstractmethod
    def stack(self, views: list[V]) -> B:
        """Views to one batch."""

    @final
    def __getitem__(self, where: ViewIndex) -> TimedView[V]:
        """The view of one index in one epoch; where its image cannot be read, that of the next whose image can.

        Raises:
            ImageError: None of ten images in a row can be read.
        """
        epoch, index = where
        bad: list[str] = []
        broken: set[int] = set()  # the next views may be of the same image
        for offset in range(len(self)):
            view = (index + offset) % len(self)
            if self.image(view) in broken:
                continue
            try:
                return self._timed(epoch, view, tuple(bad))
            except ImageError as error:
                bad.append(str(error))
                broken.add(self.image(view))
            if len(bad) == _TRIES:
                break
        raise ImageError(f"{len(bad)} images in a row cannot be read; the first: {bad[0]}")

    def _timed(self, epoch: int, index: int, bad: tuple[str, ...]) -> TimedView[V]:
        begin = time.perf_counter()
        sample = self.sample(self.image(index))
        middle = time.perf_counter()
        view = self.cut(sample, index, torch.Generator().manual_seed(mixed_seed(self.seed, epoch, index)))
        return TimedView(view, index, middle - begin, time.perf_counter() - middle, bad)

    @final
    def collate(self, cuts: list[TimedView[V]]) -> LoadedBatch[B]:
        """Views to one batch whose images are channels-last."""
        batch = self.stack([c.view for c in cuts])
        images = batch.images.contiguous(memory_format=torch.channels_last)
        batch = replace(batch, images=images)  # type: ignore[type-var]  # every batch is a dataclass
        bad = tuple(message for c in cuts for message in c.bad)
        return LoadedBatch(batch, tuple(c.index for c in cuts), sum(c.read for c in cuts), sum(c.warp for c in cuts), bad)


def mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers, without a pattern (the finaliser of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


@final
@dataclass(frozen=True, eq=False)
class TrainData:
    """Data and augmentation of a recipe's training views.

    Attributes:
        name: Name of the recipe, for messages.
        dataset: Data set of the images.
        augmentation: Augmentation of training views, of the model's `augmentation_type`; None for none.
        size: Size of training views (h, w), pixels, of models for whole images; None for the model's own.
        select: Whether people whose keypoints lie off the middle of their box are left out (HRNet's SELECT_DATA).
        empty: Whether detectors are also trained on images without labelled people.
    """

    name: str
    dataset: Dataset
    augmentation: Any | None = None
    size: Size | None = None
    select: bool = False
    empty: bool = False

    def no_people_message(self) -> str:
        """The message for data without a person to train on."""
        return (
            f"none of the {len(self.dataset)} images has a person with a labelled keypoint and a box of positive size; "
            "`poise data check` tells why"
        )
