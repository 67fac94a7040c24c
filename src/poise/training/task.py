"""What a training loop asks of a kind of model: its views, its losses, how its answers are rated and shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.models.kinds import Model
from poise.training.data import B, V, Views
from poise.training.pictures import Picture
from poise.training.recipe import Recipe

Found = TypeVar("Found")
"""What was read out of one view. It goes from process to process."""

Truth = TypeVar("Truth")
"""What that is compared with."""


class Task(ABC, Generic[V, B, Found, Truth]):
    """One model and everything about its training that models of another kind do otherwise.

    Attributes:
        model: Whose task it is.
        one, unit: What a batch counts: a "person" of "people", an "image" of "images".
        checked: What a validation looks at, in words.
        scores: Names of the scores of a validation, beside "loss"; of each, more is better.
    """

    model: Model
    one: str
    unit: str
    checked: str
    scores: tuple[str, ...]

    @abstractmethod
    def size(self, recipe: Recipe) -> Size:
        """Of the views the model learns from (h, w), pixels."""

    @abstractmethod
    def train_views(self, recipe: Recipe, *, seed: int) -> Views[V, B]:
        """What the model learns from.

        Raises:
            InputError: The data has nobody to learn from, or the augmentation is for another kind of model.
        """

    @abstractmethod
    def val_views(self, dataset: Dataset, *, seed: int) -> Views[V, B]:
        """What the model is checked on.

        Raises:
            InputError: The data has nobody to check on.
        """

    @abstractmethod
    def loss(self, batch: B) -> Float[Tensor, ""]:
        """What a step makes smaller."""

    @abstractmethod
    def losses(self, outputs: Sequence[Tensor], batch: B) -> list[Float[Tensor, ""]]:
        """Its parts, one for each of the network's answers."""

    @abstractmethod
    def labelled(self, batch: B) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, pixels of the views."""

    @abstractmethod
    def find(self, output: Tensor, batch: B) -> list[Found]:
        """What the model's last answer says about each view, in pixels of its image."""

    @abstractmethod
    def truth(self, dataset: Dataset) -> Truth:
        """The labels behind `val_views`."""

    @abstractmethod
    def score(self, truth: Truth, found: Mapping[int, Found]) -> dict[str, float]:
        """The `scores` of what was found in each place of `val_views`."""

    @abstractmethod
    def picture(self, batch: B) -> Picture:
        """The first views of a batch: what is labelled, asked and answered. The model is in evaluation mode."""
