"""`poise train`: a recipe by its name, a run that goes on, a run like another, or a configuration file of other trainers."""

import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from poise.cli._config import FLAG, command_of_file
from poise.cli._flags import files_read, wrong_flag
from poise.cli._global_flags import limits_now
from poise.cli._inputs import check_flags
from poise.cli._packages import require_training
from poise.cli._ranges import EVERY_RUN, RANGES, check_finite, check_ranges, repeated
from poise.cli._recipe_command import RecipeCommand, flag_name, subset, value_of, without_flags
from poise.cli._runs import RunCommand
from poise.cli.options import TrainingOptions
from poise.errors import CheckpointError, InputError
from poise.plain import say_error
from poise.plugins import named
from poise.recipes.find import find, outlined
from poise.training.logger_names import check_logger_names
from poise.weights.cache import PEOPLE, PEOPLE_NETWORK, PEOPLE_RATE
from poise.writing import protecting

_USAGE = """poise train: train a recipe

usage: poise train RECIPE [flags]
       poise train --resume RUN [flags]
       poise train --settings RUN/settings.json --out NEW [flags that are to differ]
       poise train --config FILE.yaml|FILE.py [KEY value ...] [flags]

example:
  poise train finetune --annotations mine.json --images photos --minutes 60 --out runs/mine
  poise train --config w32_256x192_adam_lr1e-3.yaml TRAIN.END_EPOCH 20 --out runs/hrnet

poise train RECIPE --help shows the flags of a recipe. RECIPE is a name below, or module:function of your own.

recipes:
"""


def run(words: Sequence[str], *, called: str | None = None) -> int:
    """Train a recipe.

    Args:
        words: Words of the command line, after `poise train`.
        called: The command and the recipe as the user typed them, for messages; by default `poise train` and its name.

    Returns:
        The exit code.
    """
    import sys

    if not words or words[0] in ("-h", "--help"):
        rows = (f"  {name:<22}{(inspect.getdoc(f) or '').splitlines()[0]}\n" for name, f in outlined().items())
        sys.stdout.write(_USAGE + "".join(rows))
        return 0
    if any(word.partition("=")[0] == FLAG for word in words):
        words = command_of_file(words)
    _check_resumed(words)
    _check_typed(words)
    twice = repeated(words)
    typed, words = words, _repeated(words)
    again, resumed = words is not typed, words[0].startswith("-")
    words = [*_words_of(words), *words] if resumed else list(words)
    words = _from_people(words)
    name, rest = words[0], words[1:]
    program = called or f"poise train {name}"
    command = RecipeCommand.outlined(name, rest) or RecipeCommand.of(find(name, here=not (resumed or again)), rest)
    if again:  # kept flags of another kind of model than a new --model are of no use; typed ones are refused
        command.check_kind(typed)
    if resumed or again:
        rest = command.without_other_kinds(rest)
    command.check_kind(rest)
    if wrong := wrong_flag(rest, command.names) or twice:
        say_error(f"{program}: {wrong}; {program} --help shows all")
        return 2
    try:
        flags = command.parse(rest, program=program)
    except SystemExit as leave:  # tyro leaves after --help and after a wrong flag
        return int(leave.code or 0)
    check_finite(flags)
    require_training()
    check_logger_names([one for one in flags.get("logger") or () if one != "none"])
    if ":" not in name:
        spent = {"start": None, "backbone_weights": None}
        check_flags(flags | (spent if resumed else {}))  # a run that goes on has its state
        command = RecipeCommand.of(find(name), rest)
    recipe = command.recipe_again(flags, words) if resumed else command.recipe(flags)
    training = TrainingOptions(**subset(flags, [field.name for field in dataclasses.fields(TrainingOptions)]))
    with protecting(files_read(flags)):
        training.train(dataclasses.replace(recipe, settings=_settings(words)))
    return 0


def _check_typed(words: Sequence[str]) -> None:
    """Refuse numbers that a flag cannot be; recipes of a user's own have flags of their own."""
    check_ranges(words, EVERY_RUN if ":" in words[0] else RANGES)


