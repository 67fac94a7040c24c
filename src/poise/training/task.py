"""What a training loop asks: views, losses, a validation, pictures. By default of the model itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.models.base import PoseModel
from poise.models.pictures import Picture
from poise.models.views.base import TrainData, ViewDataset


class Task(ABC):
    """How one model is trained. `ModelTask` trains it on labels, as its kind says; other tasks train it in another way.

    Attributes:
        model: Learns, or is validated.
    """

    model: PoseModel

    @property
    def unit(self) -> tuple[str, str]:
        """What a batch counts, one and many: "image" and "images", say."""
        return self.model.unit

    @property
    def val_boxes(self) -> str:
        """Where a validation looks, in words."""
        return self.model.val_boxes

    @property
    def val_scores(self) -> tuple[str, ...]:
        """Names of the scores of a validation beside "loss"; more is better."""
        return self.model.val_scores

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss that are logged beside their sum."""
        return self.model.loss_parts

    @abstractmethod
    def train_size(self, data: TrainData) -> Size:
        """Size of the views the model learns from (h, w), pixels."""

    @abstractmethod
    def train_views(self, data: TrainData, *, seed: int) -> ViewDataset[Any, Any]:
        """What the model learns from.

        Raises:
            InputError: The data has nobody to learn from, or the augmentation is for another kind of model.
        """

    @abstractmethod
    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """What the model is validated on.

        Raises:
            InputError: The data has nobody to validate on.
        """

    @abstractmethod
    def losses(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss of a batch by name; a step makes their sum smaller."""

    @abstractmethod
    def validate(self, batch: Any) -> tuple[Float[Tensor, ""], list[Any]]:
        """The loss of a batch, and what was found in each of its views, in pixels of the image; can be pickled."""

    @abstractmethod
    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """Every output of the network for views, whether it is read or not."""

    @abstractmethod
    def labelled(self, batch: Any) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, pixels of the views."""

    @abstractmethod
    def truth(self, dataset: Dataset) -> Any:
        """The labels behind `val_views`."""

    @abstractmethod
    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """The `val_scores` of what `validate` found, by the index of the view among `val_views`."""

    @abstractmethod
    def picture(self, batch: Any) -> Picture:
        """The first views of a batch: labels, targets, outputs, predictions. The model is in evaluation mode."""


@final
class ModelTask(Task):
    """A model trained on labels as its kind says (`PoseModel`).

    Args:
        model: Learns.
    """

    def __init__(self, model: PoseModel) -> None:
        self.model = model

    def train_size(self, data: TrainData) -> Size:
        """Size of the views the model learns from (h, w), pixels."""
        return self.model.train_size(data)

    def train_views(self, data: TrainData, *, seed: int) -> ViewDataset[Any, Any]:
        """The model's."""
        return self.model.train_views(data, seed=seed)

    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """The model's."""
        return self.model.val_views(dataset, seed=seed)

    def losses(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """The model's."""
        return self.model.losses(batch)

    def validate(self, batch: Any) -> tuple[Float[Tensor, ""], list[Any]]:
        """The model's."""
        return self.model.validate(batch)

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """Every output of the model's network."""
        return self.model.raw(images)

    def labelled(self, batch: Any) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch."""
        return self.model.labelled(batch)

    def truth(self, dataset: Dataset) -> Any:
        """The labels as the model compares with them."""
        return self.model.truth(dataset)

    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """The model's scores."""
        return self.model.score(truth, found)

    def picture(self, batch: Any) -> Picture:
        """The model's picture."""
        return self.model.picture(batch)


MakeTask = Callable[[PoseModel], Task]
"""Gives the task of a model: of the one that learns, and of the average that is validated."""
