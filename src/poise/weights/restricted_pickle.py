"""Pickles of others: arrays and plain values are read, by stand-ins of our own; no code of the file's choice is called.

numpy's own makers of arrays trust what they are given: a file of 173 bytes crashes Python through `__setstate__`. So what a
file calls `numpy.dtype` or `numpy.ndarray` is a plain record here, and `unpacked` makes arrays of those whose name of numbers,
shape and bytes agree. Opcodes are looked at first (`check_opcodes`): one of them makes Python reserve as many places as the
file says.
"""

import io
import pickle
import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from poise.errors import CheckpointError
from poise.reading import read_file

KINDS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""numpy's names of the numbers that are read."""

NESTING = 100
"""Dictionaries and lists inside each other, at most."""

SPARE = 2**26
"""Bytes of arrays that a file may make beyond what it has four times: of small files nobody minds."""


class Dtype:
    """Type of the numbers of an array in a file, in place of `numpy.dtype`."""

    def __init__(self, kind: Any = "", *_: Any) -> None:
        self.kind = kind.decode("latin-1") if isinstance(kind, bytes) else kind
        self.order: Any = "="

    def __setstate__(self, state: Any) -> None:
        """The order of bytes; all else follows from the kind."""
        self.order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]


class Array:
    """An array in a file, in place of `numpy.ndarray`; a single number where it has no shape."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        """Version, shape, kind of numbers, whether by columns, bytes."""
        self.state = tuple(state)[-4:]


def reconstruct(*_: Any) -> Array:
    """In place of numpy's function of the name: an array whose content follows."""
    return Array()


def scalar(dtype: Any, data: Any = None) -> Array:
    """In place of numpy's function of the name: a single number."""
    made = Array()
    made.state = (None, dtype, False, data)
    return made


def frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Array:
    """In place of numpy's function of the name: an array of protocol 5."""
    made = Array()
    made.state = (shape, dtype, order == "F", data)
    return made


def encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Bytes as protocol 2 keeps them: as text, a letter for a byte."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise pickle.UnpicklingError(f"_codecs.encode to {str(encoding)[:40]!r}")
    return text.encode("latin-1")


def no_bytes(*given: Any) -> bytes:
    """In place of `bytes`, as protocol 2 keeps an empty one: `bytes()`."""
    if given:
        raise pickle.UnpicklingError("bytes of something")
    return b""


class Ordered(dict[Any, Any]):
    """In place of `collections.OrderedDict`; attributes of one are left out."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""


STAND_INS: tuple[tuple[Any, str], ...] = (
    *((reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((frombuffer, f"numpy.{core}.numeric._frombuffer") for core in ("core", "_core")),
    (Array, "numpy.ndarray"),
    (Dtype, "numpy.dtype"),
    *((no_bytes, f"{builtins}.bytes") for builtins in ("builtins", "__builtin__")),
    *((Dtype, f"numpy.dtypes.{name}DType") for name in ("Float64", "Float32", "Float16", "Int64", "Int32", "Bool")),
)
"""The stand-ins, by what files call them; also what `torch.load` is told to take."""

ALLOWED: Mapping[str, Any] = {name: made for made, name in STAND_INS} | {
    "collections.OrderedDict": Ordered,
    "_codecs.encode": encode,
}
"""All that a pickle may ask for by name."""


@final
class _Reader(pickle.Unpickler):
    """Refuses every name but those of arrays.

    Args:
        data: Content of a file.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.left = 4 * len(data) + SPARE

    def find_class(self, module: str, name: str) -> Any:
        """One of `ALLOWED`."""
        if f"{module}.{name}" not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return self._encode if name == "encode" else ALLOWED[f"{module}.{name}"]

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """`encode`, of no more than a file of this size could mean."""
        made = encode(text, encoding)
        self.left -= len(made)
        if self.left < 0:
            raise ValueError("its arrays are far larger than the file")
        return made


def read_pickled(path: Path) -> Mapping[str, Any]:
    """A dictionary of weights, alone or under "model"; arrays come as tensors.

    Raises:
        CheckpointError: The file is truncated, no such dictionary, or asks for code.
    """
    data = read_file(path, what="checkpoint", error=CheckpointError)
    try:
        check_opcodes(data)
        found = unpacked(_Reader(data).load(), bytes_of_file=len(data))
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is no pickled checkpoint, or asks for more than arrays and plain values ({str(error)[:100]}); code in it "
            "could run, so it is not read. Where you trust it, save its arrays alone"
        ) from error
    except Exception as error:  # whatever bytes that are lost or changed make of a pickle
        raise CheckpointError(f"{path} is truncated or no checkpoint ({type(error).__name__}); fetch it again") from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dictionary of weights by name")
    inner = found.get("model", found)
    return inner if isinstance(inner, Mapping) else found


