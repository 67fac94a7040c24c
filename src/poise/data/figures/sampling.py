"""Choices by chance."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def weighted_choice(rng: np.random.Generator, options: Sequence[tuple[T, float]]) -> T:
    """One of the options, each as often as its share says; the shares need not add up to 1."""
    rest = rng.random() * sum(share for _, share in options)
    for option, share in options:
        rest -= share
        if rest < 0:
            return option
    return options[-1][0]
