"""Flags that are none, and values that are none: the nearest are named, also where tyro would only speak of what lacks."""

import math
from collections.abc import Sequence

from poise.errors import InputError, unknown


def wrong_flag(words: Sequence[str], names: Sequence[str]) -> str | None:
    """What to say of the first word that begins with `--` and is no flag; None where all are.

    Args:
        words: Of the command line, after the command.
        names: Of the arguments of the command.

    >>> wrong_flag(["--epoch", "3"], ["epochs", "batch"])
    "there is no flag '--epoch'; did you mean '--epochs' or '--batch'?"
    """
    flags = {f"--{name}".replace("_", "-") for name in names} | {"--help"}
    for word in words:
        flag = word.partition("=")[0].partition(".")[0].replace("_", "-")
        if word.startswith("--") and not {flag, flag.replace("--no-", "--")} & flags:
            return str(unknown("flag", flag, flags))
    return None


def check_number(flag: str, value: float | None) -> None:
    """Refuse what only looks like a number: nothing is above or below it.

    Raises:
        InputError: It is nan.
    """
    if value is not None and math.isnan(value):
        raise InputError(f"{flag} is a number; found nan")
