"""Training on views of one person each, cut out by boxes; checked with ground-truth boxes."""

from collections.abc import Mapping
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.models.top_down import TopDown
from poise.structures import Batch, Sample, View
from poise.training.data import Views
from poise.training.pictures import Picture, batch_picture
from poise.training.recipe import Recipe
from poise.training.scores import Found, Truth, score
from poise.training.task import StagedTask
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop


@final
class PersonViews(Views[View, Batch]):
    """The people of a data set as views; each as often as the cutter has ways to show it.

    Args:
        dataset: Where the people are.
        cutter: Cuts them.
        seed: Of all chances.
        select: Leave out people whose keypoints lie off the middle of their view.

    Raises:
        InputError: The data set has nobody to train on.
    """

    def __init__(self, dataset: Dataset, cutter: PersonCrop, *, seed: int, select: bool = False) -> None:
        super().__init__(dataset, seed=seed)
        self.cutter = cutter
        self.people = dataset.people()
        if self.people and select:
            self.people = [(i, person) for i, person in self.people if cutter.is_centred(dataset.labels(i), person)]
            if not self.people:
                raise InputError("nobody's keypoints lie around the middle of the box; train without select")
        if not self.people:
            raise InputError(
                f"none of the {len(dataset)} images has a person with a labelled keypoint and a box of positive size; "
                "`poise data check` tells why"
            )

    def __len__(self) -> int:
        """How many views an epoch has."""
        return len(self.people) * len(self.cutter.repeat_modes)

    def image(self, row: int) -> int:
        """The image of the person in that place."""
        return self.people[row % len(self.people)][0]

    def cut(self, sample: Sample, row: int, generator: torch.Generator) -> View:
        """The view of the person in that place."""
        _, person = self.people[row % len(self.people)]
        return self.cutter(sample, person, generator, repeat_mode=self.cutter.repeat_modes[row // len(self.people)])

    def stack(self, views: list[View]) -> Batch:
        """Views to one batch."""
        return Batch.of(views)


@final
class PersonTask(StagedTask[View, Batch, Found, Truth]):
    """How a model for views of one person is trained."""

    one = "person"
    unit = "people"
    checked = "ground-truth boxes"
    scores = ("pck@0.1", "AP")

    def __init__(self, model: TopDown) -> None:
        self.model: TopDown = model

    def size(self, recipe: Recipe) -> Size:
        """Of the codec's views."""
        return self.model.codec.size

    def train_views(self, recipe: Recipe, *, seed: int) -> PersonViews:
        """Random views of everybody."""
        if not isinstance(recipe.augmentation, Augmentation | None):
            raise InputError(
                f"recipe {recipe.name!r}: {self.model.card.name} sees one person at a time, so its views are changed by an "
                f"Augmentation, not by {type(recipe.augmentation).__name__}"
            )
        cutter = PersonCrop(self.model.codec.size, self.model.preprocess, self.model.skeleton, recipe.augmentation)
        return PersonViews(recipe.train, cutter, seed=seed, select=recipe.select)

    def val_views(self, dataset: Dataset, *, seed: int) -> PersonViews:
        """Everybody, in the middle of the view."""
        return PersonViews(dataset, PersonCrop(self.model.codec.size, self.model.preprocess, self.model.skeleton), seed=seed)

    def labelled(self, batch: Batch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch."""
        return batch.xy[batch.visible > 0]

    def find(self, output: Tensor, batch: Batch) -> list[Found]:
        """The keypoints of each person, in pixels of the images."""
        return Found.rows(self.model.read(output), batch)

    def truth(self, dataset: Dataset) -> Truth:
        """The labels of everybody."""
        return Truth.of(dataset)

    def score(self, truth: Truth, found: Mapping[int, Found]) -> dict[str, float]:
        """AP and pck@0.1."""
        return score(truth, found)

    def picture(self, batch: Batch) -> Picture:
        """Labels, target maps, predicted keypoints, predicted maps."""
        return batch_picture(self.model, batch)
