"""Data loading: a batch sampler that can resume in the middle of an epoch and splits batches over processes; the loader."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, final

import cv2
import torch
from torch.utils.data import DataLoader

from poise.errors import PoiseError
from poise.models.views.base import AnyViews, LoadedBatch, ViewIndex, mixed_seed
from poise.notes import collect_counted, take_counted


@final
class ResumableSampler:
    """Batch sampler over the indices of views; can resume in the middle of an epoch.

    Args:
        count: Number of views.
        batch: Batch size of one process.
        seed: Seed of the shuffle; None keeps the order of the data, and the last batch may be smaller.
        rank: Rank of this process.
        world: Number of processes that share the data.
        repeats: How often each view comes in a shuffled epoch, in another order and with other chances each time.
    """

    def __init__(self, count: int, batch: int, *, seed: int | None, rank: int = 0, world: int = 1, repeats: int = 1) -> None:
        self.count = count
        self.batch = batch
        self.seed = seed
        self.rank = rank
        self.world = world
        self.repeats = repeats
        self.epoch = 0
        self._begin = (0, 0)

    @property
    def sampler(self) -> "ResumableSampler":
        """Itself: Lightning calls `set_epoch` of this attribute."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose batches come next."""
        self.epoch = epoch

    def begin(self, epoch: int, batch: int) -> None:
        """Start epoch `epoch` at the batch with index `batch` instead of 0."""
        self.epoch = epoch
        self._begin = (epoch, batch)

    def __len__(self) -> int:
        """Batches per epoch. Shuffled epochs drop the last, incomplete batch."""
        if self.seed is None:
            return -(-len(range(self.rank, self.count, self.world)) // self.batch)
        return self.repeats * max(1, self.count // (self.batch * self.world))

    def __iter__(self) -> Iterator[list[ViewIndex]]:
        """The batches of the epoch, from its first one or the one set by `begin`."""
        first = self._begin[1] if self.epoch == self._begin[0] else 0
        order = self._order()
        for index in range(first, len(self)):
            yield order[index * self.batch : (index + 1) * self.batch]

    def _order(self) -> list[ViewIndex]:
        if self.seed is None:
            return [(self.epoch, view) for view in range(self.rank, self.count, self.world)]
        total = len(self) * self.batch * self.world
        passes = passes_of(self.repeats, count=self.count, batch=self.batch * self.world)
        order: list[ViewIndex] = []
        for number in range(self.epoch * passes, (self.epoch + 1) * passes):
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, number))
            order += [(number, view) for view in torch.randperm(self.count, generator=generator).tolist()]
        return order[:total][self.rank :: self.world]


def passes_of(repeats: int, *, count: int, batch: int) -> int:
    """Passes through the views in a shuffled epoch: several, where views are repeated or fewer than a batch.

    Args:
        repeats: How often each view comes.
        count: Number of views.
        batch: Views of a step, over all processes.
    """
    return -(-repeats * max(1, count // batch) * batch // count)


@final
class SwitchedViews(AnyViews[Any, Any]):
    """Views that are changed one way up to some pass, and another way from there on; as many of both.

    Args:
        before: The views of the first passes.
        after: Those of the passes behind.
        begin: Number of the first pass of `after`.
    """

    def __init__(self, before: AnyViews[Any, Any], after: AnyViews[Any, Any], *, begin: int) -> None:
        self.before, self.after, self.begin = before, after, begin

    def __len__(self) -> int:
        """Number of views."""
        return len(self.before)

    def __getitem__(self, where: ViewIndex) -> Any:
        """The view of one index in one pass."""
        return (self.before if where[0] < self.begin else self.after)[where]

    def collate(self, cuts: list[Any]) -> LoadedBatch[Any]:
        """Views to one batch."""
        return self.before.collate(cuts)


MIN_STEPS = 10
"""Steps of an epoch of few views, where a recipe leaves the number of repeats open."""


def repeats_of(repeats: int | None, *, count: int, batch: int) -> int:
    """How often each view comes in an epoch.

    Args:
        repeats: What the recipe says; None for so often that an epoch has `MIN_STEPS` steps.
        count: Number of views.
        batch: Views of a step, over all processes.
    """
    return -(-MIN_STEPS // max(1, count // batch)) if repeats is None else repeats


VAL_STEPS = 50
"""Steps between two validations, where a recipe leaves their number open."""

MIN_VALIDATIONS = 10
"""Validations of a run of as many epochs, at least."""


def val_every_of(val_every: int | None, *, steps: int, epochs: int) -> int:
    """Epochs from one validation to the next.

    Args:
        val_every: What the recipe says; None for so many that `VAL_STEPS` steps lie between two, but for a run of
            `MIN_VALIDATIONS` at least.
        steps: Optimizer steps of an epoch.
        epochs: Epochs of the run.
    """
    return val_every or max(1, min(-(-VAL_STEPS // steps), epochs // MIN_VALIDATIONS))


def loader(views: AnyViews[Any, Any], order: ResumableSampler, *, workers: int, pin: bool) -> DataLoader[LoadedBatch[Any]]:
    """A data loader with the batches of a sampler, loaded by `workers` processes (0: in this one).

    With workers OpenCV is set to one thread, in this process too: a process forked while OpenCV's thread pool waits has no
    such threads, and hangs.
    """
    if workers:
        cv2.setNumThreads(1)
    return DataLoader(
        views,  # type: ignore[arg-type]  # the stubs know no collate that changes the type
        batch_sampler=order,
        num_workers=workers,
        collate_fn=partial(_collated, views),
        pin_memory=pin,
        persistent_workers=workers > 0,
        worker_init_fn=_quiet_worker,
        prefetch_factor=4 if workers else None,
    )


@contextmanager
def unwrap_worker_errors() -> Iterator[None]:
    """Raise the errors of a loader process again as plain `PoiseError`, without the traceback of the worker."""
    try:
        yield
    except PoiseError as error:
        error_type = type(error)
        before, _, sentence = str(error).rpartition(f"{error_type.__module__}.{error_type.__qualname__}: ")
        if not before.startswith("Caught "):  # the beginning that torch gives to errors of workers
            raise
        raise error_type(sentence.strip()) from None


def _collated(views: AnyViews[Any, Any], cuts: list[Any]) -> LoadedBatch[Any]:
    """A batch, with what was counted while its images were read in a process of a loader."""
    return replace(views.collate(cuts), counted=take_counted())


def _quiet_worker(number: int) -> None:
    # The processes are the parallelism; threads inside them would fight over the cores.
    collect_counted()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
