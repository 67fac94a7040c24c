"""What a training loop asks of a kind of model: its views, its losses, how its answers are rated and shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.models.bottom_up import BottomUp
from poise.models.kinds import Model
from poise.models.top_down import TopDown
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
        told: Parts of the loss that are told beside it; none by default.
    """

    model: Model
    one: str
    unit: str
    checked: str
    scores: tuple[str, ...]
    told: tuple[str, ...] = ()

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
    def parts(self, batch: B) -> dict[str, Float[Tensor, ""]]:
        """What a step makes smaller: the parts of the loss by name, which are added up."""

    @final
    def loss(self, batch: B) -> Float[Tensor, ""]:
        """What a step makes smaller."""
        return summed(self.parts(batch))

    @abstractmethod
    def look(self, batch: B) -> tuple[Float[Tensor, ""], list[Found]]:
        """The loss of a batch, and what the model says about each of its views, in pixels of the image."""

    @abstractmethod
    def answers(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """All that the network answers to views, whether it is read or not."""

    @abstractmethod
    def labelled(self, batch: B) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, pixels of the views."""

    @abstractmethod
    def truth(self, dataset: Dataset) -> Truth:
        """The labels behind `val_views`."""

    @abstractmethod
    def score(self, truth: Truth, found: Mapping[int, Found]) -> dict[str, float]:
        """The `scores` of what was found in each place of `val_views`."""

    @abstractmethod
    def picture(self, batch: B) -> Picture:
        """The first views of a batch: what is labelled, asked and answered. The model is in evaluation mode."""


class StagedTask(Task[V, B, Found, Truth]):
    """Of a model whose network answers all at once, in one stage or in several, each of which a codec reads."""

    model: TopDown | BottomUp

    @abstractmethod
    def find(self, output: Tensor, batch: B) -> list[Found]:
        """What the last answer says about each view, in pixels of its image."""

    @final
    def answers(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Of all stages."""
        return self.model.outputs(images)

    @final
    def parts(self, batch: B) -> dict[str, Float[Tensor, ""]]:
        """The codecs' losses, one for each of the network's answers."""
        return self._compared(self.answers(batch.images), batch)

    @final
    def look(self, batch: B) -> tuple[Float[Tensor, ""], list[Found]]:
        """The codecs' losses together, and what the last answer says."""
        outputs = self.answers(batch.images)
        return summed(self._compared(outputs, batch)), self.find(outputs[-1], batch)

    def _compared(self, outputs: list[Tensor], batch: B) -> dict[str, Float[Tensor, ""]]:
        codecs = (*self.model.deep, self.model.codec)
        last = len(codecs)
        names = [
            f"codec {type(codec).__name__}" + (f" for answer {number} of {last}" if last > 1 else "")
            for number, codec in enumerate(codecs, start=1)
        ]
        losses = self.model.losses(outputs, batch)  # type: ignore[arg-type]  # model and batch are of one kind
        return dict(zip(names, losses, strict=True))


def summed(parts: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """The parts of a loss added up; a single one as it is."""
    values = list(parts.values())
    return torch.stack(values).sum() if len(values) > 1 else values[0]
