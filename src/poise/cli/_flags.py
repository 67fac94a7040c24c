"""Flags that are none, whose values are none, or that would change nothing, where tyro would say less or nothing."""

import math
from collections.abc import Mapping, Sequence

from poise.errors import InputError, unknown

WORKERS = 2
"""Threads that read images, where a command is not told how many."""


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


def refuse(flags: Mapping[str, object], *, why: str) -> None:
    """Refuse flags that would change nothing.

    Args:
        flags: Their values by name; one that is None, False or empty was not given.
        why: Nothing would change.

    Raises:
        InputError: One is given.

    >>> refuse({"--device": None, "--no-flip": False, "--scales": ()}, why="no network is asked")
    """
    given = [flag for flag, value in flags.items() if value is not None and value is not False and value != ()]
    if given:
        raise InputError(f"{why}; leave out {' and '.join(given)}")


def threshold(flag: str, text: str) -> float | None:
    """A number from 0 to 1; None for "off".

    Raises:
        InputError: It is neither.

    >>> threshold("--oks-nms", "0.9"), threshold("--oks-nms", "off")
    (0.9, None)
    """
    if text == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f'{flag} is a number from 0 to 1, or "off", not {text!r}')
    return value
