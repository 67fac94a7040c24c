"""`Recipe`: model, data, optimizer and schedule of a training run. `recipes/` makes recipes, `fit` trains them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.models.views.base import TrainData
from poise.skeletons.mapping import KeypointMap
from poise.training.task import MakeTask, ModelTask
from poise.transforms.jitter import Augmentation


@final
@dataclass(frozen=True)
class Optimizer:
    """Optimizer and its settings.

    Attributes:
        kind: "adam", "adamw", "sgd" or "rmsprop" (torch's, without momentum).
        rate: Learning rate for batches of the recipe's `base_batch`.
        decay: Weight decay.
        spare: Whether norms, biases, positions and tokens have no weight decay; in the releases of CPN and MSPN they have.
        backbone: Factor on the learning rate of the backbone, for fine-tuning.
        layers: Factor on the learning rate from each block of a transformer to the one before, the first one having the lowest
            (layer-wise decay, arXiv 2111.06377); patches, positions and tokens are before the first.
        betas: Betas of Adam.
        momentum: Momentum of SGD.
        bias: Factor on the learning rate of biases; releases of detectors use 2.
    """

    kind: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    rate: float = 1e-3
    decay: float = 0.0
    spare: bool = True
    backbone: float = 1.0
    layers: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    bias: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.rate > 0 or min(self.decay, self.backbone, self.bias) < 0:
            raise InputError(
                "an optimizer needs a learning rate above 0 and no negative decay, backbone or bias factor; "
                f"found rate {self.rate}, decay {self.decay}, backbone {self.backbone}, bias {self.bias}"
            )
        if not 0 < self.layers <= 1:
            raise InputError(f"the rate's factor from block to block is above 0 and at most 1, not {self.layers}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"an optimizer's momentum is 0 to below 1, not {self.momentum}")


@final
@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a run.

    Attributes:
        kind: "steps" multiplies by `factor` at each milestone; "cosine" and "linear" fall to `floor` over the whole run;
            "constant" stays.
        milestones: Epochs of "steps", whole or not.
        factor: Factor at each milestone.
        floor: Last learning rate of "cosine" and "linear", as a share of the full rate.
        hold: Share of the run before "cosine" and "linear" begin to fall (RTMPose: a half).
        warmup_steps: Steps of linear warm-up, at most a tenth of the run.
        warmup_start: First learning rate of the warm-up, as a share of the full rate.
        over_time: With a time budget, "cosine" and "linear" also follow the used share of the budget, so that they end with
            it. Such a run depends on the speed of the machine and cannot be repeated bit by bit.
    """

    kind: Literal["steps", "cosine", "linear", "constant"] = "steps"
    milestones: tuple[int | float, ...] = ()
    factor: float = 0.1
    floor: float = 0.01
    hold: float = 0.0
    warmup_steps: int = 0
    warmup_start: float = 0.001
    over_time: bool = False

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 <= self.hold < 1:
            raise InputError(f"a schedule holds the full rate for a share of the run from 0 to below 1, not {self.hold}")


@final
@dataclass(frozen=True)
class LastPart:
    """The last epochs of a run, whose views are changed otherwise; optimizer, schedule and average go on.

    Attributes:
        share: Share of the epochs that they are.
        augmentation: Augmentation of their views; None for none.
    """

    share: float
    augmentation: Any | None

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.share < 1:
            raise InputError(f"the last part of a run is a share of its epochs above 0 and below 1, not {self.share}")

    def begin(self, epochs: int) -> int:
        """The epoch, counted from 0, with which it begins."""
        return round(epochs * (1 - self.share))


@final
@dataclass(frozen=True, eq=False)
class Recipe:
    """One run, ready to be trained.

    Attributes:
        name: Name of the recipe.
        model: The model, with its initial weights.
        train: Training data.
        val: Validation data, used every `val_every` epochs, with ground-truth boxes or as whole images; None for no validation.
        epochs: Passes through the training data.
        batch: People, or whole images, per step, over all devices.
        base_batch: The batch that `optimizer.rate` is meant for; another batch scales the rate linearly. None: `batch`.
        augmentation: Augmentation of training views, a frozen dataclass of the type of the model's views: `Augmentation`
            (top-down), `SceneAugmentation` (bottom-up), `DetectorAugmentation`; None for none.
        last: The last epochs, whose views are changed otherwise; None for no such part.
        size: Size of training views of whole images (h, w), pixels; None for squares of the side of the model's canvas. Views
            of people are as large as the model's codec says.
        optimizer: Optimizer and its settings.
        schedule: Learning rate schedule.
        average: Decay of the EMA of the weights, which is then validated and saved; None for no EMA.
        clip: Largest norm of the gradient; None for no clipping.
        best: Score that selects the best model; more is better.
        freeze_epochs: First epochs in which the backbone is frozen.
        still: Names of the parts of the network that are frozen over the whole run, such as "backbone.body.layer1".
        repeats: How often each view comes in an epoch; None for so often that an epoch has `training.data.MIN_STEPS` steps.
        val_every: Epochs from one validation, with its picture and saved state, to the next; the last epoch always has one.
            None for so many that `training.data.VAL_STEPS` steps lie between two, but at most a tenth of the epochs.
        empty: Whether a detector also learns from images without labelled people.
        select: Whether to leave out people whose keypoints lie off the middle of their box, as HRNet's release can.
        expected: Expected scores, by name.
        notes: Remarks on the expected scores.
        differs: What differs from the recipe as it stands in the source, in words; empty for nothing.
        settings: Name and arguments of the recipe, to make it again. Filled by `recipes.find`.
        task: Function from a model to its `Task`; supervised training (`ModelTask`) by default. Adaptation trains the same
            models with another task.
        mapping: Which keypoint of a model to start from stands for which of this one, where names do not tell.
        then: Further stages, each a whole schedule that starts from the best weights of the one before. A stage may train
            another network on the same keypoints: weights of the same name and shape are carried on.
    """

    name: str
    model: TrainableModel
    train: Dataset
    val: Dataset | None
    epochs: int
    batch: int
    base_batch: int | None = None
    augmentation: Any | None = field(default_factory=Augmentation)
    last: LastPart | None = None
    size: Size | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    average: float | None = None
    clip: float | None = None
    best: str = "pck@0.1"
    freeze_epochs: int = 0
    still: tuple[str, ...] = ()
    repeats: int | None = 1
    val_every: int | None = None
    empty: bool = False
    select: bool = False
    expected: Mapping[str, float] = field(default_factory=dict)
    notes: str = ""
    differs: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: MakeTask = ModelTask
    mapping: KeypointMap | None = None
    then: tuple["Recipe", ...] = ()

    def __post_init__(self) -> None:
        """Check counts, and that model, data and stages fit together."""
        if self.epochs < 1 or self.batch < 1:
            raise InputError(
                f"recipe {self.name!r} needs at least one epoch and a batch of one, found {self.epochs}, {self.batch}"
            )
        if self.val_every is not None and self.val_every < 1:
            raise InputError(f"recipe {self.name!r}: a validation comes every epoch or more rarely, not every {self.val_every}")
        if self.average is not None and not 0 <= self.average < 1:
            raise InputError(f"recipe {self.name!r}: the decay of the weight average is 0 to below 1, not {self.average}")
        names = _keypoints(self.model)
        for dataset in (self.train, self.val):
            if dataset is not None and names and dataset.skeleton.keypoints != names:
                raise InputError(
                    f"recipe {self.name!r}: the model has the keypoints {', '.join(names)} and the "
                    f"data {', '.join(dataset.skeleton.keypoints)}; give them one order (data can be joined by keypoint name)"
                )
        parts = dict(self.model.network.named_modules())
        strange = [name for name in self.still if name not in parts]
        if strange:
            raise InputError(
                f"recipe {self.name!r}: {', '.join(strange)} cannot stay as it is, the network has no such part; there are "
                f"{', '.join(name for name in parts if name and name.count('.') < 3)[:400]}"
            )
        if any(stage.then or _keypoints(stage.model) != _keypoints(self.model) for stage in self.then):
            raise InputError(
                f"recipe {self.name!r}: every stage must train the recipe's own keypoints, and have no stages itself"
            )

    @property
    def data(self) -> TrainData:
        """The data, augmentation and sizes of training views."""
        return TrainData(self.name, self.train, self.augmentation, self.size, self.select, self.empty)

    def staged(self, count: int) -> "Recipe":
        """The recipe trained `count` times, each time from the best weights before (LPN, arXiv 1911.10346).

        Raises:
            InputError: No positive number, or the recipe has stages of its own.
        """
        if count < 1:
            raise InputError(f"recipe {self.name!r}: a run has at least one stage, not {count}")
        if count > 1 and self.then:
            raise InputError(f"recipe {self.name!r} has {len(self.then) + 1} stages of its own; train it without --stages")
        return self if count == 1 else replace(self, then=(self,) * (count - 1))


def _keypoints(model: TrainableModel) -> tuple[str, ...]:
    """Names of the keypoints that a model learns; none for a detector of boxes."""
    return () if model.skeleton is None else model.skeleton.keypoints
