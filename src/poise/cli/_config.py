"""`poise train --config FILE`: the file of another trainer as a command of poise, said line by line."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from poise.errors import InputError

FLAG = "--config"


def command_of_file(words: Sequence[str]) -> list[str]:
    """The words of a command with `--config FILE KEY value ...`, as those of the recipe that the file asks for.

    What was taken of each line, and what was not, is printed; flags that were typed come in place of the file's.

    Args:
        words: Words after `poise train`.

    Raises:
        InputError: A recipe is named, too; or the file asks for what cannot be.
        PoiseError: As `recipes.config_command.command_of`.
    """
    at = next(i for i, word in enumerate(words) if word.partition("=")[0] == FLAG)
    if words and not words[0].startswith("-"):
        raise InputError(f"{FLAG} says which recipe it is; leave {words[0]} out")
    inline = "=" in words[at]
    rest = list(words[at + 1 :])
    if not inline and (not rest or rest[0].startswith("--")):
        raise InputError(f"{FLAG} needs a file: a .yaml of the papers' code, or a .py of MMPose")
    file = words[at].partition("=")[2] if inline else rest.pop(0)
    end = next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))
    typed = [*words[:at], *rest[end:]]
    from poise.recipes.config_command import command_of
    from poise.terminal import Console, say

    reading, console = command_of(Path(file), rest[:end]), Console()
    for line in reading.lines():
        say(console, line)
    made = [*_without(reading.words, typed), *typed]
    say(console, f"the same as: poise train {shlex.join(made)}")
    return made


def _without(words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """The words of a file without the flags that were typed."""
    names, kept, skipping = {word.partition("=")[0] for word in typed if word.startswith("--")}, list[str](), False
    for word in words:
        skipping = word in names if word.startswith("--") else skipping
        kept += [] if skipping else [word]
    return kept
