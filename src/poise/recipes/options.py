"""Base class of the options of a recipe for several types of models; loads nothing heavy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from poise.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ABC):
    """Options of a recipe for several types of models; each type has options of its own, with the flags it reads.

    Attributes:
        model: Name of the model.
    """

    kind: ClassVar[str] = "models"
    """Name of these models, in the plural, for messages."""

    model: str

    @classmethod
    @abstractmethod
    def types(cls) -> tuple[type["ModelOptions"], ...]:
        """The options of all types of models."""

    @classmethod
    @abstractmethod
    def for_model(cls, name: str | None = None) -> type["ModelOptions"]:
        """The options of a model.

        Args:
            name: Name of the model; by default the default model of the recipe.

        Raises:
            UnknownName: There is no such model.
            InputError: Its name asks for a network that cannot be.
        """

    @classmethod
    def by_name(cls, name: str | None = None) -> type["ModelOptions"] | None:
        """The options of a model whose type is known from its name, without building it; None for other names.

        Args:
            name: Name of the model; by default the default model of the recipe.
        """
        return None

    @classmethod
    def other_flags(cls) -> Mapping[str, str]:
        """Flags of other types of models that these options do not have, with the names of those types."""
        own, found = {field.name for field in fields(cls)}, dict[str, list[str]]()
        for options in cls.types():
            for field in fields(options):
                if field.name not in own:
                    found.setdefault(field.name, []).append(options.kind)
        return {name: " and ".join(names) for name, names in found.items()}

    @classmethod
    def refuse(cls, flags: Mapping[str, str], *, model: str) -> None:
        """Refuse flags of other types of models.

        Args:
            flags: Flags that were given: Python names, and the words typed.
            model: Name of the model.

        Raises:
            InputError: A flag of another type was given.
        """
        for name, types in cls.other_flags().items():
            if name in flags:
                raise InputError(f"{flags[name]} is for {types}, and {model} is not one of them; leave it out")


@dataclass(frozen=True, kw_only=True)
class RecipeChanges:
    """What is to differ from a recipe as it stands. A recipe's own flag of such a name is meant instead.

    Attributes:
        epochs: Epochs, of each stage.
        rate: Learning rate, for batches of the size that the recipe's own is meant for; it follows --batch linearly.
        milestones: Epochs after which the schedule "steps" multiplies the learning rate by its factor.
        decay: Weight decay.
        optimizer: adam, adamw, sgd or rmsprop.
        schedule: Schedule of the learning rate: steps, cosine, linear or constant.
        warmup: Steps of linear warm-up of the learning rate.
        clip: Largest norm of the gradient.
        average: Decay of the moving average (EMA) of the weights.
        loss: Loss of the codec, where it has several: OffsetGuided's heatmaps focal or l2, penalties of regression.
        weight: Weight of the codec's loss, where it has one.
        sigma: Standard deviation of the codec's Gaussian labels, cells.
        codec_set: Fields of the codec, such as `ohkm=8` or `height=1`; nested ones as `cost.heat=l2`.
        padding: Factor by which a box grows before the view of a person is cut from it.
        box_sides: Factors by which width and height of a box grow before that, as in the releases of MSPN and CPN.
        parts: Parts of COCO 2017 that are learnt from together, such as train2017 val2017.
        min_area: Labelled people of a smaller area (square pixels of the image) are neither learnt nor validated on, as if they
            were crowds.
        augmentation: Fields of the augmentation, such as `rotation=30` or `flip=0`; "none" for no augmentation.
    """

    epochs: int | None = None
    rate: float | None = None
    milestones: list[float] | None = None
    decay: float | None = None
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] | None = None
    schedule: Literal["steps", "cosine", "linear", "constant"] | None = None
    warmup: int | None = None
    clip: float | None = None
    average: float | None = None
    loss: str | None = None
    weight: float | None = None
    sigma: float | None = None
    codec_set: list[str] | None = None
    padding: float | None = None
    box_sides: tuple[float, float] | None = None
    parts: list[str] | None = None
    min_area: float | None = None
    augmentation: list[str] | None = None
