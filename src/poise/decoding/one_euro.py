"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012) as MediaPipe runs it: slow positions become steady."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

FIRST_FREQUENCY = 30.0
"""Frames a second before there is a second one."""


@final
class LowPass:
    """Exponential smoothing; the first value is kept as it is."""

    def __init__(self) -> None:
        self.last: Tensor | None = None

    def __call__(self, value: Float[Tensor, "*n"], alpha: Float[Tensor, "*n"] | float) -> Float[Tensor, "*n"]:
        """`alpha` times the value and the rest of what was last."""
        if self.last is None:
            self.last = value
        else:
            self.last = alpha * value + (1 - alpha) * self.last
        return self.last


@final
@dataclass(frozen=True)
class OneEuroSettings:
    """How a stream is smoothed.

    Attributes:
        min_cutoff: Cutoff frequency at rest, Hz.
        beta: How the cutoff grows with speed.
        derivative_cutoff: Cutoff frequency of the speed, Hz.
    """

    min_cutoff: float
    beta: float
    derivative_cutoff: float = 1.0


@final
class OneEuro:
    """Smooths values that come one after another.

    Args:
        settings: How.
    """

    def __init__(self, settings: OneEuroSettings) -> None:
        self.settings = settings
        self._value, self._speed = LowPass(), LowPass()
        self._time: float | None = None
        self._frequency = FIRST_FREQUENCY
        self._raw: Tensor | None = None

    def __call__(self, values: Float[Tensor, "*n"], *, time: float, scale: float = 1.0) -> Float[Tensor, "*n"]:
        """The smoothed values, float32.

        Args:
            values: Of this moment.
            time: Seconds; later than that of the values before.
            scale: Multiplies the speed; the speed is the step from the raw, not from the smoothed, values before.
        """
        if self._time is not None and time > self._time:
            self._frequency = 1.0 / (time - self._time)
        self._time = time
        values = values.float()
        step = torch.zeros_like(values) if self._raw is None else (values - self._raw) * scale * self._frequency
        self._raw = values
        speed = self._speed(step, self._alpha(self.settings.derivative_cutoff))
        cutoff = self.settings.min_cutoff + self.settings.beta * speed.abs()
        return self._value(values, self._alpha(cutoff))

    def _alpha(self, cutoff: Float[Tensor, "*n"] | float) -> Float[Tensor, "*n"] | float:
        return 1.0 / (1.0 + self._frequency / (2 * math.pi * cutoff))
