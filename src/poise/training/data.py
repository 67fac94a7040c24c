"""Batches for a training loop: which view comes when, on how many processes, and a loader that can begin in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import cv2
import torch
from torch.utils.data import DataLoader

from poise.errors import PoiseError
from poise.models.views.base import LoadedBatch, ViewDataset, ViewIndex, mixed_seed


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

    def __iter__(self) -> Iterator[list[ViewIndex]]:
        """The batches of the epoch, from where it should begin."""
        first = self._begin[1] if self.epoch == self._begin[0] else 0
        rows = self._rows()
        for number in range(first, len(self)):
            yield [(self.epoch, row) for row in rows[number * self.batch : (number + 1) * self.batch]]

    def _rows(self) -> list[int]:
        if self.seed is None:
            return list(range(self.rank, self.count, self.world))
        chance = torch.Generator().manual_seed(mixed_seed(self.seed, self.epoch))
        rows: list[int] = torch.randperm(self.count, generator=chance).tolist()
        wanted = len(self) * self.batch * self.world
        rows = (rows * -(-wanted // self.count))[:wanted]  # fewer views than one batch: they come again
        return rows[self.rank :: self.world]


def loader(views: ViewDataset[Any, Any], order: ResumableSampler, *, workers: int, pin: bool) -> DataLoader[LoadedBatch[Any]]:
    """Batches in the order given, cut by `workers` processes (0: in this one).

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
