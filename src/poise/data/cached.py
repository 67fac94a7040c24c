"""A data set held in memory, for small ones that are slow to make."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import final

import cv2
from jaxtyping import Bool, UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from poise.data.base import Dataset
from poise.machine import cores
from poise.structures import Key, Labels, Sample

Progress = Callable[[Iterable[Sample], int], Iterable[Sample]]
"""Sees every sample as it is made, and is told how many there will be; for progress bars."""

FEW = 500
"""Samples that are made faster than processes start."""


@final
class CachedDataset(Dataset):
    """Every sample of another data set, made once, now.

    Args:
        dataset: What to keep; its images must fit into memory (a 256x256 image takes 0.2 MB).
        processes: How many make them at a time; by default as many as there are cores, and none beside this one for few
            samples.
        progress: Sees every sample as it is made.
    """

    def __init__(self, dataset: Dataset, *, processes: int | None = None, progress: Progress | None = None) -> None:
        self.skeleton = dataset.skeleton
        self.dataset = dataset
        if processes is None:
            processes = 0 if len(dataset) < FEW else cores()
        made = _made(dataset, processes if processes > 1 else 0)
        self._samples = list(progress(made, len(dataset)) if progress else made)

    def __len__(self) -> int:
        """How many images."""
        return len(self._samples)

    def key(self, index: int) -> Key:
        """As the data set calls it."""
        return self._samples[index].key

    def labels(self, index: int) -> Labels:
        """As the data set has them."""
        return self._samples[index].labels

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The kept image."""
        return self._samples[index].image

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """As the data set has it; not kept."""
        return self.dataset.ignore_mask(index, sample)

    def file_path(self, index: int) -> str | None:
        """As the data set has it."""
        return self.dataset.file_path(index)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """As the data set has it."""
        return self.dataset.known(index)

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """As the data set has them; not kept."""
        return self.dataset.masks(index)

    def __getitem__(self, index: int) -> Sample:
        """The kept sample."""
        return self._samples[index]


def _made(dataset: Dataset, processes: int) -> Iterator[Sample]:
    """The samples in their order."""
    if not processes:
        yield from (dataset[i] for i in range(len(dataset)))
        return
    cv2.setNumThreads(1)  # a process that forks while OpenCV's threads wait leaves its children without them
    # As bytes: tensors would each take a file descriptor, of which there are about a thousand.
    loader: Iterable[bytes] = DataLoader(dataset, batch_size=None, num_workers=processes, collate_fn=pickle.dumps)  # type: ignore[arg-type]
    yield from map(pickle.loads, loader)
