"""Finds recipes by name: functions of this folder that give a `Recipe` and document their command, or `module:function`."""

import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from poise.errors import InputError, PoiseError, unknown
from poise.plugins import use_plugin
from poise.recipes import outline

Maker = Callable[..., Any]
"""Makes a recipe of its arguments."""

ALIASES: Mapping[str, str] = {"own": "finetune"}
"""Older names of recipes, which runs may have been trained with, and what they are called now."""


@cache
def recipes() -> Mapping[str, Maker]:
    """The recipes of poise, by name."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)]
    return _recipes_of(modules, _recipe_type())


@cache
def outlined() -> Mapping[str, Maker]:
    """The recipes by name, with flags and help but not callable; imports nothing heavy."""
    return _outlined(outline.modules())


def _outlined(modules: Iterable[ModuleType]) -> Mapping[str, Maker]:
    return _recipes_of(modules, outline.stand_in("poise.training.recipe").Recipe)


def _recipes_of(modules: Iterable[ModuleType], promised: object) -> Mapping[str, Maker]:
    return {
        name: function
        for module in modules
        for name, function in sorted(vars(module).items())
        if getattr(function, "__module__", "") == module.__name__
        and _promises(function, promised)
        and _documented(name, function)
    }


def _module(where: str, name: str) -> ModuleType:
    """The module of a recipe.

    Raises:
        InputError: There is none, or it cannot be imported.
    """
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise InputError(f"recipe {name!r}: there is no module {error.name!r} here; expected module:function") from error
    except PoiseError:
        raise
    except Exception as error:  # whatever the user's own code does
        raise InputError(
            f"recipe {name!r}: the module {where!r} cannot be imported ({type(error).__name__}: {error})"
        ) from error


def _documented(name: str, function: Maker) -> bool:
    return f"poise train {name}" in (inspect.getdoc(function) or "")


def gives_recipe(value: object) -> bool:
    """Whether something is a function whose annotation promises a `Recipe`."""
    return _promises(value, _recipe_type())


def _promises(value: object, promised: object) -> bool:
    return inspect.isfunction(value) and typing.get_type_hints(value).get("return") is promised


def _recipe_type() -> type:
    from poise.recipes.base import Recipe

    return Recipe


def find_outlined(name: str) -> Maker | None:
    """The outline of the function behind a name; None where that is not one of poise.

    Args:
        name: Name of a recipe, also an older one, or `module:function`.

    Raises:
        UnknownName: There is no such recipe; the message gives the nearest.
    """
    if ":" in name:
        return None
    name = ALIASES.get(name, name)
    return _outlined(outline.modules(name)).get(name) or _by_name(name, outlined())


def _by_name(name: str, known: Mapping[str, Maker]) -> Maker:
    name = ALIASES.get(name, name)
    if name not in known:
        raise unknown("recipe", name, known)
    return known[name]


def find(name: str, *, here: bool = True) -> Maker:
    """The function behind a name.

    Args:
        name: Name of a recipe, also an older one, or `module:function`; modules of the working directory are found too.
            Their package is named thereby: model files may ask for its code (`poise.plugins`).
        here: Whether the user has typed the name, which is what finds modules of the working directory and names the package.

    Raises:
        UnknownName: There is none; the message gives the nearest.
        InputError: It is no name of a function in a module, the module cannot be imported, or the function does not promise a
            `Recipe`.
    """
    if ":" not in name:
        return _by_name(name, recipes())
    where, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*where.split("."), function)):
        raise InputError(f"{name!r} names no recipe; expected a name of `poise train --help`, or module:function of your own")
    if here and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module, package = _module(where, name), where.partition(".")[0]
    if here and package != __package__.partition(".")[0]:
        use_plugin(package)
    makers = {n: f for n, f in vars(module).items() if inspect.isfunction(f)}
    if function not in makers:
        raise unknown(f"function of module {where}", function, makers)
    if not gives_recipe(makers[function]):
        raise InputError(f"recipe {name!r}: the function must be annotated to return poise.recipes.base.Recipe")
    return makers[function]
