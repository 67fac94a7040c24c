"""`torch.compile`: PyTorch's own compiler, which needs one of C++ on a CPU; compiled anew in each process."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from poise.runtimes.engine import Engine, Session


@final
class Compile(Engine):
    """PyTorch, compiled."""

    name, label, package, extra, suffix = "compile", "torch.compile", "torch", "", ""

    @property
    def version(self) -> str:
        """Version of PyTorch."""
        return version("torch")

    def convert(self, module: nn.Module, inputs: Sequence[Tensor], free: Sequence[Sequence[int]]) -> nn.Module:
        """The module as it is."""
        return module

    def save(self, program: Any, path: Path) -> None:
        """Nothing: it is compiled anew."""

    def read(self, path: Path) -> Any:
        """Nothing is kept."""
        raise FileNotFoundError(path)

    def start(self, program: Any, *, threads: int, device: str, bf16: bool) -> Session:
        """The compiled module, for any batch."""
        compiled: Any = torch.compile(program, dynamic=True)

        def run(inputs: Sequence[Tensor]) -> list[Tensor]:
            with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
                return list(compiled(*inputs))

        return run
