"""What the machine has."""

import inspect
import os
from collections.abc import Callable
from functools import cache
from typing import Any


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def compiled(function: Callable[..., None], *, contract: bool = False) -> Callable[..., None]:
    """A loop over numbers as machine code; kept beside its file where that can be written, so that it is made once.

    Args:
        function: Plain loops over NumPy arrays.
        contract: Whether a product and a sum may be rounded once instead of twice.
    """
    import numba  # takes a tenth of a second, and most runs have no such loop

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"} | ({"fastmath": {"contract"}} if contract else {})
    source = inspect.unwrap(function)  # type checks of tests are no part of the loop
    try:
        made: Callable[..., None] = numba.njit(cache=True, **options)(source)
    except RuntimeError:  # numba's answer where no folder can be written
        made = numba.njit(**options)(source)
    return made
