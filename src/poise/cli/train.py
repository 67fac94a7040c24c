"""`poise train`: a recipe's typed arguments and the options of every run are the flags."""

import dataclasses
import inspect
import itertools
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from poise.cli._config import FLAG, command_of_file
from poise.cli._flags import files_read, wrong_flag
from poise.cli._global_flags import limits_now
from poise.cli._inputs import check_flags
from poise.cli._packages import require_training
from poise.cli._ranges import EVERY_RUN, RANGES, check_finite, check_ranges, repeated
from poise.cli._runs import RunCommand
from poise.cli.options import TrainingOptions
from poise.errors import CheckpointError, InputError, ReadError
from poise.plain import say_error
from poise.plugins import named
from poise.recipes.find import find, find_outlined, outlined
from poise.recipes.options import ModelOptions, RecipeChanges
from poise.recipes.outline import has_stand_ins
from poise.training.logger_names import check_logger_names
from poise.weights.cache import PEOPLE, PEOPLE_NETWORK, PEOPLE_RATE
from poise.weights.zoo_names import SHORT_NAME, check_model
from poise.writing import protecting

Maker = Callable[..., Any]
"""Gives a recipe."""

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


@dataclasses.dataclass(frozen=True)
class RecipeCommand:
    """A recipe as a command: the flags it has, and the recipe they make.

    Attributes:
        maker: Gives the recipe.
        options: Type of its one argument, where a kind of model decides which flags there are; else None.
        parser: A dataclass of all flags, those of the recipe and those of every run; one that both have stands there once.
    """

    maker: Maker
    options: type[ModelOptions] | None
    parser: Any

    @classmethod
    def of(cls, maker: Maker, words: Sequence[str]) -> "RecipeCommand":
        """The command of a recipe.

        Args:
            maker: Gives the recipe.
            words: Words of the command line, after the name of the recipe; `--model` decides the options.

        Raises:
            InputError: A flag of the recipe and one of every run mean different things by one name.
            UnknownName: There is no such model.
        """
        options = _options_of(maker)
        chosen = None if options is None else options.for_model(_given("--model", words))
        return cls(maker, chosen, _parser(maker, chosen))

    @classmethod
    def outlined(cls, name: str, words: Sequence[str]) -> "RecipeCommand | None":
        """The command of a recipe of poise with its flags alone: it is asked, not run, and nothing heavy is imported.

        Args:
            name: Name of the recipe.
            words: Words of the command line, after the name; `--model` decides the options.

        Returns:
            None where only the recipe or the model itself can tell the flags.

        Raises:
            UnknownName: There is no such recipe, or no such model.
        """
        maker = find_outlined(name)
        options = None if maker is None else _options_of(maker)
        model = _given("--model", words)
        chosen = None if options is None else options.by_name(model)
        if options is not None and model and not re.fullmatch(SHORT_NAME, model):
            check_model(model)
        if maker is None or (options is not None and chosen is None):
            return None
        parser = _parser(maker, chosen)
        return None if has_stand_ins(dataclasses.fields(parser)) else cls(maker, chosen, parser)

    @property
    def names(self) -> list[str]:
        """The flags, as Python names."""
        return [field.name for field in dataclasses.fields(self.parser)]

    def check_kind(self, words: Sequence[str]) -> None:
        """Refuse flags of other types of models.

        Raises:
            InputError: A flag was given.
        """
        if self.options is not None:
            model = _given("--model", words) or str(_dataclass_flags(self.options)["model"][1])
            typed = [word.partition("=")[0] for word in words if word.startswith("--")]
            self.options.refuse({_flag_name(flag): flag for flag in typed}, model=model)

    def without_other_kinds(self, words: Sequence[str]) -> list[str]:
        """The words of an older run, without flags of other kinds of models: those were taken if they changed nothing."""
        return _without_flags(words, {} if self.options is None else self.options.other_flags())

    def parse(self, words: Sequence[str], *, program: str) -> dict[str, Any]:
        """The values of all flags.

        Raises:
            SystemExit: After --help and after a wrong flag.
        """
        import tyro

        return dict(vars(tyro.cli(self.parser, args=list(words), prog=program)))

    def recipe(self, flags: Mapping[str, Any]) -> Any:
        """The recipe; the weights a network begins with are drawn by it.

        Args:
            flags: Values of the flags, by name.

        Raises:
            InputError: One cannot be.
        """
        import torch

        from poise.recipes.changes import changed

        torch.manual_seed(flags["seed"])
        given = _subset(flags, _own_flags(self.maker, self.options))
        if flags.get("backbone_weights") is not None and "pretrained" in given:
            given["pretrained"] = False  # the file is in place of what would be downloaded
        changes = RecipeChanges(**_subset(flags, _change_flags(self.maker, self.options)))
        try:
            return changed(self._made(given), changes)
        except ReadError:  # such as ImageNet weights without a network, for which another flag would be mended in vain
            if given.get("pretrained"):
                with suppress(ReadError):
                    changed(self._made(given | {"pretrained": False}), changes)
            raise

    def _made(self, given: Mapping[str, Any]) -> Any:
        return self.maker(**given) if self.options is None else self.maker(self.options(**given))

    def recipe_again(self, flags: Mapping[str, Any], words: Sequence[str]) -> Any:
        """The recipe of a run that began before; what it is refused for now was no mistake then.

        Args:
            flags: Values of the flags, by name.
            words: Words of its command, for the message.

        Raises:
            CheckpointError: This poise refuses it.
        """
        try:
            return self.recipe(flags)
        except InputError as error:
            raise CheckpointError(
                f"this poise refuses the command of the run: {error}. It was: poise train {' '.join(words)}; to go on, name "
                "the recipe and its flags without that, beside --resume"
            ) from error


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
    training = TrainingOptions(**_subset(flags, [field.name for field in dataclasses.fields(TrainingOptions)]))
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


