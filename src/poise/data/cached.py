"""A data set held in memory, for small ones that are slow to read or to generate."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import final

import cv2
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from poise.data.base import Dataset
from poise.data.wrapped import WrappedDataset
from poise.machine import cores
from poise.structures import Key, Labels, Sample

Progress = Callable[[Iterable[Sample], int], Iterable[Sample]]
"""Wraps the iterator of samples, given their number; for progress bars."""

MIN_PARALLEL = 150
"""Number of samples from which worker processes pay for the time they take to start."""


@final
class CachedDataset(WrappedDataset):
    """All samples of another data set, read into memory when this one is made.

    Args:
        dataset: The data set to be held; its images must fit into memory (a 256x256 image takes 0.2 MB).
        processes: Number of worker processes that read the samples; by default one per core, and none for fewer than
            `MIN_PARALLEL` samples.
        progress: Wraps the iterator of samples while they are read.
    """

    def __init__(self, dataset: Dataset, *, processes: int | None = None, progress: Progress | None = None) -> None:
        super().__init__(dataset)
        if processes is None:
            processes = 0 if len(dataset) < MIN_PARALLEL else cores()
        made = _made(dataset, processes if processes > 1 else 0)
        self._samples = list(progress(made, len(dataset)) if progress else made)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._samples)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return self._samples[index].key

    def labels(self, index: int) -> Labels:
        """The annotations of an image; the image is not read."""
        return self._samples[index].labels

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self._samples[index].image

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and key."""
        return self._samples[index]


def _made(dataset: Dataset, processes: int) -> Iterator[Sample]:
    """All samples in order, read by `processes` worker processes, or by this one for 0."""
    if not processes:
        yield from (dataset[i] for i in range(len(dataset)))
        return
    cv2.setNumThreads(1)  # a child forked while OpenCV has waiting threads does not get them and hangs
    # Pickled to bytes, because each tensor sent would take a file descriptor, and about a thousand are allowed.
    loader: Iterable[bytes] = DataLoader(dataset, batch_size=None, num_workers=processes, collate_fn=pickle.dumps)  # type: ignore[arg-type]
    yield from map(pickle.loads, loader)