def check_opcodes(data: bytes) -> None:
    """Refuse a pickle that ends early, or numbers what it remembers beyond what it has: Python would reserve that much.

    Raises:
        ValueError: It is one.
    """
    made = 0
    for count, (name, value) in enumerate(_opcodes(io.BytesIO(data))):
        if name in ("PUT", "BINPUT", "LONG_BINPUT") and value > 2 * count + 1000:
            raise ValueError(f"it remembers a value as number {value}")
        made += name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD")
    if made > 10**6:
        raise ValueError(f"it makes {made} arrays")


def _opcodes(file: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """Name and argument of each opcode; as `pickletools.genops`, which takes Python 2's texts for ASCII."""
    by_code = {opcode.code: opcode for opcode in pickletools.opcodes}
    name = ""
    while name != "STOP":
        opcode = by_code[file.read(1).decode("latin-1")]
        name = opcode.name
        yield name, file.readline() if name == "STRING" else None if opcode.arg is None else opcode.arg.reader(file)


@final
class _Unpacking:
    """Values of a file with tensors and numbers in place of the stand-ins; what stands twice is made once.

    Args:
        most: Bytes of arrays, at most.
        beside: Whether arrays of anything else than numbers are set aside, not refused.
    """

    def __init__(self, most: int, *, beside: bool) -> None:
        self.left = most
        self.beside = beside
        self.made: dict[int, tuple[Any, Any]] = {}  # what was read, too, so that its place is not given away

    def value(self, read: Any, depth: int = 0) -> Any:
        """One value."""
        if not isinstance(read, dict | list | tuple | Array):
            return read
        if depth > NESTING:
            raise ValueError(f"it is nested more than {NESTING} deep")
        if id(read) in self.made:
            return self.made[id(read)][1]
        into: Any = {} if isinstance(read, dict) else []
        if not isinstance(read, tuple | Array):
            self.made[id(read)] = (read, into)
        if isinstance(read, Array):
            into = self._array(read)
        elif isinstance(read, dict):
            into.update({key: self.value(item, depth + 1) for key, item in read.items()})
        else:
            into += [self.value(item, depth + 1) for item in read]
            into = tuple(into) if isinstance(read, tuple) else into
        self.made[id(read)] = (read, into)
        return into

    def _array(self, read: Array) -> Any:
        shape, dtype, by_columns, data = read.state
        if self.beside and not (isinstance(dtype, Dtype) and dtype.kind in KINDS):
            return {}
        if not isinstance(dtype, Dtype) or dtype.kind not in KINDS or dtype.order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of {str(getattr(dtype, 'kind', dtype))[:20]!r}")
        data = encode(data) if isinstance(data, str) else data
        sides = () if shape is None else shape
        if not isinstance(data, bytes | bytearray) or not isinstance(sides, tuple) or not all(type(n) is int for n in sides):
            raise ValueError("it has an array whose shape or content is none")
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("its arrays are far larger than the file")
        numbers = np.frombuffer(bytes(data), np.dtype(dtype.order + dtype.kind))
        if shape is None:
            number: int | float | bool = numbers.reshape(1)[0].item()
            return number
        made = numbers.reshape(_sides(sides, len(numbers)), order="F" if by_columns else "C")
        return torch.from_numpy(np.array(made, made.dtype.newbyteorder("="), order="C"))


def _sides(sides: tuple[int, ...], count: int) -> tuple[int, ...]:
    """A shape of so many numbers; -1 is none, which numpy would fill in."""
    if any(n < 0 for n in sides) or len(sides) > 32 or (not count and 0 not in sides):
        raise ValueError(f"it has an array of shape {sides[:4]} and {count} numbers")
    return sides


def unpacked(value: Any, *, bytes_of_file: int, beside: bool = False) -> Any:
    """The values read with the stand-ins, arrays as tensors and single numbers as Python's.

    Args:
        value: Dictionaries, lists and tuples of anything.
        bytes_of_file: Size of what it was read from.
        beside: Whether arrays of anything else than numbers may stand beside the weights; they are empty then.

    Raises:
        ValueError: Shape, kind and bytes of an array do not agree, it is nested too deep, or is far larger than its file.
        UnpicklingError: An array is of something else than numbers.
    """
    return _Unpacking(4 * bytes_of_file + SPARE, beside=beside).value(value)
