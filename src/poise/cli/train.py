"""`poise train`: a recipe's typed arguments and the run's own are the flags."""

import dataclasses
import inspect
import itertools
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from poise.cli._flags import wrong_flag
from poise.errors import CheckpointError, InputError
from poise.plugins import named

Maker = Callable[..., Any]
"""Gives a recipe."""

_USAGE = """poise train: train a recipe

usage: poise train RECIPE [flags]
       poise train --resume RUN [flags]

example:
  poise train own --annotations mine.json --images photos --minutes 60 --out runs/mine

poise train RECIPE --help shows the flags of a recipe. RECIPE is a name below, or module:function of your own.

recipes:
"""


def run(words: Sequence[str]) -> int:
    """Train a recipe.

    Args:
        words: Of the command line, after `poise train`.

    Returns:
        The exit code.
    """
    import sys

    from poise.recipes.find import find, recipes

    if not words or words[0] in ("-h", "--help"):
        rows = (f"  {name:<22}{(inspect.getdoc(f) or '').splitlines()[0]}\n" for name, f in recipes().items())
        sys.stdout.write(_USAGE + "".join(rows))
        return 0
    _check_resumed(words)
    resumed = words[0].startswith("-")
    words = [*_words_of(words), *words] if resumed else list(words)
    name, rest = words[0], words[1:]
    maker = find(name)
    shown = _flags(maker)
    wrong = wrong_flag(rest, [field.name for field in dataclasses.fields(shown)])
    if wrong:
        sys.stderr.write(f"poise train {name}: {wrong}; poise train {name} --help shows all\n")
        return 2
    import tyro

    try:
        flags = vars(tyro.cli(shown, args=rest, prog=f"poise train {name}"))
    except SystemExit as leave:  # tyro leaves after --help and after a wrong flag
        return int(leave.code or 0)
    ours = set(inspect.signature(_train).parameters) & set(flags)
    recipe = _made_again(maker, flags, words) if resumed else _made(maker, flags)
    _train(recipe, words=words, **{n: flags[n] for n in ours})
    return 0


def recipe_of(words: Sequence[str]) -> Any:
    """The recipe of a command that ran before, made again; nothing is trained.

    Args:
        words: Of the command line, after `poise train`, as `settings.json` keeps them.

    Raises:
        CheckpointError: This poise does not take the command any more.
        UnknownName: There is no such recipe any more.
    """
    import tyro

    from poise.recipes.find import find

    maker = find(words[0])
    try:
        flags = vars(tyro.cli(_flags(maker), args=list(words[1:])))
    except SystemExit as leave:
        raise CheckpointError(f"the command of the run is not understood any more: poise train {' '.join(words)}") from leave
    return _made_again(maker, flags, words)


def _made_again(maker: Maker, flags: Mapping[str, Any], words: Sequence[str]) -> Any:
    """The recipe of a run that began before; what it is refused for now was no mistake then."""
    try:
        return _made(maker, flags)
    except InputError as error:
        raise CheckpointError(
            f"this poise refuses the command of the run: {error}. It was: poise train {' '.join(words)}; to go on, name the "
            "recipe and its flags without that, beside --resume"
        ) from error


def _made(maker: Maker, flags: Mapping[str, Any]) -> Any:
    import torch

    torch.manual_seed(flags["seed"])  # the weights a network begins with are drawn by the recipe
    return maker(**{name: flags[name] for name in set(inspect.signature(maker).parameters) & set(flags)})


