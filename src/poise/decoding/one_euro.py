"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012) as MediaPipe runs it: slow positions become steady."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FIRST_FREQUENCY = 30.0
"""Frames a second before there is a second one."""


@final
class LowPass:
    """Exponential smoothing; the first value is kept as it is."""

    def __init__(self) -> None:
        self.last: Tensor | None = None

    def __call__(
        self, value: Float[Tensor, "*n"], alpha: Float[Tensor, "*n"] | float, known: Bool[Tensor, "*n"] | None = None
    ) -> Float[Tensor, "*n"]:
        """`alpha` times the value and the rest of what was last; nan where there was no known value yet.

        Args:
            value: Of this moment.
            alpha: Share of the value.
            known: Which values count; the others change nothing. By default all.
        """
        before = torch.full_like(value, math.nan) if self.last is None else self.last
        moved = torch.where(before.isnan(), value, alpha * value + (1 - alpha) * before)
        self.last = moved if known is None else torch.where(known, moved, before)
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

    def __call__(
        self,
        values: Float[Tensor, "*n"],
        *,
        time: float,
        scale: Float[Tensor, "*n"] | float = 1.0,
        known: Bool[Tensor, "*n"] | None = None,
    ) -> Float[Tensor, "*n"]:
        """The smoothed values, float32; nan where no value was known yet.

        Args:
            values: Of this moment.
            time: Seconds; later than that of the values before.
            scale: Multiplies the speed; the speed is the step from the raw, not from the smoothed, values before.
            known: Which values count; the others change nothing. By default all.
        """
        if self._time is not None and time > self._time:
            self._frequency = 1.0 / (time - self._time)
        self._time = time
        values = values.float()
        before = values if self._raw is None else torch.where(self._raw.isnan(), values, self._raw)
        step = (values - before) * scale * self._frequency
        unknown = torch.full_like(values, math.nan) if self._raw is None else self._raw
        self._raw = values if known is None else torch.where(known, values, unknown)
        speed = self._speed(step, self._alpha(self.settings.derivative_cutoff), known)
        cutoff = self.settings.min_cutoff + self.settings.beta * speed.abs()
        return self._value(values, self._alpha(cutoff), known)

    def to_plain(self) -> dict[str, Any]:
        """What it remembers, as plain types; values that are not known are None."""
        tensors = {"value": self._value.last, "speed": self._speed.last, "raw": self._raw}
        return {"time": self._time, "frequency": self._frequency, **{name: _plain(own) for name, own in tensors.items()}}

    def restore(self, values: dict[str, Any]) -> None:
        """Remember what `to_plain` wrote."""
        self._time, self._frequency = values["time"], values["frequency"]
        self._value.last, self._speed.last, self._raw = (_tensor(values[name]) for name in ("value", "speed", "raw"))

    def _alpha(self, cutoff: Float[Tensor, "*n"] | float) -> Float[Tensor, "*n"] | float:
        return 1.0 / (1.0 + self._frequency / (2 * math.pi * cutoff))


def _plain(values: Tensor | None) -> Any:
    if values is None:
        return None
    flat = [None if math.isnan(value) else value for value in values.flatten().tolist()]
    return {"shape": list(values.shape), "values": flat}


def _tensor(plain: Any) -> Tensor | None:
    if plain is None:
        return None
    flat = [math.nan if value is None else value for value in plain["values"]]
    return torch.tensor(flat, dtype=torch.float32).reshape(plain["shape"])
