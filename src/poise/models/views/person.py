"""Views of one person each, cropped out of the images of a data set."""

from typing import final

import torch

from poise.data.base import Dataset
from poise.errors import InputError
from poise.models.views.base import ViewDataset
from poise.structures import Batch, Sample, View
from poise.transforms.person_crop import PersonCrop


@final
class PersonViews(ViewDataset[View, Batch]):
    """The people of a data set as views, each once for every repeat mode of the crop.

    Args:
        dataset: Data set of the people.
        crop: Warps a person's box to a view.
        seed: Seed of all random choices.
        select: Leave out people whose keypoints are far from the middle of their view.

    Raises:
        InputError: The data set has no person to train on.
    """

    def __init__(self, dataset: Dataset, crop: PersonCrop, *, seed: int, select: bool = False) -> None:
        super().__init__(dataset, seed=seed)
        self.crop = crop
        self.people = dataset.people()
        if self.people and select:
            self.people = [(i, person) for i, person in self.people if crop.is_centred(dataset.labels(i), person)]
            if not self.people:
                raise InputError("no person has keypoints around the middle of the box; train without select")
        if not self.people:
            raise InputError(
                f"none of the {len(dataset)} images has a person with a labelled keypoint and a box of positive size; "
                "`poise data check` tells why"
            )

    def __len__(self) -> int:
        """Number of views in an epoch."""
        return len(self.people) * len(self.crop.repeat_modes)

    def image(self, index: int) -> int:
        """The image of the person at that index."""
        return self.people[index % len(self.people)][0]

    def cut(self, sample: Sample, index: int, generator: torch.Generator) -> View:
        """The view of the person at that index."""
        _, person = self.people[index % len(self.people)]
        return self.crop(sample, person, generator, repeat_mode=self.crop.repeat_modes[index // len(self.people)])

    def stack(self, views: list[View]) -> Batch:
        """A batch of views."""
        return Batch.of(views)
