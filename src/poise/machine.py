"""The machine: its cores, loops compiled for it, whether a server can be reached, and signals that ask a process to stop."""

import importlib.util
import inspect
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def answers(url: str, *, seconds: float = 10.0) -> bool:
    """Whether a server answers anything at all; asked once in a process, also through the proxy of the environment.

    Libraries that download weights try again for a minute or two where there is no network; they are asked after this.

    Args:
        url: Address of the server.
        seconds: To wait.
    """
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:  # it answers, if only that this page is not for us
        return True
    except (OSError, ValueError):
        return False
    return True


@cache
def compiles() -> bool:
    """Whether loops can be compiled: numba is there, which comes with `poise[fast]`.

    Where it is not, tensor operations do the same, and a line says once what it would bring.
    """
    if importlib.util.find_spec("numba") is not None:
        return True
    logging.getLogger("poise").warning(
        "poise: numba is not installed, so some maps are read, labels of whole images drawn and intervals computed without "
        "compiled loops, with equal results, 4 to 35 times slower; it comes with: pip install 'poise[fast]'"
    )
    return False


def by_loops(device: str) -> bool:
    """Whether compiled loops do some work; else tensor operations do it, as they do while a graph is traced.

    Args:
        device: Type of the device where the tensors are, such as "cpu".
    """
    return device == "cpu" and not is_traced() and compiles()


_traced: ContextVar[bool] = ContextVar("traced", default=False)


def is_traced() -> bool:
    """Whether tensor operations are being written down as a graph, in which no step may depend on the values at hand."""
    return _traced.get()


@contextmanager
def traced() -> Iterator[None]:
    """While this lasts, a graph is traced."""
    token = _traced.set(True)
    try:
        yield
    finally:
        _traced.reset(token)


@cache
def compiled(function: Callable[..., None], *, contract: bool = False) -> Callable[..., None]:
    """A function of plain loops, compiled by numba; the machine code is cached beside its source file if that can be written.

    Without numba the loops are Python's: the same results, for loops that are short.

    Args:
        function: Plain loops over NumPy arrays.
        contract: Whether a product and a sum may be rounded once instead of twice (fused multiply-add).
    """
    if not compiles():
        return function
    import numba  # importing it takes a tenth of a second, and most runs need no compiled loop

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"} | ({"fastmath": {"contract"}} if contract else {})
    source = inspect.unwrap(function)  # without the type checks that the tests add
    try:
        made: Callable[..., None] = numba.njit(cache=True, **options)(source)
    except RuntimeError:  # numba raises this where no cache folder can be written
        made = numba.njit(**options)(source)
    return made


def stop_signals() -> list[signal.Signals]:
    """The signals that ask a process to stop, but for a SIGHUP that is ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = [] if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else [hangup]
    return [signal.SIGINT, signal.SIGTERM, *heard]
