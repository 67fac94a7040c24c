"""Recipes as they stand in the source: names, flags and texts, without what they train and without torch.

`poise train --help`, a wrong flag and a missing file are answered from these. A module of this folder is run once more, on the
side, with stand-ins for what its own imports would load, as Sphinx does with `autodoc_mock_imports`.
"""

import builtins
import importlib
import pkgutil
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

LIGHT = ("poise.dims", "poise.errors", "poise.recipes.options")
"""Modules of poise that outlines share with everything else, because they load nothing heavy."""


class StandIn:
    """In place of something that was not imported; what is made of it at the top of a module is one, too.

    Attributes:
        name: Module and name of the function or class.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> "StandIn":
        """An outline of the attribute of that name, the same each time."""
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"{self.name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> "StandIn":
        """An outline of the value it would return."""
        return self

    def __or__(self, _: Any) -> "StandIn":
        """A type, or None."""
        return self

    __ror__ = __getitem__ = __or__

    def __iter__(self) -> Iterator[Any]:
        """Nothing."""
        return iter(())

    def __mro_entries__(self, _: Any) -> tuple[type, ...]:
        """No base class."""
        return ()


@cache
def stand_in(name: str) -> StandIn:
    """The one stand-in of a name."""
    return StandIn(name)


def has_stand_ins(fields: Iterable[Field[Any]]) -> bool:
    """Whether the type or the default of a field is from a module that was not imported: then only the recipe itself has it."""
    return any(isinstance(part, StandIn) for field in fields for part in (*_parts(field.type), field.default))


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)


@cache
def outline(module: str) -> ModuleType:
    """A module of this folder with everything that its source says, and stand-ins for what it only uses.

    Args:
        module: Its whole name. What is returned is not that module, which stays as it is, imported or not.
    """
    made = ModuleType(module)
    file = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py")
    code = SourceFileLoader(module, str(file)).get_code(module)
    vars(made)["__builtins__"] = vars(builtins) | {"__import__": _import}
    exec(code or "", vars(made))
    return made


def modules(function: str = "") -> list[ModuleType]:
    """The outlines of all modules of this folder that may hold recipes.

    Args:
        function: Name of one recipe: only the modules that have a function of that name.
    """
    folder = Path(__file__).parent
    names = [f"{__package__}.{info.name}" for info in pkgutil.iter_modules([str(folder)])]
    chosen = [name for name in names if name not in (*LIGHT, __name__, f"{__package__}.find")]
    if function:
        begin, texts = f"def {function}(", {name: folder / f"{name.rpartition('.')[2]}.py" for name in chosen}
        chosen = [name for name in chosen if begin in texts[name].read_text(encoding="utf-8")]
    return [outline(name) for name in chosen]


def _import(
    name: str,
    globals_: Mapping[str, object] | None = None,
    locals_: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """In place of `__import__`: light modules are imported, those of this folder outlined, for others there are stand-ins."""
    if name in LIGHT or name.partition(".")[0] in (*sys.stdlib_module_names, "tyro"):
        return importlib.__import__(name, globals_, locals_, fromlist or (), level)
    if name.startswith(f"{__package__}."):
        return outline(name)
    return stand_in(name if fromlist else name.partition(".")[0])
