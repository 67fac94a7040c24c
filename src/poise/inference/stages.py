"""Where the time goes: seconds of each stage of a stream of images, which overlap."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import final

READING, CROPS, DETECTOR, NETWORK, DECODING, WRITING = "reading", "crops", "detector", "network", "decoding", "writing"

STAGES = (READING, CROPS, DETECTOR, NETWORK, DECODING, WRITING)
"""In the order in which an image goes through them."""

SHOWN = 0.05
"""Seconds below which a stage is not worth a word."""


@final
class Stages:
    """A stopwatch for each stage; several threads may use it at once.

    Attributes:
        seconds: By the name of the stage. Stages run side by side, so their sum may exceed the time that passed.
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = Lock()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage."""
        return dict(self._seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Add to a stage."""
        with self._lock:
            self._seconds[stage] += seconds

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """The block is of this stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)


def speed_text(images: int, seconds: float, stages: Mapping[str, float], *, starting: float = 0.0, what: str = "image") -> str:
    """Images a second, and what the time went into.

    Args:
        images: How many.
        seconds: Time that passed.
        stages: Seconds of each stage.
        starting: Seconds of these that it took to start a runtime, once a run.
        what: What one of them is called.

    >>> speed_text(10, 2.0, {"reading": 1.5, "network": 1.25, "writing": 0.01})
    '10 images in 2.0 s (5.0 a second), side by side: reading 1.5 s, network 1.2 s'
    >>> speed_text(10, 2.0, {}, starting=1.0)
    '10 images in 2.0 s (5.0 a second; 10.0 once the runtime had started, after 1.0 s)'
    """
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in stages.items() if value >= SHOWN)
    rate = f"{images / max(seconds, 1e-6):.1f} a second"
    if starting >= SHOWN:
        rate += f"; {images / max(seconds - starting, 1e-6):.1f} once the runtime had started, after {starting:.1f} s"
    said = f"{images} {what}{'' if images == 1 else 's'} in {seconds:.1f} s ({rate})"
    return f"{said}, side by side: {parts}" if parts else said
