"""Finds recipes by name: functions of this folder that give a `Recipe` and document their command, or `module:function`."""

import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from poise.errors import InputError, unknown
from poise.plugins import use_plugin
from poise.recipes.base import Recipe

Maker = Callable[..., Recipe]
"""Makes a recipe of its arguments."""

ALIASES: Mapping[str, str] = {"own": "finetune"}
"""Older names of recipes, which runs may have been trained with, and what they are called now."""


@cache
def recipes() -> Mapping[str, Maker]:
    """The recipes of poise, by name."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)]
    return {
        name: function
        for module in modules
        for name, function in sorted(vars(module).items())
        if getattr(function, "__module__", "") == module.__name__ and gives_recipe(function) and _documented(name, function)
    }


def _documented(name: str, function: Maker) -> bool:
    return f"poise train {name}" in (inspect.getdoc(function) or "")


def gives_recipe(value: object) -> bool:
    """Whether something is a function whose annotation promises a `Recipe`."""
    return inspect.isfunction(value) and typing.get_type_hints(value).get("return") is Recipe


def find(name: str) -> Maker:
    """The function behind a name.

    Args:
        name: Of a recipe of poise, also an older one, or `module:function`; modules of the working directory are found too.
            Their package is named thereby: model files may ask for its code (`poise.plugins`).

    Raises:
        UnknownName: There is none; the message gives the nearest.
        InputError: The function does not promise a `Recipe`.
    """
    if ":" not in name:
        name = ALIASES.get(name, name)
        if name not in recipes():
            raise unknown("recipe", name, recipes())
        return recipes()[name]
    where, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise InputError(f"recipe {name!r}: there is no module {error.name!r} here; expected module:function") from error
    package = where.partition(".")[0]
    if package != __package__.partition(".")[0]:
        use_plugin(package)
    makers = {n: f for n, f in vars(module).items() if inspect.isfunction(f)}
    if function not in makers:
        raise unknown(f"function of module {where}", function, makers)
    if not gives_recipe(makers[function]):
        raise InputError(f"recipe {name!r}: the function must be annotated to return poise.recipes.base.Recipe")
    return makers[function]
