"""The flags of a recipe: its typed arguments, changes to it, and the options of every run, as one dataclass with help."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from poise.cli.options import TrainingOptions
from poise.errors import InputError
from poise.recipes.options import ModelOptions, RecipeChanges

Maker = Callable[..., Any]
"""Gives a recipe."""


def options_of(maker: Maker) -> type[ModelOptions] | None:
    """The type of the options that are a recipe's one argument; None where it has flags of its own."""
    hints = (hint for name, hint in typing.get_type_hints(maker).items() if name != "return")
    return next((hint for hint in hints if isinstance(hint, type) and issubclass(hint, ModelOptions)), None)


def flags_type(maker: Maker, options: type[ModelOptions] | None) -> type:
    """A dataclass of the flags of a recipe and of every run; one that both have, such as `seed`, stands there once.

    Raises:
        InputError: They mean different things by one name.
    """
    own, every = own_flags(maker, options), dataclass_flags(TrainingOptions)
    for name in set(every) & set(own):
        hint, shared = own[name][0], _plain(every[name][0])
        if hint not in (shared, *typing.get_args(shared)):
            raise InputError(
                f"recipe {maker.__name__!r} and every run have a flag --{name.replace('_', '-')}, of different types; give the "
                "recipe's argument another name"
            )
    fields = [_field(name, hint, default) for name, (hint, default) in (every | change_flags(maker, options) | own).items()]
    made = dataclasses.make_dataclass("Flags", fields, kw_only=True, frozen=True)
    made.__doc__ = _documented(maker, options)
    return made


def own_flags(maker: Maker, options: type[ModelOptions] | None) -> dict[str, tuple[Any, Any]]:
    """Type and default of each flag of a recipe's own."""
    return _recipe_flags(maker) if options is None else dataclass_flags(options)


def change_flags(maker: Maker, options: type[ModelOptions] | None) -> dict[str, tuple[Any, Any]]:
    """Type and default of each flag that changes a recipe, where no kind of model has one of that name."""
    own = {*own_flags(maker, options), *(() if options is None else options.other_flags())}
    return {name: flag for name, flag in dataclass_flags(RecipeChanges).items() if name not in own}


def _recipe_flags(maker: Maker) -> dict[str, tuple[Any, Any]]:
    """Type and default of each argument of a recipe."""
    hints = typing.get_type_hints(maker, include_extras=True)
    missing = inspect.Parameter.empty
    return {
        name: (hints[name], dataclasses.MISSING if p.default is missing else p.default)
        for name, p in inspect.signature(maker).parameters.items()
    }


def dataclass_flags(options: type) -> dict[str, tuple[Any, Any]]:
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
    """The recipe's docstring, its arguments followed by those of every run; of a flag of both, options tell theirs."""
    text, _, rest = (inspect.getdoc(maker) or "").partition("\nArgs:\n")
    own = rest.partition("\n\n")[0] if options is None else _attributes(options)
    changes = _entries(_attributes(RecipeChanges), change_flags(maker, options))
    told = {} if options is None else dataclass_flags(options)
    every = _entries(_attributes(TrainingOptions), set(dataclass_flags(TrainingOptions)) - set(told))
    return f"{text}\nArgs:\n{own}\n{changes}\n{every}"


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
