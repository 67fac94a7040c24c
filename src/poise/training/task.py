"""`Task`: views, losses, validation and pictures for the training loop. By default those of the model (`ModelTask`)."""

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
    """How a model is trained and validated. `ModelTask` is supervised training; other tasks train in another way.

    Attributes:
        model: The model that is trained or validated.
    """

    model: PoseModel

    @property
    def unit(self) -> tuple[str, str]:
        """Singular and plural of what a batch counts, such as "image" and "images"."""
        return self.model.unit

    @property
    def val_boxes(self) -> str:
        """Description of the boxes of the validation."""
        return self.model.val_boxes

    @property
    def val_scores(self) -> tuple[str, ...]:
        """Names of the validation scores beside "loss"; more is better."""
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
        """Training views.

        Raises:
            InputError: The data has no labelled people, or the augmentation is for another kind of model.
        """

    @abstractmethod
    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """Validation views.

        Raises:
            InputError: The data has no labelled people.
        """

    @abstractmethod
    def losses(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss of a batch by name; their sum is minimised."""

    @abstractmethod
    def validate(self, batch: Any) -> tuple[Float[Tensor, ""], list[Any]]:
        """The loss of a batch, and the result of each view, pixels of the image; results can be pickled."""

    @abstractmethod
    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """All outputs of the network for views, also those that are not decoded."""

    @abstractmethod
    def labelled(self, batch: Any) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, pixels of the views."""

    @abstractmethod
    def truth(self, dataset: Dataset) -> Any:
        """The ground truth of `val_views`."""

    @abstractmethod
    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """The `val_scores`, from the ground truth and the results of `validate` by the index of the view in `val_views`."""

    def keypoint_scores(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """A score of each keypoint, by name, for loggers; none by default."""
        return {}

    @abstractmethod
    def picture(self, batch: Any) -> Picture:
        """The first views of a batch: labels, targets, outputs, predictions. The model is in evaluation mode."""


@final
class ModelTask(Task):
    """Supervised training: everything is the model's own (`PoseModel`).

    Args:
        model: The model.
    """

    def __init__(self, model: PoseModel) -> None:
        self.model = model

    def train_size(self, data: TrainData) -> Size:
        """Size of the views the model learns from (h, w), pixels."""
        return self.model.train_size(data)

    def train_views(self, data: TrainData, *, seed: int) -> ViewDataset[Any, Any]:
        """`PoseModel.train_views`."""
        return self.model.train_views(data, seed=seed)

    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """`PoseModel.val_views`."""
        return self.model.val_views(dataset, seed=seed)

    def losses(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """`PoseModel.losses`."""
        return self.model.losses(batch)

    def validate(self, batch: Any) -> tuple[Float[Tensor, ""], list[Any]]:
        """`PoseModel.validate`."""
        return self.model.validate(batch)

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """`PoseModel.raw`."""
        return self.model.raw(images)

    def labelled(self, batch: Any) -> Float[Tensor, "_ 2"]:
        """`PoseModel.labelled`."""
        return self.model.labelled(batch)

    def truth(self, dataset: Dataset) -> Any:
        """`PoseModel.truth`."""
        return self.model.truth(dataset)

    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """`PoseModel.score`."""
        return self.model.score(truth, found)

    def keypoint_scores(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """`PoseModel.keypoint_scores`."""
        return self.model.keypoint_scores(truth, found)

    def picture(self, batch: Any) -> Picture:
        """`PoseModel.picture`."""
        return self.model.picture(batch)


MakeTask = Callable[[PoseModel], Task]
"""Function from a model to its task; called for the model that is trained and for the average that is validated."""
