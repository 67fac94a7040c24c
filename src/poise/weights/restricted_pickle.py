"""Checkpoints written with `pickle` alone, as Detectron2's: only numpy arrays and plain values are read, never code."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from poise.errors import CheckpointError

# numpy's own makers of arrays and of single numbers, which moved between versions.
_ARRAY: Any = np.zeros(0).__reduce__()[0]
_BUFFER: Any = np.zeros(0).__reduce_ex__(pickle.HIGHEST_PROTOCOL)[0]
_SCALAR: Any = np.float64(0).__reduce__()[0]

ALLOWED: Mapping[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ARRAY for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _BUFFER for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),
}
"""All that a file may ask for by name."""

BROKEN = (
    *(EOFError, OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError),
    *(MemoryError, RuntimeError, SystemError),  # of numpy, for states that no array has
)
"""Exceptions of reading a damaged file."""


@final
class _Reader(pickle.Unpickler):
    """Refuses every name but those of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """One of `ALLOWED`."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return ALLOWED[module, name]


def read_pickled(path: Path) -> Mapping[str, Any]:
    """A dictionary of weights, alone or under "model"; arrays come as tensors.

    Raises:
        CheckpointError: The file is truncated, no such dictionary, or asks for code.
    """
    try:
        found = _tensor(_Reader(io.BytesIO(path.read_bytes()), encoding="latin1").load())
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is no pickled checkpoint, or asks for more than arrays and plain values ({str(error)[:100]}); code in it "
            "could run, so it is not read. Where you trust it, save its arrays alone"
        ) from error
    except BROKEN as error:
        raise CheckpointError(f"{path} is truncated or no checkpoint ({type(error).__name__}); fetch it again") from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dictionary of weights by name")
    inner = found.get("model", found)
    return inner if isinstance(inner, Mapping) else found


def _tensor(value: Any) -> Any:
    """An array of numbers as a tensor; what holds arrays, such as a dictionary of them, with tensors in it."""
    if isinstance(value, Mapping):
        return {key: _tensor(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.array(value, order="C"))
    return value
