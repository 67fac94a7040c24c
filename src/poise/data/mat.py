"""MATLAB files of version 5 (written by MATLAB with -v6 and -v7), the format of MPII's labels and results.

Format: "MAT-File Format", MathWorks, chapter 1. Files of version 7.3 are HDF5 and are not read.
"""

import struct
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from poise.errors import ReadError, missing
from poise.writing import write_atomic

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
"""NumPy type of stored numbers, by the type of a data element (miINT8, ...)."""

_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""NumPy type of an array, by its class (mxDOUBLE_CLASS, ...)."""

_ENCODINGS = {1: "latin-1", 2: "latin-1", 3: "utf-16", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}

_MATRIX, _COMPRESSED, _CELL, _STRUCT, _CHAR = 14, 15, 1, 2, 4
_COMPLEX = 0x0800
_HEADER = 128


def read_mat(path: Path | str) -> dict[str, Any]:
    """Read the variables of a file.

    Args:
        path: The .mat file.

    Returns:
        Values by name: arrays of numbers, text, cell arrays as arrays of objects, struct arrays as arrays of dictionaries.

    Raises:
        ReadError: The file is missing, damaged, of version 7.3, or contains values of another class.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ReadError(missing("MATLAB file", path)) from None
    except OSError as error:
        raise ReadError(f"MATLAB file {str(path)!r} cannot be read: {error.strerror or error}") from error
    if data.startswith((b"MATLAB 7.3", b"\x89HDF")) or data[512:516] == b"\x89HDF":
        raise ReadError(f"{str(path)!r} is a MATLAB file of version 7.3 (HDF5); save it in MATLAB with -v7")
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise ReadError(f"{str(path)!r} is not a MATLAB file of version 5")
    try:
        return _variables(data, "<" if data[126:128] == b"IM" else ">")
    except (struct.error, zlib.error, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise ReadError(f"MATLAB file {str(path)!r} is damaged or has values of an unknown class: {error}") from error


def _variables(data: bytes, order: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    at = _HEADER
    while at + 8 <= len(data):
        element_type, body, at = _element(data, at, order)
        if element_type == _COMPRESSED:
            element_type, body, _ = _element(zlib.decompress(body), 0, order)
        if element_type == _MATRIX:
            name, value = _matrix(body, order)
            out[name] = value
    return out


def _element(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type and content of the data element at a byte offset, and the offset of the next one."""
    element_type, size = struct.unpack_from(order + "II", data, at)
    if element_type >> 16:  # a small data element has its content, up to four bytes, in the tag
        return element_type & 0xFFFF, data[at + 4 : at + 4 + (element_type >> 16)], at + 8
    body = data[at + 8 : at + 8 + size]
    if len(body) < size:
        raise ValueError("it ends early")
    return element_type, body, at + 8 + size + (0 if element_type == _COMPRESSED else -size % 8)


def _numbers(element_type: int, body: bytes, order: str) -> np.ndarray:
    return np.frombuffer(body, np.dtype(order + _NUMBERS[element_type]))


def _matrix(data: bytes, order: str) -> tuple[str, Any]:
    if not data:
        return "", np.zeros((0, 0))
    _, head, at = _element(data, 0, order)
    element_type, sizes, at = _element(data, at, order)
    shape = tuple(_numbers(element_type, sizes, order).tolist())
    _, label, at = _element(data, at, order)
    flags = struct.unpack_from(order + "I", head)[0]
    return label.decode("latin-1"), _value(data, at, order, shape=shape, flags=flags)


def _value(data: bytes, at: int, order: str, *, shape: tuple[int, ...], flags: int) -> Any:
    family = flags & 0xFF
    if family == _CELL:
        return _objects(_matrices(data, at, order, prod(shape)), shape)
    if family == _STRUCT:
        return _structs(data, at, order, shape)
    if family == _CHAR:
        element_type, body, _ = _element(data, at, order)
        end = {"<": "-le", ">": "-be"}[order] if "8" not in (name := _ENCODINGS[element_type]) and name != "latin-1" else ""
        return body.decode(name + end)
    if family not in _CLASSES or flags & _COMPLEX:
        raise ValueError(f"an array of class {family}" + (", complex" if flags & _COMPLEX else ""))
    element_type, body, _ = _element(data, at, order)
    return _numbers(element_type, body, order).astype(_CLASSES[family]).reshape(shape, order="F")


def _matrices(data: bytes, at: int, order: str, count: int) -> list[Any]:
    out = []
    for _ in range(count):
        _, body, at = _element(data, at, order)
        out.append(_matrix(body, order)[1])
    return out


def _structs(data: bytes, at: int, order: str, shape: tuple[int, ...]) -> np.ndarray:
    _, body, at = _element(data, at, order)
    width = struct.unpack_from(order + "i", body)[0]
    _, body, at = _element(data, at, order)
    names = [body[i : i + width].split(b"\0")[0].decode("latin-1") for i in range(0, len(body), width)]
    values = _matrices(data, at, order, prod(shape) * len(names))
    rows = [dict(zip(names, values[i * len(names) :], strict=False)) for i in range(prod(shape))]
    return _objects(rows, shape)


def _objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(shape, order="F")


def write_mat(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers as doubles, atomically.

    Args:
        path: The .mat file; an existing one is replaced.
        arrays: Arrays by the names of the variables.

    Raises:
        WriteError: The file cannot be written.
    """
    head = b"MATLAB 5.0 MAT-file, written by poise".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    write_atomic(path, head + b"".join(_packed(_MATRIX, _array(name, value)) for name, value in arrays.items()))


def _array(name: str, value: np.ndarray) -> bytes:
    numbers = np.asarray(value, dtype="<f8")
    shape = numbers.shape if numbers.ndim > 1 else (1, numbers.size)
    parts = (
        (6, struct.pack("<II", 6, 0)),
        (5, struct.pack(f"<{len(shape)}i", *shape)),
        (1, name.encode("ascii")),
        (9, numbers.tobytes(order="F")),
    )
    return b"".join(_packed(element_type, body) for element_type, body in parts)


def _packed(element_type: int, body: bytes) -> bytes:
    return struct.pack("<II", element_type, len(body)) + body + bytes(-len(body) % 8)
