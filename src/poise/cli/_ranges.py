"""Ranges of the numbers of flags: looked up by the words of the command line, before anything is imported or read.

Flags of one name mean the same in every command, so a range stands here once. Recipes of a user's own choose their flags
themselves; of theirs only those of every run are looked at here, and what is no number is refused afterwards (`check_finite`).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poise.errors import InputError


@dataclass(frozen=True)
class Range:
    """The numbers that a flag may be.

    Attributes:
        low: The smallest.
        high: The largest.
        whole: Whether it is a whole number.
        open_low: Whether it is above `low`.
        open_high: Whether it is below `high`.
    """

    low: int | float
    high: int | float
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: int | float) -> bool:
        """Whether a number is one of them; nan is not."""
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        """In words."""
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:,.10g}" for end in (self.low, self.high))
        ends = f"{'above ' * self.open_low}{low} to {'below ' * self.open_high}{high}"
        return f"{'a whole number' if self.whole else 'a number'}, {ends}"


def _count(low: int, high: int) -> Range:
    return Range(low, high, whole=True)


def _above_zero(high: int | float) -> Range:
    return Range(0, high, open_low=True)


_SEED = _count(0, 2**32 - 1)
_EPOCHS = _count(0, 1_000_000)
_IMAGES = _count(1, 10_000_000)
_SIDE = _count(8, 8192)
_SHARE = Range(0, 1)
_KEPT = Range(0, 1, open_low=True)
_PART = Range(0, 1, open_high=True)
_SCORE = Range(-1e9, 1e9)

EVERY_RUN: Mapping[str, Range] = {
    "seed": _SEED,
    "batch": _count(1, 100_000),
    "accumulate": _count(1, 100_000),
    "workers": _count(0, 1024),
    "stages": _count(1, 1000),
    "devices": _count(1, 1024),
    "nodes": _count(1, 100_000),
    "minutes": _above_zero(1e7),
    "save_minutes": Range(0, 1e7),
    "snapshots": _count(1, 1_000_000),
    "log_every": _count(1, 10**9),
    "steps": _count(1, 10**12),
}
"""Ranges of the flags of every training, by their names in Python."""

RANGES: Mapping[str, Range] = {
    **EVERY_RUN,
    "actors": _count(1, 1_000_000),
    "average": _PART,
    "backbone_rate": Range(0, 1000),
    "box_sides": _above_zero(100),
    "check_people": _count(0, 10_000_000),
    "checked": _IMAGES,
    "clip": _above_zero(1e9),
    "colour": Range(0, 10),
    "cores": _above_zero(1e9),
    "copies": _count(0, 100_000),
    "count": _IMAGES,
    "crop": _SHARE,
    "decay": Range(0, 10),
    "drawn": _count(0, 10_000_000),
    "detect_every": _count(1, 1_000_000),
    "discriminator_layers": _count(0, 100),
    "discriminator_width": _count(1, 65536),
    "drop_from": _PART,
    "epoch_views": _IMAGES,
    "epochs": _count(1, 1_000_000),
    "every": _count(1, 1_000_000),
    "finest": _count(1, 128),
    "first_share": _KEPT,
    "frames": _count(1, 100_000),
    "freeze": _count(0, 100),
    "freeze_epochs": _EPOCHS,
    "gamma": Range(0, 1e6),
    "gpus": _above_zero(1e9),
    "half_body": _SHARE,
    "height": _above_zero(1e6),
    "id": _count(-(2**63), 2**63 - 1),
    "iterations": _count(1, 10**12),
    "keep": _KEPT,
    "keypoint_share": _KEPT,
    "last_share": _KEPT,
    "least": _count(1, 10_000),
    "map_weight": Range(0, 1e9),
    "max_lost": _count(0, 1_000_000),
    "gap": _count(1, 1000),
    "max_pixels": _count(1, 10**12),
    "mean": _SHARE,
    "milestones": _above_zero(10**12),
    "min_box_score": _SHARE,
    "min_keypoint_score": _SCORE,
    "min_score": _SCORE,
    "min_area": Range(0, 1e12),
    "mosaic": _SHARE,
    "network_ms": _above_zero(1e7),
    "padding": _above_zero(100),
    "part": _IMAGES,
    "passes": _count(1, 2),
    "pasted": _SHARE,
    "patience": _count(1, 1_000_000),
    "people": _IMAGES,
    "people_per_image": _above_zero(10_000),
    "per_image": _count(1, 100),
    "rate": _above_zero(1000),
    "ratio": _above_zero(100),
    "reads": _count(1, 1000),
    "rendered": _count(0, 10_000_000),
    "repeats": _count(1, 1_000_000),
    "resamples": _count(1, 1_000_000),
    "rise": _count(0, 10**9),
    "rotation": Range(0, 360),
    "scale": _PART,
    "scales": _above_zero(100),
    "seconds": Range(0, 60, open_low=True),
    "share": Range(0, 1, open_low=True, open_high=True),
    "share_step": _KEPT,
    "side": _SIDE,
    "sides": _SIDE,
    "sigma": _above_zero(1000),
    "size": _SIDE,
    "small": _SIDE,
    "small_epochs": _count(1, 1_000_000),
    "source_epochs": _EPOCHS,
    "split_seed": _SEED,
    "std": Range(0, 1, open_low=True),
    "tested": _IMAGES,
    "threshold": _SHARE,
    "tiny": _SIDE,
    "tiny_epochs": _count(1, 1_000_000),
    "tolerance": Range(0, 1000),
    "turn": _SHARE,
    "val_every": _count(1, 1_000_000),
    "val_share": _PART,
    "warmup": _count(0, 10**12),
    "w1": Range(0, 1e9),
    "w2": Range(0, 1e9),
    "warmup_epochs": _EPOCHS,
    "weight": Range(0, 1e9),
}
"""Ranges of the flags of every command and recipe of poise, by their names in Python."""


def check_ranges(words: Sequence[str], ranges: Mapping[str, Range] = RANGES) -> None:
    """Refuse numbers that a flag cannot be; words that are no numbers are left to whoever reads them.

    Args:
        words: Words of the command line, after the command.
        ranges: Ranges of the flags, by their names in Python.

    Raises:
        InputError: A number is out of its range, is nan or infinite.

    >>> check_ranges(["--batch", "4", "--seed=-1"])
    Traceback (most recent call last):
    ...
    poise.errors.InputError: --seed is a whole number, 0 to 4,294,967,295; found -1
    """
    flag = ""
    for word in words:
        value = word
        if word.startswith("--"):
            flag, _, value = word.partition("=")
        wanted = ranges.get(python_name(flag))
        number = _number(value)
        if wanted is not None and number is not None and (number not in wanted or (wanted.whole and number % 1)):
            raise InputError(f"{flag} is {wanted}; found {value if len(value) <= 40 else value[:37] + '...'}")


def python_name(flag: str) -> str:
    """The name in Python of a flag as typed: without `--`, `--no-` and `=VALUE`.

    >>> python_name("--no-flip"), python_name("--min-score=0.5")
    ('flip', 'min_score')
    """
    return flag.partition("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_")


def _number(word: str) -> int | float | None:
    """The number of a word, whole ones exactly; None for other words."""
    try:
        return int(word) if word.lstrip("+-").isdecimal() and len(word) < 4000 else float(word)
    except ValueError:
        return None


def check_finite(flags: Mapping[str, Any], *, besides: Collection[str] = ()) -> None:
    """Refuse what only looks like a number, of any flag.

    Args:
        flags: Values by name.
        besides: Names of flags that may be anything.

    Raises:
        InputError: One is nan or infinite.
    """
    for name, value in flags.items():
        each = value if isinstance(value, list | tuple) else (value,)
        if name not in besides and any(isinstance(one, float) and not math.isfinite(one) for one in each):
            raise InputError(f"--{name.replace('_', '-')} is a finite number; found {value}")


def repeated(words: Sequence[str]) -> str | None:
    """Message about the first flag that is given twice; None where none is.

    Args:
        words: Words of the command line, after the command, as the user typed them.

    >>> repeated(["--batch", "4", "--batch=1"])
    'the flag --batch is given twice; which one counts? give it once'
    """
    seen: set[str] = set()
    for word in words:
        name = python_name(word)
        if word.startswith("--") and name in seen:
            return f"the flag {word.partition('=')[0]} is given twice; which one counts? give it once"
        seen |= {name} if word.startswith("--") else set()
    return None