def recipe_of(command: RunCommand) -> Any:
    """The recipe of a command that ran before, made again; nothing is trained.

    Of recipes of poise only the paths among the flags are looked for in the folder in which the command was typed. The code of
    a recipe of the user's own, which he has named, runs in that folder, once it is imported.

    Args:
        command: Command of the run.

    Raises:
        CheckpointError: This poise does not take the command any more.
        UnknownName: There is no such recipe any more.
    """
    words = command.words
    made = RecipeCommand.of(find(words[0], here=False), words[1:])
    try:
        flags = made.parse(made.without_other_kinds(words[1:]), program="poise train")
    except SystemExit as leave:
        raise CheckpointError(f"the command of the run is not understood any more: poise train {' '.join(words)}") from leave
    there = flags if command.own_code else {name: command.from_here(value) for name, value in flags.items()}
    with command.place():
        return made.recipe_again(there, words)


def _from_people(words: Sequence[str]) -> list[str]:
    """Words with network and rate for the model that comes with poise, where a run starts from that and names none."""
    if words[0] not in ("finetune", "own") or value_of("--start", words) != PEOPLE:
        return list(words)
    usual = {"--model": PEOPLE_NETWORK, "--rate": f"{PEOPLE_RATE:g}"}
    return [*words, *(part for flag, value in usual.items() if value_of(flag, words) is None for part in (flag, value))]


def _check_resumed(words: Sequence[str]) -> None:
    """Refuse flags of a new run where one is to go on; those of the command that began it are not among the words."""
    run, out, start = (value_of(flag, words) for flag in ("--resume", "--out", "--start"))
    if run is None:
        return
    if out is not None and Path(out).resolve() != Path(run).resolve():
        raise InputError(f"--resume {run} goes on in that folder, and --out {out} is another; leave --out out")
    if start is not None:
        raise InputError(f"--resume {run} goes on from the state saved there, and --start begins a run; leave --start out")


def _words_of(words: Sequence[str]) -> list[str]:
    """The command of the run that is to go on."""
    run = value_of("--resume", words)
    if run is None:
        raise CheckpointError("poise train wants a recipe, or --resume RUN; poise train --help lists the recipes")
    folder = Path(run)
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder {folder}; --resume wants the folder of a run")
    return _command_in(folder / "settings.json")


def _command_in(settings: Path) -> list[str]:
    """The words of the command that made a run, after `poise train`, without `--resume`."""
    run = RunCommand.read(settings)
    run.set_limits()
    kept = run.words
    resume = [i for i, word in enumerate(kept) if word == "--resume"]
    return [word for i, word in enumerate(kept) if i not in resume and i - 1 not in resume]


def _repeated(words: Sequence[str]) -> Sequence[str]:
    """The command of the run that `--settings` names, with the flags that were typed in place of its own; else the words."""
    given = value_of("--settings", words)
    if given is None:
        return words
    changes = without_flags(words, {"settings"})
    if changes and not changes[0].startswith("-"):
        raise InputError(f"--settings {given} says which recipe it is; leave {changes[0]} out")
    if value_of("--resume", words) is not None:
        raise InputError("--settings begins a new run like another, and --resume goes on with one; leave one of them out")
    if value_of("--out", words) is None:
        raise InputError(f"--settings {given} trains like that run again; say where with --out NEW")
    file = Path(given) / "settings.json" if Path(given).is_dir() else Path(given)
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}; --settings wants the settings.json of a run, or its folder")
    return [*without_flags(_command_in(file), {flag_name(w) for w in changes if w.startswith("--")}), *changes]


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """How a recipe was made: the command, and the packages named beside that of the recipe itself."""
    own = words[0].partition(":")[0].partition(".")[0] if ":" in words[0] else ""
    packages = [package for package in named() if package != own]
    limits = limits_now()
    return {"command": list(words)} | ({"plugins": packages} if packages else {}) | ({"limits": limits} if limits else {})
