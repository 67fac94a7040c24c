"""Types and shapes of every call are checked, for a small part of what jaxtyping's own decorator costs.

That one checks arguments twice and binds them by name, at every call and also where there is no array. Here beartype's wrapper
checks arguments and result once; functions with shapes get a memory of axes around it, the others need none.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import config
from jaxtyping._decorator import _destring_annotation
from jaxtyping._storage import pop_shape_memo, push_shape_memo, shape_str
from torch.jit import is_tracing

CONF = BeartypeConf(violation_type=jaxtyping.TypeCheckError)


def install(package: str) -> None:
    """Check the calls of a package that is imported after this."""
    jaxtyping.jaxtyped = _decorator
    jaxtyping.install_import_hook(package, "beartype.beartype")


def _decorator(*, typechecker: Any) -> Callable[[Any], Any]:
    """In place of `jaxtyping.jaxtyped`, which the import hook puts on every function and class."""
    return _checked


def _checked(thing: Any) -> Any:
    if not inspect.isclass(thing):
        return _function(thing)
    if dataclasses.is_dataclass(thing) and "__init__" in vars(thing) and not hasattr(thing.__init__, "__wrapped__"):
        thing.__init__ = _function(thing.__init__)
    return thing


def _function(function: Any) -> Any:
    """The function with checks, which are made at its first call: a test calls few of a package's functions."""
    made: list[Any] = []

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if config.jaxtyping_disable or is_tracing():  # the lengths of a traced graph are tensors
            return function(*args, **kwargs)
        if not made:
            made.append(_with_checks(function))
        return made[0](*args, **kwargs)

    return wrapped


def _with_checks(function: Any) -> Any:
    hints = {name: _destring_annotation(hint, function.__globals__) for name, hint in function.__annotations__.items()}
    if inspect.isgeneratorfunction(function):  # its body runs later, among the axes of whoever asks for values
        hints = {name: hint for name, hint in hints.items() if name != "return" and not _has_shape(hint)}
    checked = beartype(conf=CONF)(_copy(function, hints))
    return _within_a_memory(checked) if any(map(_has_shape, hints.values())) else checked


def _within_a_memory(checked: Any) -> Any:
    """A function whose axes of one name have one length in each call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        memos = push_shape_memo({})
        try:
            return checked(*args, **kwargs)
        except jaxtyping.TypeCheckError as error:
            error.add_note(shape_str(memos))
            raise
        finally:
            pop_shape_memo()

    return call


def _copy(function: Any, hints: dict[str, Any]) -> Any:
    """The function with other annotations."""
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__, made.__annotations__ = function.__kwdefaults__, hints
    made.__qualname__, made.__module__ = function.__qualname__, function.__module__
    return made


def _has_shape(hint: Any) -> bool:
    array = inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    return array or any(map(_has_shape, get_args(hint)))
