"""Numbers of a model file's metadata, all looked at before anything is made of them.

Types of fields are the classes' own matter; here stands what no model has: sizes that are no two whole numbers or would take
all memory, stacks without end, and what only looks like a number.
"""

import math
from collections.abc import Mapping
from typing import Any

from poise.errors import CheckpointError

LARGEST_SIDE = 8192
"""Largest side of views and maps, pixels or cells."""

MOST: Mapping[str, int] = {
    **dict.fromkeys(("stacks", "blocks", "stages"), 64),
    **dict.fromkeys(("size", "cells", "side", "depth", "width"), LARGEST_SIDE),
    "keypoints": 4096,
    "channels": 65536,
}
"""The most that whole numbers of these names may be; where there are as many, nothing could be made of them."""

LARGEST = 10**9
"""The most that any other whole number may be."""

CODECS = ("codec.", "deep.")
"""Beginnings of the fields of codecs."""

SIZES = ("size", "cells")
"""Fields of codecs that are a height and a width."""


def check_values(values: Any) -> None:
    """Refuse metadata with numbers that cannot be.

    Args:
        values: As it was read.

    Raises:
        CheckpointError: It is no object with a preprocessing and a card, or a number cannot be; the message names its field.
    """
    if not isinstance(values, Mapping) or not all(isinstance(values.get(part), Mapping) for part in ("card", "preprocess")):
        raise CheckpointError("its metadata says neither preprocessing nor card; was it edited?")
    made = values["card"].get("architecture")
    if not isinstance(made, Mapping) or not isinstance(made.get("arguments", {}), Mapping):
        raise CheckpointError("its card says no architecture; was it edited?")
    if not isinstance(values.get("format"), int):
        raise CheckpointError(f"its format {values.get('format')!r} cannot be understood; expected a whole number")
    _check({name: value for name, value in values.items() if name != "card"}, "")
    _check({"card": {"architecture": made}}, "")
    _check_finite(values["preprocess"], "preprocess")


def _check(value: Any, where: str) -> None:
    name = where.rpartition(".")[2]
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check(inner, f"{where}.{key}" if where else str(key))
    elif name in SIZES and where.startswith(CODECS):
        _check_size(value, where)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, where)
    elif isinstance(value, float) and math.isnan(value):
        raise CheckpointError(f"its {where} is nan, which is no number; was it edited?")
    elif isinstance(value, int) and not -LARGEST <= value <= _most(where):
        raise CheckpointError(f"its {where} is {value}, and {_most(where):,} are the most")
    elif name in MOST and where.startswith(CODECS) and isinstance(value, float):
        raise CheckpointError(f"its {where} is {value}; expected a whole number")


def _most(where: str) -> int:
    """The most that a whole number may be: of codecs and networks by its name."""
    return MOST.get(where.rpartition(".")[2], LARGEST) if where.startswith((*CODECS, "card.")) else LARGEST


def _check_size(value: Any, where: str) -> None:
    """Refuse what is no height and width."""
    sides = value if isinstance(value, list) else []
    pair = len(sides) == 2 and all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides)
    if not pair:
        raise CheckpointError(
            f"its {where} is {str(value)[:60]}; expected height and width, two whole numbers from 1 to {LARGEST_SIDE}"
        )


def _check_finite(value: Any, where: str) -> None:
    """Refuse infinite numbers, by which every pixel would be divided or moved."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for inner in value:
            _check_finite(inner, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise CheckpointError(f"its {where} is {value}; expected a finite number")