def _given(flag: str, words: Sequence[str]) -> str | None:
    """What a flag is given among words; None where it is not."""
    after = [b for a, b in itertools.pairwise(words) if a == flag]
    after += [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
    return after[-1] if after else None


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
    settings = folder / "settings.json"
    if not settings.is_file():
        raise CheckpointError(f"{folder} holds no run: it has no settings.json; --resume wants the folder of a run")
    try:
        settings_of = json.loads(settings.read_text(encoding="utf-8"))["settings"]
        kept = settings_of["command"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{folder} does not say which command made it ({error}); name the recipe and its flags"
        ) from error
    check_plugins(settings_of, folder)
    places = [i for i, word in enumerate(kept) if word == "--resume"]
    return [str(word) for i, word in enumerate(kept) if i not in places and i - 1 not in places]


def check_plugins(settings: Mapping[str, Any], folder: Path) -> None:
    """Refuse to make the recipe of a run again without the packages that were named for it; only the user names packages.

    Args:
        settings: How the recipe was made, as `settings.json` keeps it.
        folder: Of the run.

    Raises:
        CheckpointError: One is not named now.
    """
    missing = [package for package in settings.get("plugins", ()) if package not in named()]
    if missing:
        flags = " ".join(f"--plugin {package}" for package in missing)
        raise CheckpointError(f"the run in {folder} was trained with {flags}; add that here too, if you want to run that code")


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """How a recipe was made: the command, and the packages named beside that of the recipe itself."""
    own = words[0].partition(":")[0].partition(".")[0] if ":" in words[0] else ""
    packages = [package for package in named() if package != own]
    return {"command": list(words)} | ({"plugins": packages} if packages else {})


def _flags(maker: Maker) -> type:
    """A dataclass of the arguments of a recipe and of a run; one that both have, such as `seed`, stands there once.

    Raises:
        InputError: They mean different things by one name.
    """
    ours, theirs = inspect.signature(_train).parameters, inspect.signature(maker).parameters
    run, own = typing.get_type_hints(_train), typing.get_type_hints(maker, include_extras=True)
    for name in set(ours) & set(theirs):
        if own[name] not in (run[name], *typing.get_args(run[name])):
            raise InputError(
                f"recipe {maker.__name__!r} and every run have a flag --{name.replace('_', '-')}, of different types; give the "
                "recipe's argument another name"
            )
    hints = run | own
    shown = {name: p for name, p in (ours | theirs).items() if name not in ("recipe", "words")}
    order = [*theirs, *(name for name in shown if name not in theirs)]
    flags = dataclasses.make_dataclass("Flags", [_field(shown[n], hints[n]) for n in order], kw_only=True, frozen=True)
    flags.__doc__ = _documented(maker)
    return flags


def _field(parameter: inspect.Parameter, hint: Any) -> tuple[str, Any, Any]:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name, hint, dataclasses.field()
    metavar = _metavar(hint) if parameter.default is None else None
    shown = Annotated[hint, arg(metavar=metavar)] if metavar else hint
    return parameter.name, shown, dataclasses.field(default=parameter.default)


def _metavar(hint: Any) -> str | None:
    """What may stand after an optional flag: PATH for `Path`, INT INT for a pair, PATH [PATH ...] for a list; else None."""
    kinds = [part for part in typing.get_args(hint) if part is not type(None)]
    parts = typing.get_args(kinds[0]) or (kinds[0],) if len(kinds) == 1 else ()
    words = {Path: "PATH", int: "INT", float: "FLOAT", str: "STR", bool: "True|False"}
    if not parts or any(part not in words for part in parts):
        return None
    names = " ".join(words[part] for part in parts)
    return f"{names} [{names} ...]" if typing.get_origin(kinds[0]) is list else names


def _documented(maker: Maker) -> str:
    """The recipe's docstring, its arguments followed by those of the run."""
    text, _, rest = (inspect.getdoc(maker) or "").partition("\nArgs:\n")
    arguments = rest.partition("\n\n")[0]
    common = (inspect.getdoc(_train) or "").partition("\nArgs:\n")[2]
    return f"{text}\nArgs:\n{arguments}\n{common}"


def _train(
    recipe: Any,
    *,
    words: list[str],
    out: Path | None = None,
    seed: int = 0,
    device: str | None = None,
    precision: str | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    workers: int | None = None,
    resume: Path | None = None,
    start: Path | None = None,
    stages: int = 1,
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    minutes: float | None = None,
    steps: int | None = None,
    save_minutes: float = 5.0,
) -> None:
    """Train.

    Args:
        recipe: Made from its own flags.
        words: Of the command line.
        out: Folder of the run; by default `runs/` and the name of the recipe.
        seed: Of all chances, and of drawings where a recipe draws.
        device: cpu, cuda, ...; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
        batch: People per step, over all devices; the learning rate follows it linearly.
        accumulate: Steps whose gradients are added up.
        workers: Processes that cut views.
        resume: Folder of a run to go on with.
        start: Model file to fine-tune, also of another skeleton.
        stages: How often to train the whole recipe, each time from the best weights before, the learning rate at its start.
        devices: GPUs, or CPU processes, on each machine.
        nodes: Machines.
        strategy: Lightning's name for how they work together.
        minutes: Stop after so many minutes of training; stages share them by their epochs.
        steps: Stop after so many steps; stages share them too.
        save_minutes: Between two saved states.
    """
    from poise.training.fit import fit

    fit(
        dataclasses.replace(recipe, settings=_settings(words)).staged(stages),
        out=out or Path("runs") / recipe.name,
        seed=seed,
        device=device,
        precision=precision,
        batch=batch,
        accumulate=accumulate,
        workers=workers,
        resume=resume,
        start=start,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        minutes=minutes,
        steps=steps,
        save_minutes=save_minutes,
    )
