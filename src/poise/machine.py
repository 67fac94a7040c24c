"""The processor: how many cores there are, and loops compiled for it."""

import inspect
import os
from collections.abc import Callable
from functools import cache
from typing import Any


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def compiled(function: Callable[..., None], *, contract: bool = False) -> Callable[..., None]:
    """A function of plain loops, compiled by numba; the machine code is cached beside its source file if that can be written.

    Args:
        function: Plain loops over NumPy arrays.
        contract: Whether a product and a sum may be rounded once instead of twice (fused multiply-add).
    """
    import numba  # importing it takes a tenth of a second, and most runs need no compiled loop

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"} | ({"fastmath": {"contract"}} if contract else {})
    source = inspect.unwrap(function)  # without the type checks that the tests add
    try:
        made: Callable[..., None] = numba.njit(cache=True, **options)(source)
    except RuntimeError:  # numba raises this where no cache folder can be written
        made = numba.njit(**options)(source)
    return made
