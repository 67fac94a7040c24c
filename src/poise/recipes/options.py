"""Base class of the options of a recipe for several types of models; loads nothing heavy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

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
