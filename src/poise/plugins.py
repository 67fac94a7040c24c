"""Packages of the user's own, whose networks, codecs and models poise may use: those that he has named, and no others.

A model file keeps names of code, such as `mypkg.nets:my_network`. Reading the file runs that code, so the package must have
been named by whoever reads it: `poise.use_plugin("mypkg")`, `poise.load(file, plugins=["mypkg"])`, `poise ... --plugin mypkg`,
or by installing a package that has an entry point of the group `poise.plugins`. The zoo is the plugin that comes with poise: it
needs no naming, and files know its builders by short names (`hrnet:network`).
"""

import importlib
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from poise.errors import InputError

GROUP = "poise.plugins"
"""Group of entry points: a package with one is used as soon as it is installed. Its value is a module."""

ZOO = "poise.zoo.find"
"""Lists the builders that come with poise; imported by name, since the zoo itself stands above."""

LEFT_OUT = ("__main__", "conftest", "setup", "test", "tests")
"""Modules of a package that are scripts or tests: they are not searched."""

_named: dict[str, None] = {}  # of this process, in the order of naming

_own_names: ContextVar[bool] = ContextVar("own_names", default=False)


def use_plugin(name: str) -> None:
    """Name a package, or a single module, whose code model files may ask for from now on, in this process.

    Its classes of codecs and its models are then also found by their short names. It is imported when it is first needed.

    Args:
        name: As in an import statement, such as `mypkg` or `mypkg.nets`; all modules inside it are named with it.

    Raises:
        InputError: It is no name of a module, or there is no such module.
    """
    if name.partition(".")[0] == "poise":
        raise InputError(f"{name!r} comes with poise and needs no naming; name a package of your own")
    if name == "__main__" or not _is_path(name):
        raise InputError(f"a plugin is a package or module that can be imported by name, such as mypkg, not {name!r}")
    if not _findable(name):
        raise InputError(
            f"there is no module {name!r} to be a plugin; install its package, or work in the folder that holds it (in Python: "
            "add that folder to sys.path)"
        )
    _named[name] = None


@contextmanager
def own_names() -> Iterator[None]:
    """While this lasts no package needs to have been named: for names of code that this process uses already, not of a file."""
    token = _own_names.set(True)
    try:
        yield
    finally:
        _own_names.reset(token)


def named() -> tuple[str, ...]:
    """The packages that may be used: those named in this process, then those named by being installed."""
    return tuple(dict.fromkeys((*_named, *_installed())))


@cache
def _installed() -> tuple[str, ...]:
    from importlib.metadata import entry_points  # as slow as all else of `poise --help`

    return tuple(sorted({point.module for point in entry_points(group=GROUP)}))


def resolve(name: str, base: type | None = None) -> Any:
    """A class or function of a package that was named.

    Args:
        name: `module:class`, as files keep it.
        base: Base class; the class must be derived from it and not be abstract. None for any value of the package.

    Raises:
        InputError: The package was not named (nothing of it is imported then), cannot be imported, or has no such class.
    """
    _check_named(name)
    return locate(name, base)


def locate(name: str, base: type | None = None) -> Any:
    """A class or function of any package that can be imported, as `resolve`; for names that are not from a file.

    Raises:
        InputError: It cannot be imported by name in another process, or has no such class.
    """
    found = _found(name)
    if base is not None and not _is_subclass(found, base):
        raise InputError(f"{name!r} is no class derived from {base.__name__} of which there can be values")
    return found


def builder(name: str, base: type) -> Callable[..., Any]:
    """The builder of a network: one of the zoo's, or of a package that was named.

    Args:
        name: `hrnet:network` of the zoo; `module:function`, or `module:class`, of others.
        base: Type that it builds. A function must be annotated to return that or a class derived from it, so that a file
            cannot have any other function called.

    Raises:
        InputError: The package was not named (nothing of it is imported then), cannot be imported, or has no such builder.
    """
    built_in: Mapping[str, Callable[..., Any]] = importlib.import_module(ZOO).networks()
    if name in built_in:
        return built_in[name]
    _check_named(name)
    found = _found(name)
    if not (_is_subclass(found, base) or _is_subclass(_promised(found), base, abstract=True)):
        raise InputError(
            f"{name!r} is neither a class derived from {base.__name__} nor a function annotated to return one "
            f"(def {name.partition(':')[2]}(...) -> {base.__name__}); without that a file could have any function called"
        )
    made: Callable[..., Any] = found
    return made


