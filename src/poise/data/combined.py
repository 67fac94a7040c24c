"""Several data sets trained together, each with its own keypoints."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.errors import InputError
from poise.skeletons import Skeleton, check_shared, convert, keypoint_indices, union
from poise.structures import Key, Labels, Sample


@final
class CombinedDataset(Dataset):
    """One data set after the other; keypoints are joined by name, and what a data set lacks is not labelled (visible 0).

    Args:
        datasets: At least one. `Key.source` is the place in this list.
        skeleton: The keypoints wanted; by default the union of all.

    Raises:
        InputError: `datasets` is empty.
        SkeletonMismatch: Mirror partners contradict each other, or a data set has no keypoint of `skeleton`.
    """

    def __init__(self, datasets: Sequence[Dataset], *, skeleton: Skeleton | None = None) -> None:
        if not datasets:
            raise InputError("joining needs at least one data set, found none")
        self.datasets = tuple(datasets)
        self.skeleton = skeleton or union([d.skeleton for d in datasets])
        self._ends = tuple(accumulate(len(d) for d in datasets))
        for dataset in datasets:
            check_shared(dataset.skeleton, self.skeleton)

    def __len__(self) -> int:
        """How many images."""
        return self._ends[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """Which data set an image is from, and its index there."""
        index = range(len(self))[index]
        source = next(i for i, end in enumerate(self._ends) if index < end)
        return source, index - self._ends[source] + len(self.datasets[source])

    def key(self, index: int) -> Key:
        """As the data set calls it, with `source`."""
        source, inner = self.locate(index)
        return replace(self.datasets[source].key(inner), source=source)

    def labels(self, index: int) -> Labels:
        """In the keypoints of all."""
        source, inner = self.locate(index)
        dataset = self.datasets[source]
        return convert_labels(dataset.labels(inner), source=dataset.skeleton, target=self.skeleton)

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The image, RGB."""
        source, inner = self.locate(index)
        return self.datasets[source].image(inner)

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """As in the data set it is from."""
        source, inner = self.locate(index)
        return self.datasets[source].ignore_mask(inner, sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """Those that the data set it is from has, and labels."""
        source, inner = self.locate(index)
        dataset = self.datasets[source]
        found = torch.tensor(keypoint_indices(dataset.skeleton, self.skeleton))
        return (found >= 0) & dataset.known(inner)[found]

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """As in the data set it is from."""
        source, inner = self.locate(index)
        return self.datasets[source].masks(inner)

    @property
    def files_read(self) -> tuple[Path, ...]:
        """Those of all."""
        return tuple(path for dataset in self.datasets for path in dataset.files_read)

    def file_size(self, index: int) -> int | None:
        """As in the data set it is from."""
        source, inner = self.locate(index)
        return self.datasets[source].file_size(inner)

    def file_path(self, index: int) -> str | None:
        """As in the data set it is from."""
        source, inner = self.locate(index)
        return self.datasets[source].file_path(inner)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people one can train on, with a labelled keypoint among those wanted."""
        starts = [end - len(d) for end, d in zip(self._ends, self.datasets, strict=True)]
        found = [(start + i, row) for start, d in zip(starts, self.datasets, strict=True) for i, row in d.people(crowd=crowd)]
        if all(set(d.skeleton.keypoints) <= set(self.skeleton.keypoints) for d in self.datasets):
            return found
        return [(i, row) for i, row in found if (self.labels(i).visible[row] > 0).any()]


def convert_labels(labels: Labels, *, source: Skeleton, target: Skeleton) -> Labels:
    """Labels in the keypoints of another skeleton, by name; what `source` does not have is not labelled.

    Raises:
        SkeletonMismatch: They share no keypoint.
    """
    if source.keypoints == target.keypoints:
        return labels
    xy, visible = convert(labels.xy, labels.visible, source=source, target=target)
    return replace(labels, xy=xy, visible=visible)
