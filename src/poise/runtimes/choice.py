"""Which runtime runs a network: the one that is asked for, or the fastest that is installed."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import final

from poise.errors import unknown
from poise.runtimes.engine import Engine
from poise.runtimes.inductor import Compile
from poise.runtimes.onnx import OnnxRuntime
from poise.runtimes.openvino import OpenVino

VARIABLE = "POISE_RUNTIME"
"""Environment variable with the runtime where no flag says another."""

ENGINES: tuple[Engine, ...] = (OpenVino(), OnnxRuntime(), Compile())
"""Runtimes beside PyTorch itself; the fastest on a CPU first."""

TORCH = "torch"
"""Name of PyTorch as a runtime."""

NAMES = ("auto", TORCH, *(engine.name for engine in ENGINES))
"""What `--runtime` may be."""


@final
@dataclass(eq=False)
class Choice:
    """Runtimes to be tried one after the other; PyTorch comes last.

    Attributes:
        engines: The runtimes that are left.
        asked: Whether the user named it: then nothing else takes its place.
        why: What was found wrong of those that are not left.
        seconds: How long it took to start them: to convert or read a network, and to compare it with PyTorch's.
    """

    engines: list[Engine] = field(default_factory=list)
    asked: bool = False
    why: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """The block starts a runtime."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started

    @property
    def text(self) -> str:
        """The runtime with its version; "" for PyTorch."""
        return self.engines[0].text if self.engines else ""


def choose_runtime(name: str | None, device: str, *, first: str = "") -> Choice:
    """The runtime of that name; without a name (or with "auto") the fastest that is installed, on a CPU.

    Args:
        name: "torch", "compile", "onnxruntime", "openvino", "auto", or None: then the environment variable `POISE_RUNTIME`.
        device: Type of the device, such as "cpu".
        first: Runtime that is the fastest of a network, where it is not the one that is the fastest of most.

    Raises:
        UnknownName: There is no such runtime.
        MissingExtra: It is not installed.
    """
    wanted = preferred(name)
    if wanted not in NAMES:
        raise unknown("runtime", wanted, NAMES)
    if wanted == TORCH:
        return Choice()
    if wanted == "auto":
        return Choice(sorted(_installed(), key=lambda engine: engine.name != first) if device == "cpu" else [])
    [engine] = [one for one in ENGINES if one.name == wanted]
    engine.check_installed()
    return Choice([engine], asked=True)


def preferred(name: str | None) -> str:
    """The runtime of a command: what the user named, else what `POISE_RUNTIME` names, else "auto".

    Args:
        name: Value of `--runtime`; None where it was not given.
    """
    return name or os.environ.get(VARIABLE) or "auto"


def _installed() -> list[Engine]:
    """The runtimes that are there and keep what they convert."""
    found: Sequence[Engine] = [engine for engine in ENGINES if engine.suffix and engine.installed]
    return list(found)
