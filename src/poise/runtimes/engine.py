"""What a runtime can do: convert a part of a network, keep it in a file, and run it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from poise.errors import MissingExtra

Session = Callable[[Sequence[Tensor]], list[Tensor]]
"""Runs the converted part: its inputs, to its outputs, one after the other."""


class Engine(ABC):
    """A runtime.

    Attributes:
        name: As `--runtime` has it.
        label: Its name in sentences.
        package: Python package that it needs; "" for none beside PyTorch.
        extra: Extra of poise that brings the package.
        suffix: Ending of its files; "" for a runtime whose programs are not kept.
        bf16: Whether it computes in bfloat16 where it is asked to.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str]
    suffix: ClassVar[str]
    bf16: ClassVar[bool] = True

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.package) is not None

    @property
    def version(self) -> str:
        """Version of its package."""
        return version(self.package)

    @property
    def text(self) -> str:
        """Name and version, for reports."""
        return f"{self.label} {self.version}"

    def check_installed(self) -> None:
        """Refuse a runtime that is not installed.

        Raises:
            MissingExtra: Its package is not there.
        """
        if not self.installed:
            raise MissingExtra(f"{self.label} is not installed; it comes with: pip install 'poise[{self.extra}]'")

    @abstractmethod
    def convert(self, module: nn.Module, inputs: Sequence[Tensor], free: Sequence[Sequence[int]]) -> Any:
        """The program of a module that takes and gives tensors alone (`parts.Flat`).

        Args:
            module: In evaluation mode.
            inputs: An example of its inputs.
            free: Axes of each input that may have any length.
        """

    @abstractmethod
    def save(self, program: Any, path: Path) -> None:
        """Write a program; files beside it have its name and another ending."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """The program of a file that `save` wrote."""

    @abstractmethod
    def start(self, program: Any, *, threads: int, device: str, bf16: bool) -> Session:
        """A program ready to run.

        Args:
            program: As `convert` or `read` gave it.
            threads: Threads of one run.
            device: Type of the device, "cpu" or "cuda".
            bf16: Whether it may compute in bfloat16.
        """