def _subset(flags: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: flags[name] for name in names if name in flags}


def _flag_name(word: str) -> str:
    """A flag as typed as a Python name."""
    name = word.partition("=")[0].removeprefix("--")
    return name.removeprefix("no-").replace("-", "_")


def _given(flag: str, words: Sequence[str]) -> str | None:
    """Value of a flag among words; None where it is missing."""
    after = [b for a, b in itertools.pairwise(words) if a == flag]
    after += [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
    return after[-1] if after else None


def _from_people(words: Sequence[str]) -> list[str]:
    """Words with network and rate for the model that comes with poise, where a run starts from that and names none."""
    if words[0] not in ("finetune", "own") or _given("--start", words) != PEOPLE:
        return list(words)
    usual = {"--model": PEOPLE_NETWORK, "--rate": f"{PEOPLE_RATE:g}"}
    return [*words, *(part for flag, value in usual.items() if _given(flag, words) is None for part in (flag, value))]


def _check_resumed(words: Sequence[str]) -> None:
    """Refuse flags of a new run where one is to go on; those of the command that began it are not among the words."""
    run, out, start = (_given(flag, words) for flag in ("--resume", "--out", "--start"))
    if run is None:
        return
    if out is not None and Path(out).resolve() != Path(run).resolve():
        raise InputError(f"--resume {run} goes on in that folder, and --out {out} is another; leave --out out")
    if start is not None:
        raise InputError(f"--resume {run} goes on from the state saved there, and --start begins a run; leave --start out")


def _words_of(words: Sequence[str]) -> list[str]:
    """The command of the run that is to go on."""
    run = _given("--resume", words)
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
    given = _given("--settings", words)
    if given is None:
        return words
    changes = _without_flags(words, {"settings"})
    if changes and not changes[0].startswith("-"):
        raise InputError(f"--settings {given} says which recipe it is; leave {changes[0]} out")
    if _given("--resume", words) is not None:
        raise InputError("--settings begins a new run like another, and --resume goes on with one; leave one of them out")
    if _given("--out", words) is None:
        raise InputError(f"--settings {given} trains like that run again; say where with --out NEW")
    file = Path(given) / "settings.json" if Path(given).is_dir() else Path(given)
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}; --settings wants the settings.json of a run, or its folder")
    return [*_without_flags(_command_in(file), {_flag_name(w) for w in changes if w.startswith("--")}), *changes]


