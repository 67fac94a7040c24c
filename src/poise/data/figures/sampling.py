"""Random choices with weights, and joint angles clipped to their limits."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")

LimbAngles: TypeAlias = tuple[float, float, float, float]
"""Joint angles of one arm or leg, degrees."""

Limits: TypeAlias = tuple[tuple[float, float], ...]
"""Smallest and greatest value of each angle, degrees."""


def weighted_choice(rng: np.random.Generator, options: Sequence[tuple[T, float]]) -> T:
    """Choose one of several options at random.

    Args:
        rng: Random numbers.
        options: The options and their weights; the weights need not add up to 1.
    """
    rest = rng.random() * sum(weight for _, weight in options)
    for option, weight in options:
        rest -= weight
        if rest < 0:
            return option
    return options[-1][0]


def clipped(angle: float, limits: tuple[float, float]) -> float:
    """An angle clipped to its limits, degrees."""
    return float(min(max(angle, limits[0]), limits[1]))


def limb_angles(angles: Sequence[float], limits: Limits) -> LimbAngles:
    """The four angles of a limb, each clipped to its limits, degrees."""
    a, b, c, d = (clipped(angle, limit) for angle, limit in zip(angles, limits, strict=True))
    return a, b, c, d
