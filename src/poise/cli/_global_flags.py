"""Flags of every command, before or after it: `--plugin`, `--max-pixels`, `--orientation`, `--outside-images`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from poise.errors import InputError
from poise.notes import note
from poise.plugins import use_plugin

LIMITS: Mapping[str, str] = {
    "--max-pixels": "POISE_MAX_PIXELS",
    "--outside-images": "POISE_OUTSIDE_IMAGES",
    "--orientation": "POISE_ORIENTATION",
}
"""Flags of what may be read and how, and the environment variables that say the same."""

ORIENTATIONS = ("stored", "shown")
"""Values of `--orientation`."""


def limits_now() -> dict[str, str]:
    """What may be read now, by flag; what nobody said is left out."""
    return {flag: os.environ[name] for flag, name in LIMITS.items() if os.environ.get(name)}


def set_limits(kept: object, *, run: Path) -> None:
    """Read as a run did, and let be read what it was allowed to read, unless this command says otherwise; it is said.

    Args:
        kept: `limits_now` of the run, as its settings have it; what has another form is left out.
        run: Folder of the run, for the message.
    """
    for flag, value in kept.items() if isinstance(kept, dict) else ():
        if flag not in LIMITS or not isinstance(value, str) or not _can_be(flag, value):
            continue
        if not os.environ.get(LIMITS[flag]):
            os.environ[LIMITS[flag]] = value
            note(f"images are read as in the run {str(run)!r}: {flag}{'' if flag == '--outside-images' else f' {value}'}")


def _can_be(flag: str, value: str) -> bool:
    return value in ORIENTATIONS if flag == "--orientation" else value.isascii() and value.isdigit()


def without_limits(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words without `--max-pixels N`, `--orientation HOW` and `--outside-images`, and the environment variables they set.

    Raises:
        InputError: The number of pixels, or the orientation, cannot be.
    """
    from poise.cli._ranges import check_ranges

    rest: list[str] = []
    variables: dict[str, str] = {}
    left = iter(words)
    for word in left:
        flag, same, value = word.replace("_", "-").partition("=")
        if flag == "--outside-images":
            variables[LIMITS[flag]] = "1"
        elif flag == "--orientation":
            value = value if same else next(left, "")
            if value not in ORIENTATIONS:
                raise InputError(f"--orientation is stored or shown; found {value[:40]!r}")
            variables[LIMITS[flag]] = value
        elif flag == "--max-pixels":
            value = value if same else next(left, "")
            check_ranges([flag, value])
            if not (value.isascii() and value.isdigit()):
                raise InputError(f"--max-pixels wants a number of pixels, such as --max-pixels 400000000; found {value!r}")
            variables[LIMITS[flag]] = value
        else:
            rest.append(word)
    return rest, variables


def without_plugins(words: list[str]) -> list[str]:
    """The words without `--plugin PACKAGE`; the packages are named, those of the working directory too.

    Raises:
        InputError: There is no such package, or none is given.
    """
    rest, packages, left = [], [], iter(words)
    for word in left:
        flag, same, value = word.partition("=")
        if flag != "--plugin":
            rest.append(word)
            continue
        packages.append(value if same else next(left, ""))
        if not packages[-1] or packages[-1].startswith("-"):
            raise InputError("--plugin wants the name of a package of your own, as in: poise evaluate --plugin mypkg")
    if packages and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last: what is installed comes before what lies here
    for package in packages:
        use_plugin(package)
    return rest
