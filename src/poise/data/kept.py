"""A data set held in memory, for small ones that are slow to make."""

from collections.abc import Callable, Iterable
from typing import final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.structures import Key, Labels, Sample

Watch = Callable[[Iterable[int], int], Iterable[int]]
"""Sees the index of every sample as it is made, and is told how many there will be; for progress bars."""


@final
class Kept(Dataset):
    """Every sample of another data set, made once, now.

    Args:
        dataset: What to keep; its images must fit into memory (a 256x256 image takes 0.2 MB).
        watch: Sees every index as its sample is made.
    """

    def __init__(self, dataset: Dataset, *, watch: Watch | None = None) -> None:
        self.skeleton = dataset.skeleton
        indices: Iterable[int] = range(len(dataset))
        self._samples = [dataset[i] for i in (watch(indices, len(dataset)) if watch else indices)]

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

    def __getitem__(self, index: int) -> Sample:
        """The kept sample."""
        return self._samples[index]
