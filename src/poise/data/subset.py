"""Some images of a data set, as a data set."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.errors import InputError
from poise.structures import Key, Labels, Sample


@final
class Subset(Dataset):
    """The images of a data set at some places, in that order.

    Args:
        dataset: The whole.
        rows: Places of the images.
    """

    def __init__(self, dataset: Dataset, rows: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = tuple(rows)
        self.skeleton = dataset.skeleton

    def __len__(self) -> int:
        """How many images."""
        return len(self.indices)

    def key(self, index: int) -> Key:
        """As the whole calls it."""
        return self.dataset.key(self.indices[index])

    def labels(self, index: int) -> Labels:
        """As in the whole."""
        return self.dataset.labels(self.indices[index])

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """As in the whole."""
        return self.dataset.image(self.indices[index])

    def ignore_mask(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """As in the whole."""
        return self.dataset.ignore_mask(self.indices[index], sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """As in the whole."""
        return self.dataset.known(self.indices[index])

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """As in the whole."""
        return self.dataset.masks(self.indices[index])

    @property
    def files_read(self) -> tuple[Path, ...]:
        """Those of the whole."""
        return self.dataset.files_read

    def file_size(self, index: int) -> int | None:
        """As in the whole."""
        return self.dataset.file_size(self.indices[index])

    def file_path(self, index: int) -> str | None:
        """As in the whole."""
        return self.dataset.file_path(self.indices[index])

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people one can train on, found as the whole finds them (fast, where it is)."""
        found = defaultdict(list)
        for place, person in self.dataset.people(crowd=crowd):
            found[place].append(person)
        return [(i, person) for i, place in enumerate(self.indices) for person in found[place]]


def hold_out(dataset: Dataset, *, share: float, seed: int) -> tuple[Subset, Subset]:
    """A data set in two, by image: what to train on, and `share` of the images, drawn by `seed`, held out to validate.

    Images that are read from one file, as where it is listed twice, stay together.

    Raises:
        InputError: The share is not between 0 and 1, or a part would be empty.
    """
    if not 0 < share < 1:
        raise InputError(f"{share:g} is no share of the images to hold out; give one between 0 and 1, such as 0.1")
    files = _by_file(dataset)
    count = round(share * len(files))
    if not 0 < count < len(files):
        raise InputError(
            f"{share:g} of {len(files)} images for validation leaves one part empty; give another share, or a validation file"
        )
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed)).tolist()
    first, second = ([row for place in places for row in files[place]] for places in (order[count:], order[:count]))
    return Subset(dataset, sorted(first)), Subset(dataset, sorted(second))


def without(dataset: Dataset, other: Dataset) -> Dataset:
    """A data set without the images that another one reads from the same files.

    Raises:
        InputError: Nothing would be left.
    """
    files = {other.file_path(i) for i in range(len(other))} - {None}
    rows = [i for i in range(len(dataset)) if dataset.file_path(i) not in files]
    if not rows:
        names = ", ".join(str(path) for path in dataset.files_read)
        raise InputError(f"all images of {names} are held out for validation; leave the file out, or hold out a smaller share")
    return dataset if len(rows) == len(dataset) else Subset(dataset, rows)


def _by_file(dataset: Dataset) -> list[list[int]]:
    """The places of the images, those of one file together; images that were made are alone."""
    found: dict[str | int, list[int]] = {}
    for i in range(len(dataset)):
        file = dataset.file_path(i)
        found.setdefault(i if file is None else file, []).append(i)
    return list(found.values())
