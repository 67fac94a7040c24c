"""Views for a training loop: which comes when, cut how, on how many processes.

Every view depends on (seed, epoch, place in the list of views) alone: any number of workers gives the same views, and a
run can go on from the middle of an epoch.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, final

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from poise.data.base import Dataset
from poise.errors import ImageError, PoiseError
from poise.scenes import SceneBatch, SceneView
from poise.structures import Batch, Sample, View

Place = tuple[int, int]
"""Epoch, and place in the list of views."""

V = TypeVar("V", View, SceneView)
B = TypeVar("B", Batch, SceneBatch)

_TRIES = 10


@final
@dataclass(frozen=True, eq=False)
class LoadedBatch(Generic[B]):
    """What a loader hands over: a batch, where its views stand in the list, and the seconds it took.

    Attributes:
        batch: The views.
        places: In the list of views.
        read: Seconds of reading and decoding images.
        warp: Seconds of cutting views.
        bad: What could not be read, and why.
    """

    batch: B
    places: tuple[int, ...]
    read: float
    warp: float
    bad: tuple[str, ...] = ()

    def to(self, *args: Any, **kwargs: Any) -> "LoadedBatch[B]":
        """The same parcel elsewhere; Lightning asks for this."""
        return replace(self, batch=self.batch.to(*args, **kwargs))

    def pin_memory(self) -> "LoadedBatch[B]":
        """The same parcel in page-locked memory."""
        return replace(self, batch=self.batch.pin_memory())


@final
@dataclass(frozen=True, eq=False)
class Cut(Generic[V]):
    """One view, the seconds it took, and what could not be read on the way to it."""

    view: V
    place: int
    read: float
    warp: float
    bad: tuple[str, ...] = ()


class Views(ABC, TorchDataset[Cut[V]], Generic[V, B]):
    """The views of a data set, by (epoch, place).

    Args:
        dataset: Where the images are.
        seed: Of all chances.
    """

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    @abstractmethod
    def __len__(self) -> int:
        """How many views an epoch has."""

    @abstractmethod
    def image(self, row: int) -> int:
        """Which image of the data set the view in that place shows."""

    def sample(self, image: int) -> Sample:
        """What is needed of that image."""
        return self.dataset[image]

    @abstractmethod
    def cut(self, sample: Sample, row: int, generator: torch.Generator) -> V:
        """The view in that place, of its sample."""

    @abstractmethod
    def stack(self, views: list[V]) -> B:
        """Views to one batch."""

    @final
    def __getitem__(self, place: Place) -> Cut[V]:
        """The view of one place in one epoch; where its image cannot be read, that of the next whose image can.

        Raises:
            ImageError: None of ten images in a row can be read.
        """
        epoch, row = place
        bad: list[str] = []
        for offset in range(_TRIES):
            try:
                return self._timed(epoch, (row + offset) % len(self), tuple(bad))
            except ImageError as error:
                bad.append(str(error))
        raise ImageError(f"{_TRIES} images in a row cannot be read; the first: {bad[0]}")

    def _timed(self, epoch: int, row: int, bad: tuple[str, ...]) -> Cut[V]:
        begin = time.perf_counter()
        sample = self.sample(self.image(row))
        middle = time.perf_counter()
        view = self.cut(sample, row, torch.Generator().manual_seed(mixed(self.seed, epoch, row)))
        return Cut(view, row, middle - begin, time.perf_counter() - middle, bad)

    @final
    def collate(self, cuts: list[Cut[V]]) -> LoadedBatch[B]:
        """Views to one batch whose images are channels-last."""
        batch = self.stack([c.view for c in cuts])
        batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        bad = tuple(message for c in cuts for message in c.bad)
        return LoadedBatch(batch, tuple(c.place for c in cuts), sum(c.read for c in cuts), sum(c.warp for c in cuts), bad)


def mixed(*numbers: int) -> int:
    """One seed out of several numbers, without a pattern (the finaliser of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


@final
class ResumableSampler:
    """Which places make up each batch of an epoch; a batch sampler that can begin in the middle.

    Args:
        count: Views.
        batch: Of one process.
        seed: Of the shuffle; None keeps the order of the data, and the last batch may be small.
        rank: Which of `world` processes this is.
        world: How many processes share the data.
    """

    def __init__(self, count: int, batch: int, *, seed: int | None, rank: int = 0, world: int = 1) -> None:
        self.count = count
        self.batch = batch
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self._begin = (0, 0)

    @property
    def sampler(self) -> "ResumableSampler":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose batches come next."""
        self.epoch = epoch

    def begin(self, epoch: int, batch: int) -> None:
        """Start epoch `epoch` at batch number `batch` instead of 0."""
        self.epoch = epoch
        self._begin = (epoch, batch)

    def __len__(self) -> int:
        """Batches of a whole epoch. Shuffled epochs leave out the views that do not fill a batch."""
        if self.seed is None:
            return -(-len(range(self.rank, self.count, self.world)) // self.batch)
        return max(1, self.count // (self.batch * self.world))

    def __iter__(self) -> Iterator[list[Place]]:
        """The batches of the epoch, from where it should begin."""
        first = self._begin[1] if self.epoch == self._begin[0] else 0
        rows = self._rows()
        for number in range(first, len(self)):
            yield [(self.epoch, row) for row in rows[number * self.batch : (number + 1) * self.batch]]

    def _rows(self) -> list[int]:
        if self.seed is None:
            return list(range(self.rank, self.count, self.world))
        chance = torch.Generator().manual_seed(mixed(self.seed, self.epoch))
        rows: list[int] = torch.randperm(self.count, generator=chance).tolist()
        wanted = len(self) * self.batch * self.world
        rows = (rows * -(-wanted // self.count))[:wanted]  # fewer views than one batch: they come again
        return rows[self.rank :: self.world]


def loader(views: Views[V, B], order: ResumableSampler, *, workers: int, pin: bool) -> DataLoader[LoadedBatch[B]]:
    """Parcels in the order given, cut by `workers` processes (0: in this one).

    With workers, OpenCV works in one thread from here on, in this process too: a process that forks while OpenCV's threads
    wait leaves its children without them, and they hang.
    """
    if workers:
        cv2.setNumThreads(1)
    return DataLoader(
        views,  # type: ignore[arg-type]  # the stubs know no collate that changes the type
        batch_sampler=order,
        num_workers=workers,
        collate_fn=views.collate,
        pin_memory=pin,
        persistent_workers=workers > 0,
        worker_init_fn=_quiet_worker,
        prefetch_factor=4 if workers else None,
    )


@contextmanager
def plainly() -> Iterator[None]:
    """What a worker process raised on purpose, raised again as its one sentence, without the worker's traceback."""
    try:
        yield
    except PoiseError as error:
        kind = type(error)
        before, _, sentence = str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")
        if not before.startswith("Caught "):  # as torch begins what comes from a worker
            raise
        raise kind(sentence.strip()) from None


def _quiet_worker(number: int) -> None:
    # The processes are the parallelism; threads inside them would fight over the cores.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