def _without_flags(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Words without some flags, and what stands after them up to the next flag."""
    kept, skipping = [], False
    for word in words:
        skipping = _flag_name(word) in names if word.startswith("--") else skipping
        kept += [] if skipping else [word]
    return kept


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """How a recipe was made: the command, and the packages named beside that of the recipe itself."""
    own = words[0].partition(":")[0].partition(".")[0] if ":" in words[0] else ""
    packages = [package for package in named() if package != own]
    limits = limits_now()
    return {"command": list(words)} | ({"plugins": packages} if packages else {}) | ({"limits": limits} if limits else {})


def _options_of(maker: Maker) -> type[ModelOptions] | None:
    """The type of the options that are a recipe's one argument; None where it has flags of its own."""
    hints = (hint for name, hint in typing.get_type_hints(maker).items() if name != "return")
    return next((hint for hint in hints if isinstance(hint, type) and issubclass(hint, ModelOptions)), None)


def _parser(maker: Maker, options: type[ModelOptions] | None) -> type:
    """A dataclass of the flags of a recipe and of every run; one that both have, such as `seed`, stands there once.

    Raises:
        InputError: They mean different things by one name.
    """
    own, every = _own_flags(maker, options), _dataclass_flags(TrainingOptions)
    for name in set(every) & set(own):
        hint, shared = own[name][0], _plain(every[name][0])
        if hint not in (shared, *typing.get_args(shared)):
            raise InputError(
                f"recipe {maker.__name__!r} and every run have a flag --{name.replace('_', '-')}, of different types; give the "
                "recipe's argument another name"
            )
    fields = [_field(name, hint, default) for name, (hint, default) in (every | _change_flags(maker, options) | own).items()]
    made = dataclasses.make_dataclass("Flags", fields, kw_only=True, frozen=True)
    made.__doc__ = _documented(maker, options)
    return made


def _own_flags(maker: Maker, options: type[ModelOptions] | None) -> dict[str, tuple[Any, Any]]:
    """Type and default of each flag of a recipe's own."""
    return _recipe_flags(maker) if options is None else _dataclass_flags(options)


def _change_flags(maker: Maker, options: type[ModelOptions] | None) -> dict[str, tuple[Any, Any]]:
    """Type and default of each flag that changes a recipe, where no kind of model has one of that name."""
    own = {*_own_flags(maker, options), *(() if options is None else options.other_flags())}
    return {name: flag for name, flag in _dataclass_flags(RecipeChanges).items() if name not in own}


def _recipe_flags(maker: Maker) -> dict[str, tuple[Any, Any]]:
    """Type and default of each argument of a recipe."""
    hints = typing.get_type_hints(maker, include_extras=True)
    missing = inspect.Parameter.empty
    return {
        name: (hints[name], dataclasses.MISSING if p.default is missing else p.default)
        for name, p in inspect.signature(maker).parameters.items()
    }


def _dataclass_flags(options: type) -> dict[str, tuple[Any, Any]]:
    """Type and default of each field of options."""
    hints = typing.get_type_hints(options, include_extras=True)
    return {field.name: (hints[field.name], field.default) for field in dataclasses.fields(options)}


def _plain(hint: Any) -> Any:
    """A type without what stands beside it."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _field(name: str, hint: Any, default: Any) -> tuple[str, Any, Any]:
    """A field of the dataclass of flags."""
    if default is dataclasses.MISSING:
        return name, hint, dataclasses.field()
    metavar = _metavar(hint) if default is None else None
    return name, Annotated[hint, arg(metavar=metavar)] if metavar else hint, dataclasses.field(default=default)


def _metavar(hint: Any) -> str | None:
    """Metavar of an optional flag: PATH for `Path`, INT INT for a pair, PATH [PATH ...] for a list; else None."""
    types = [part for part in typing.get_args(hint) if part is not type(None)]
    parts = typing.get_args(types[0]) or (types[0],) if len(types) == 1 else ()
    metavars = {Path: "PATH", int: "INT", float: "FLOAT", str: "STR", bool: "True|False"}
    if not parts or any(part not in metavars for part in parts):
        return None
    names = " ".join(metavars[part] for part in parts)
    return f"{names} [{names} ...]" if typing.get_origin(types[0]) is list else names


def _documented(maker: Maker, options: type | None) -> str:
    """The recipe's docstring, its arguments followed by those of every run."""
    text, _, rest = (inspect.getdoc(maker) or "").partition("\nArgs:\n")
    own = rest.partition("\n\n")[0] if options is None else _attributes(options)
    changes = _entries(_attributes(RecipeChanges), _change_flags(maker, options))
    return f"{text}\nArgs:\n{own}\n{changes}\n{_attributes(TrainingOptions)}"


def _entries(text: str, names: Collection[str]) -> str:
    """Help of some fields, each with the lines that continue it."""
    kept, keeping = [], True
    for line in text.splitlines():
        keeping = keeping if line.startswith("     ") else line.strip().partition(":")[0] in names
        kept += [line] if keeping else []
    return "\n".join(kept)


def _attributes(options: type) -> str:
    """Help of the fields of options, from their docstrings and those of their base classes."""
    texts = [inspect.cleandoc(part.__doc__ or "").partition("\nAttributes:\n")[2] for part in reversed(options.__mro__)]
    return "\n".join(text.partition("\n\n")[0] for text in texts if text)
