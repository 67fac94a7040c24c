"""Subsets of a data set, and splits by held-out images."""

from collections import defaultdict
from collections.abc import Sequence
from typing import final

import torch

from poise.data.base import Dataset
from poise.data.wrapped import WrappedDataset
from poise.errors import InputError
from poise.notes import note
from poise.structures import Labels


@final
class Subset(WrappedDataset):
    """Some images of a data set, in the order given.

    Args:
        dataset: The data set to take them from.
        indices: Indices of the images in that data set.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        super().__init__(dataset)
        self.indices = tuple(indices)

    def _row(self, index: int) -> int:
        return self.indices[index]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def labels(self, index: int) -> Labels:
        """The annotations of an image; the image is not read."""
        return self.dataset.labels(self.indices[index])

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
