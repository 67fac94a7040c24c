"""Flags of every command, before or after it: `--plugin`, `--max-pixels`, `--outside-images`."""

import sys
from pathlib import Path

from poise.errors import InputError
from poise.plugins import use_plugin


def without_limits(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words without `--max-pixels N` and `--outside-images`, and the environment variables that these set.

    Raises:
        InputError: The number of pixels cannot be.
    """
    from poise.cli._ranges import check_ranges

    rest: list[str] = []
    variables: dict[str, str] = {}
    left = iter(words)
    for word in left:
        flag, same, value = word.replace("_", "-").partition("=")
        if flag == "--outside-images":
            variables["POISE_OUTSIDE_IMAGES"] = "1"
        elif flag == "--max-pixels":
            value = value if same else next(left, "")
            check_ranges([flag, value])
            if not (value.isascii() and value.isdigit()):
                raise InputError(f"--max-pixels wants a number of pixels, such as --max-pixels 400000000; found {value!r}")
            variables["POISE_MAX_PIXELS"] = value
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
