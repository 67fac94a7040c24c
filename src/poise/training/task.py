"""`Task`: views, losses, validation, pictures, hooks and state for the training loop. By default the model's (`ModelTask`)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.data.base import Dataset
from poise.dims import Size
from poise.metrics.accuracy import Accuracy
from poise.models.base import TrainableModel
from poise.models.device import Precision
from poise.models.pictures import Picture
from poise.models.views.base import AnyViews, TrainData, ViewDataset


@final
@dataclass(frozen=True, eq=False)
class TaskRun:
    """What a task may know of the run in which it trains.

    Attributes:
        best: The model that is validated and saved: the average of the weights where there is one.
        average: The moving average of the weights, or None.
        folder: Folder of the run; None on processes that write nothing.
        seed: Seed of all random numbers.
        epochs: Epochs of the run.
        batch: Views of a step of this process.
        workers: Data loader processes.
        device: Device of the model.
        precision: "fp32" or "bf16".
        say: Prints a line.
        progress: Tells the part of the run that is over, 0 to 1: of its epochs or, where a time budget ends the run before them
            and the schedule follows it (`Schedule.over_time`), of the budget.
    """

    best: TrainableModel
    average: TrainableModel | None
    folder: Path | None
    seed: int
    epochs: int
    batch: int
    workers: int
    device: torch.device
    precision: Precision
    say: Callable[[str], None]
    progress: Callable[[], float]


class Task(ABC):
    """How a model is trained and validated. `ModelTask` is supervised training; other tasks train in another way.

    A run makes one task for the model that is trained and one for the average that is validated. The hooks `start`,
    `begin_epoch`, `check` and the state (`state`, `load_state`) are called of the first alone. What a run must not forget when
    it is interrupted is in `state`; it is saved with every checkpoint and restored before `start`.

    Attributes:
        model: The model that is trained or validated.
        extra: Parts that are trained beside the network, with the same optimizer, and saved in checkpoints; None for none.
    """

    model: TrainableModel
    extra: nn.Module | None = None

    def start(self, run: TaskRun) -> None:  # noqa: B027  # a hook, empty by default
        """Called once when a run begins or goes on, before its first step and after `load_state`."""

    def begin_epoch(self, epoch: int) -> None:  # noqa: B027  # a hook, empty by default
        """Called at the start of each epoch, counted from 0; not for the rest of an epoch that was interrupted."""

    def check(self) -> dict[str, float]:
        """Further scores of a validation (more is better), which `val_scores` names; none by default."""
        return {}

    @property
    def done(self) -> bool:
        """Whether the run ends with this epoch, by a rule of the task."""
        return False

    def state(self) -> dict[str, Any]:
        """What a run that goes on needs beside weights, as plain values and tensors; nothing by default."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027  # a hook, empty by default
        """Restore what `state` gave.

        Raises:
            CheckpointError: Something is missing.
        """

    @property
    def steady_parts(self) -> Sequence[nn.Module]:
        """Parts of the network that stay in evaluation mode while the rest trains; none by default."""
        return ()

    @property
    def rising_parts(self) -> tuple[str, ...]:
        """Parts of the loss whose weight begins near 0 and rises, which is no divergence; none by default."""
        return ()

    @property
    def more_data(self) -> Mapping[str, Dataset]:
        """Data sets beside those of the recipe that the run learns from, by name; their checksums are kept."""
        return {}

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
    def train_views(self, data: TrainData, *, seed: int) -> AnyViews[Any, Any]:
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

    def accuracy(self, answer: Any, batch: Any) -> Accuracy | None:
        """PCK on the maps of a training batch (`TrainableModel.batch_accuracy`); None where nothing is to be told.

        Args:
            answer: The network's last answer while `losses` were computed.
            batch: The batch.
        """
        return None

    @abstractmethod
    def validate(self, batch: Any) -> tuple[dict[str, Float[Tensor, ""]], list[Any]]:
        """The parts of the loss of a batch by name, and the result of each view, pixels of the image; both can be pickled."""

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


class ModelTask(Task):
    """Supervised training: everything is the model's own (`TrainableModel`).

    Args:
        model: The model.
    """

    def __init__(self, model: TrainableModel) -> None:
        self.model = model

    def train_size(self, data: TrainData) -> Size:
        """Size of the views the model learns from (h, w), pixels."""
        return self.model.train_size(data)

    def train_views(self, data: TrainData, *, seed: int) -> AnyViews[Any, Any]:
        """`TrainableModel.train_views`."""
        return self.model.train_views(data, seed=seed)

    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """`TrainableModel.val_views`."""
        return self.model.val_views(dataset, seed=seed)

    def losses(self, batch: Any) -> dict[str, Float[Tensor, ""]]:
        """`TrainableModel.losses`."""
        return self.model.losses(batch)

    def accuracy(self, answer: Any, batch: Any) -> Accuracy | None:
        """`TrainableModel.batch_accuracy`."""
        return self.model.batch_accuracy(answer, batch)

    def validate(self, batch: Any) -> tuple[dict[str, Float[Tensor, ""]], list[Any]]:
        """`TrainableModel.validate`."""
        return self.model.validate(batch)

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """`TrainableModel.raw`."""
        return self.model.raw(images)

    def labelled(self, batch: Any) -> Float[Tensor, "_ 2"]:
        """`TrainableModel.labelled`."""
        return self.model.labelled(batch)

    def truth(self, dataset: Dataset) -> Any:
        """`TrainableModel.truth`."""
        return self.model.truth(dataset)

    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """`TrainableModel.score`."""
        return self.model.score(truth, found)

    def keypoint_scores(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """`TrainableModel.keypoint_scores`."""
        return self.model.keypoint_scores(truth, found)

    def picture(self, batch: Any) -> Picture:
        """`TrainableModel.picture`."""
        return self.model.picture(batch)


MakeTask = Callable[[TrainableModel], Task]
"""Function from a model to its task; called for the model that is trained and for the average that is validated."""
