"""Subsets of a data set, and splits by held-out images."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.errors import InputError
from poise.notes import note
from poise.structures import Key, Labels, Sample


@final
class Subset(Dataset):
    """Some images of a data set, in the order given.

    Args:
        dataset: The data set to take them from.
        indices: Indices of the images in that data set.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = tuple(indices)
        self.skeleton = dataset.skeleton

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return self.dataset.key(self.indices[index])

    def labels(self, index: int) -> Labels:
        """The annotations of an image; the image is not read."""
        return self.dataset.labels(self.indices[index])

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255."""
        return self.dataset.image(self.indices[index])

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """Unlabelled pixels, which may show people."""
        return self.dataset.ignore_mask(self.indices[index], sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """True for each keypoint that the source of this image annotates at all."""
        return self.dataset.known(self.indices[index])

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Segmentation mask of each person, empty for people without one; None for a data set without masks."""
        return self.dataset.masks(self.indices[index])

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation files that were read; () for a data set that is generated."""
        return self.dataset.files_read

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing or generated."""
        return self.dataset.file_size(self.indices[index])

    def sequence(self, index: int) -> str | None:
        """Name of the sequence that an image is part of; None for a photo."""
        return self.dataset.sequence(self.indices[index])

    def file_path(self, index: int) -> str | None:
        """Path of the image file; None for an image that is generated."""
        return self.dataset.file_path(self.indices[index])

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people that can be trained on, as pairs of an image index and an index into its labels.

        Args:
            crowd: Whether annotations of groups count as people.
        """
        found = defaultdict(list)
        for image, person in self.dataset.people(crowd=crowd):  # faster than reading the labels image by image
            found[image].append(person)
        return [(i, person) for i, image in enumerate(self.indices) for person in found[image]]


def hold_out(dataset: Dataset, *, share: float, seed: int) -> tuple[Subset, Subset]:
    """Split a data set by image into one to train on and one to validate on. Images read from one file stay together.

    Args:
        dataset: The data set.
        share: Share of the images that are held out for validation, between 0 and 1.
        seed: Seed of the random choice.

    Returns:
        The data sets for training and for validation.

    Raises:
        InputError: `share` is not between 0 and 1, or one of the two would be empty.
    """
    if not 0 < share < 1:
        raise InputError(f"{share:g} is not a share of the images to hold out; give a number between 0 and 1, such as 0.1")
    files = _by_file(dataset)
    count = round(share * len(files))
    if not 0 < count < len(files):
        raise InputError(
            f"{share:g} of {len(files)} images for validation leaves no image for training or for validation; "
            f"give another share, or a validation file"
        )
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed)).tolist()
    first, second = ([index for i in chosen for index in files[i]] for chosen in (order[count:], order[:count]))
    return Subset(dataset, sorted(first)), Subset(dataset, sorted(second))


def with_people(dataset: Dataset, *, hint: str = "") -> Dataset:
    """A data set without the images that have nobody to learn from, which are counted once; all images where nobody has.

    Args:
        dataset: The data set.
        hint: What to add where some are left out.
    """
    images = sorted({image for image, _ in dataset.people()})
    if not images or len(images) == len(dataset):
        return dataset
    files = ", ".join(str(path) for path in dataset.files_read)
    note(f"{len(dataset) - len(images)} of the {len(dataset)} images of {files} have no labelled person and are ignored{hint}")
    return Subset(dataset, images)


def without(dataset: Dataset, other: Dataset) -> Dataset:
    """A data set without the images whose files another data set reads too.

    Args:
        dataset: The data set to take images from.
        other: The data set whose images are left out.

    Raises:
        InputError: No image would be left.
    """
    files = {other.file_path(i) for i in range(len(other))} - {None}
    indices = [i for i in range(len(dataset)) if dataset.file_path(i) not in files]
    if not indices:
        names = ", ".join(str(path) for path in dataset.files_read)
        raise InputError(f"all images of {names} are held out for validation; leave the file out, or hold out a smaller share")
    return dataset if len(indices) == len(dataset) else Subset(dataset, indices)


def _by_file(dataset: Dataset) -> list[list[int]]:
    """Indices of the images, grouped by file; an image that is generated is a group of its own."""
    found: dict[str | int, list[int]] = {}
    for i in range(len(dataset)):
        file = dataset.file_path(i)
        found.setdefault(i if file is None else file, []).append(i)
    return list(found.values())
