"""What the numbers of every augmentation must be."""

import math
from dataclasses import fields
from typing import Any

from poise.errors import InputError


def check_finite(augmentation: Any) -> None:
    """Refuse an augmentation with a number that is nan or infinite: comparisons let them through.

    Args:
        augmentation: A dataclass of numbers, tuples of numbers and other values.

    Raises:
        InputError: A number is not finite.
    """
    for one in fields(augmentation):
        value = getattr(augmentation, one.name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
            raise InputError(f"augmentation: {one.name} is a finite number, not {value}")
