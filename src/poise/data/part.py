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
class Part(Dataset):
    """The images of a data set at some places, in that order.

    Args:
        dataset: The whole.
        rows: Places of the images.
    """

    def __init__(self, dataset: Dataset, rows: Sequence[int]) -> None:
        self.dataset = dataset
        self.rows = tuple(rows)
        self.skeleton = dataset.skeleton

    def __len__(self) -> int:
        """How many images."""
        return len(self.rows)

    def key(self, index: int) -> Key:
        """As the whole calls it."""
        return self.dataset.key(self.rows[index])

    def labels(self, index: int) -> Labels:
        """As in the whole."""
        return self.dataset.labels(self.rows[index])

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """As in the whole."""
        return self.dataset.image(self.rows[index])

    def ignored(self, index: int, sample: Sample) -> Bool[Tensor, "H W"]:
        """As in the whole."""
        return self.dataset.ignored(self.rows[index], sample)

    def known(self, index: int) -> Bool[Tensor, " k"]:
        """As in the whole."""
        return self.dataset.known(self.rows[index])

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """As in the whole."""
        return self.dataset.masks(self.rows[index])

    @property
    def files_read(self) -> tuple[Path, ...]:
        """Those of the whole."""
        return self.dataset.files_read

    def stored(self, index: int) -> int | None:
        """As in the whole."""
        return self.dataset.stored(self.rows[index])

    def people(self, *, crowd: bool = False) -> list[tuple[int, int]]:
        """The people one can train on, found as the whole finds them (fast, where it is)."""
        found = defaultdict(list)
        for place, person in self.dataset.people(crowd=crowd):
            found[place].append(person)
        return [(i, person) for i, place in enumerate(self.rows) for person in found[place]]


def hold_out(dataset: Dataset, *, share: float, seed: int) -> tuple[Part, Part]:
    """A data set in two, by image: what to train on, and `share` of the images, drawn by `seed`, held out to validate.

    Raises:
        InputError: A part would be empty.
    """
    count = round(share * len(dataset))
    if not 0 < count < len(dataset):
        raise InputError(
            f"{share:g} of {len(dataset)} images for validation leaves one part empty; give another share, or a validation file"
        )
    rows = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()
    return Part(dataset, sorted(rows[count:])), Part(dataset, sorted(rows[:count]))
