"""What the options of a recipe for several kinds of models are; loads nothing heavy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from poise.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelOptions(ABC):
    """Options of a recipe that trains models of several kinds; each kind has a type of options, with the flags it reads.

    Attributes:
        model: Name of the model.
    """

    kind: ClassVar[str] = "models"
    """What the models of these options are called, in the plural."""

    model: str

    @classmethod
    @abstractmethod
    def kinds(cls) -> tuple[type["ModelOptions"], ...]:
        """The options of all kinds of models."""

    @classmethod
    @abstractmethod
    def for_model(cls, name: str | None = None) -> type["ModelOptions"]:
        """The options of a model.

        Args:
            name: Of the model; by default the model that is trained where nobody names one.

        Raises:
            UnknownName: There is no such model.
            InputError: Its name asks for a network that cannot be.
        """

    @classmethod
    def by_name(cls, name: str | None = None) -> type["ModelOptions"] | None:
        """The options of a model whose name alone tells its kind, without making it; None where it does not.

        Args:
            name: Of the model; by default the model that is trained where nobody names one.
        """
        return None

    @classmethod
    def other_flags(cls) -> Mapping[str, str]:
        """Flags that other kinds of models have and these have not, with what those kinds are called."""
        own, found = {field.name for field in fields(cls)}, dict[str, list[str]]()
        for kind in cls.kinds():
            for field in fields(kind):
                if field.name not in own:
                    found.setdefault(field.name, []).append(kind.kind)
        return {name: " and ".join(kinds) for name, kinds in found.items()}

    @classmethod
    def refuse(cls, flags: Mapping[str, str], *, model: str) -> None:
        """Refuse flags of other kinds of models.

        Args:
            flags: Those that are given: as Python names, and as typed.
            model: Name of the model.

        Raises:
            InputError: There is one.
        """
        for name, kinds in cls.other_flags().items():
            if name in flags:
                raise InputError(f"{flags[name]} is for {kinds}, and {model} is not one of them; leave it out")
