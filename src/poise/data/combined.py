"""Several data sets as one, each with its own keypoints."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.label_ops import convert_labels
from poise.dims import Size
from poise.errors import InputError
from poise.skeletons import Skeleton, check_shared, keypoint_indices, union
from poise.structures import Key, Labels, Sample


@final
class CombinedDataset(Dataset):
    """The images of several data sets, one data set after the other.

    Keypoints are matched by name; a keypoint that a data set does not have is not labelled in its images (visible 0).

    Args:
        datasets: At least one; `Key.source` is the index in this list.
        skeleton: The keypoints of the labels; by default the union of all skeletons.

    Raises:
        InputError: `datasets` is empty.
        SkeletonMismatch: Two skeletons have different left-right pairs for one keypoint, or a data set has no keypoint of
            `skeleton`.
    """

    def __init__(self, datasets: Sequence[Dataset], *, skeleton: Skeleton | None = None) -> None:
        if not datasets:
            raise InputError("combining needs at least one data set, found none")
        self.datasets = tuple(datasets)
        self.skeleton = skeleton or union([d.skeleton for d in datasets])
        self._ends = tuple(accumulate(len(d) for d in datasets))
        for dataset in datasets:
            check_shared(dataset.skeleton, self.skeleton)

    def __len__(self) -> int:
        """Number of images."""
        return self._ends[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """The index of the data set that an image is from, and the index of the image in it."""
        index = range(len(self))[index]
        source = next(i for i, end in enumerate(self._ends) if index < end)
        return source, index - self._ends[source] + len(self.datasets[source])

    def key(self, index: int) -> Key:
        """File name and id of an image, and the index of its data set as `source`."""
        source, inner = self.locate(index)
        return replace(self.datasets[source].key(inner), source=source)

    def labels(self, index: int) -> Labels:
        """The annotations of an image, in the keypoints of this data set; the image is not read."""
        source, inner = self.locate(index)
        dataset = self.datasets[source]
        return convert_labels(dataset.labels(inner), source=dataset.skeleton, target=self.skeleton)

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        source, inner = self.locate(index)
        return self.datasets[source].image(inner)

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, which may show people."""
        source, inner = self.locate(index)
        return self.datasets[source].ignore_mask(inner, sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that the data set of this image has and annotates at all."""
        source, inner = self.locate(index)
        dataset = self.datasets[source]
        found = torch.tensor(keypoint_indices(dataset.skeleton, self.skeleton))
        return (found >= 0) & dataset.known(inner)[found]

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Segmentation mask of each person, empty for people without one; None for a data set without masks."""
        source, inner = self.locate(index)
        return self.datasets[source].masks(inner)

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files that all data sets read."""
        return tuple(path for dataset in self.datasets for path in dataset.files_read)

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing or generated."""
        source, inner = self.locate(index)
        return self.datasets[source].file_size(inner)

    def image_size(self, index: int) -> Size | None:
        """Size of an image (h, w), pixels, as far as it is known without reading the image; else None."""
        source, inner = self.locate(index)
        return self.datasets[source].image_size(inner)

    def parts(self, index: int) -> UInt8[Tensor, "H W"] | None:
        """Number of the body part that each pixel of an image shows; None without part masks."""
        source, inner = self.locate(index)
        return self.datasets[source].parts(inner)

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of, behind the number of its data set; None for a photo."""
        source, inner = self.locate(index)
        name = self.datasets[source].sequence(inner)
        return None if name is None else f"{source}: {name}"

    def file_path(self, index: int) -> str | None:
        """Path of the image file; None for an image that is generated."""
        source, inner = self.locate(index)
        return self.datasets[source].file_path(inner)

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, as pairs of an image index and an index into its labels.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        starts = [end - len(d) for end, d in zip(self._ends, self.datasets, strict=True)]
        found = [(start + i, n) for start, d in zip(starts, self.datasets, strict=True) for i, n in d.people(crowd=crowd)]
        if all(set(d.skeleton.keypoints) <= set(self.skeleton.keypoints) for d in self.datasets):
            return found
        return [(i, n) for i, n in found if (self.labels(i).visible[n] > 0).any()]