def name_of(thing: Any) -> str:
    """The name under which a file keeps a class or function: `module:name`.

    Args:
        thing: A class or function.

    Raises:
        InputError: Another process could not find it by that name; the message says what to do.
    """
    where, what = str(thing.__module__), str(thing.__qualname__)
    if not what.isidentifier():
        raise InputError(
            f"{what} of module {where} has no name to import it by: it is a lambda, or stands inside a function or class; "
            "write it at the top of a module"
        )
    if locate(f"{where}:{what}") is not thing:
        raise InputError(f"{where}:{what} is something else by now; import the module anew, and make the model again")
    return f"{where}:{what}"


def members(base: type, packages: Iterable[str]) -> Mapping[str, type[Any]]:
    """Every class of some packages that is derived from another and not abstract, by its name.

    All modules of these packages are imported. A second class of a name has its whole name, `module:class`.

    Raises:
        InputError: A module cannot be imported.
    """
    found: dict[str, type[Any]] = {}
    for module in (module for package in packages for module in modules(package)):
        for cls in vars(module).values():
            if _is_subclass(cls, base) and cls.__module__ == module.__name__ and cls not in found.values():
                found[cls.__name__ if cls.__name__ not in found else f"{module.__name__}:{cls.__name__}"] = cls
    return found


def modules(package: str) -> Iterator[types.ModuleType]:
    """A package and everything in it but scripts and tests, imported; of a module that is no package itself alone.

    Raises:
        InputError: A module cannot be imported.
    """
    module = _imported(package)
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if info.name not in LEFT_OUT and not info.name.startswith("test_"):
            yield from modules(f"{package}.{info.name}")


def _check_named(name: str) -> None:
    """Refuse code of a package that was not named, before anything is imported."""
    where = name.partition(":")[0]
    if _own_names.get() or any(where == package or where.startswith(f"{package}.") for package in named()):
        return
    package = where.partition(".")[0]
    if not _is_path(where) or package == "poise":
        raise InputError(f"{name!r} is no part of this poise; update poise")
    raise InputError(
        f"{name!r} is no part of this poise: it is of the package {package!r}, which you have not named, and nothing of it was "
        f"run. If you know that package and want to run its code, add --plugin {package} (in Python: "
        f'poise.use_plugin("{package}")); if you have no such package, update poise'
    )


def _found(name: str) -> Any:
    """The value of a name in a module; it must be of that package, so that a file cannot reach what a module has imported."""
    where, colon, what = name.partition(":")
    if "__main__" in where.split("."):
        raise InputError(
            f"{what!r} stands in a script ({where}), where no other process finds it; move it into a module, such as "
            "mypkg/nets.py, and import it from there"
        )
    if not (colon and _is_path(where) and what.isidentifier()):
        raise InputError(f"code is named as module:function or module:class, such as mypkg.nets:my_network, not {name!r}")
    if not _findable(where):
        raise InputError(
            f"there is no module {where!r} for {name!r}; it must be in an installed package, or in a folder Python looks in"
        )
    module = _imported(where)
    if not hasattr(module, what):
        raise InputError(f"module {where!r} has no {what!r}; was it renamed?")
    found = getattr(module, what)
    origin = getattr(found, "__module__", None) or ""
    if origin.partition(".")[0] != where.partition(".")[0]:
        raise InputError(
            f"{name!r} is of another package ({origin or 'none that it tells'}), which module {where!r} only imports; write a "
            "function or class of your own"
        )
    return found


def _imported(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's own code does
        if name.partition(".")[0] == "poise":
            raise
        raise InputError(
            f"the module {name!r} cannot be imported ({type(error).__name__}: {error}); mend it, or name only the modules that "
            f"poise needs, such as --plugin {name.partition('.')[0]}.nets"
        ) from error


def _findable(name: str) -> bool:
    """Whether another process would find a module; one that was only put into `sys.modules` is not found there."""
    parent, _, _ = name.rpartition(".")
    if parent and not _findable(parent):
        return False
    path = getattr(_imported(parent), "__path__", ()) if parent else None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return any(finder.find_spec(name, path) is not None for finder in finders)


def _is_path(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _is_subclass(value: Any, base: type, *, abstract: bool = False) -> bool:
    return inspect.isclass(value) and issubclass(value, base) and (abstract or not inspect.isabstract(value))


def _promised(function: Any) -> Any:
    """The return annotation of a function; None where it cannot be resolved."""
    if not inspect.isfunction(function):
        return None
    globals_ = inspect.unwrap(function).__globals__
    holder = types.SimpleNamespace(__annotations__={"return": function.__annotations__.get("return")})
    try:
        return typing.get_type_hints(holder, globalns=globals_).get("return")
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None
