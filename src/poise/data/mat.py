"""MATLAB files of version 5 (written by MATLAB with -v6 and -v7), the format of MPII's labels and results.

They are read by scipy in a process of its own, after a look at what they say to hold: scipy takes memory for every size that a
file claims, and breaks down on some damaged files. Format: "MAT-File Format", MathWorks, chapter 1. Files of version 7.3 are
HDF5 and are not read.
"""

import importlib.util
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from poise.errors import MissingExtra, ReadError
from poise.reading import read_file
from poise.writing import write_atomic

MOST = 2**28
"""Bytes of a file, and of what it is unpacked to; MPII's labels have 12 million packed."""

MOST_ARRAYS = 10_000_000
"""Arrays in a file, those in cells and structs counted."""

NESTING = 50
"""Cells and structs in each other, at most."""

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _SPARSE, _FUNCTION = 1, 2, 3, 5, 16
_EMPTY_STRUCTS = 100_000
"""Structs without fields, which take no bytes."""
_HEADER = 128

SECONDS = 600
"""That reading may take; MPII's labels take some ten."""

_CHILD = f"""
import pickle, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({32 * MOST}, {32 * MOST}))
except (ImportError, ValueError, OSError):
    pass
from scipy.io import loadmat
sys.stdout.buffer.write(pickle.dumps([loadmat(path, simplify_cells=True) for path in sys.argv[1:]], protocol=5))
"""
"""Reads files in a process of its own: scipy breaks down on some damaged ones, and Python with it."""

_AT_ONCE = 200
"""Files that one such process reads; starting it takes a second."""

_Part = memoryview


def read_mat(path: Path | str) -> dict[str, Any]:
    """Read the variables of a file.

    Args:
        path: The .mat file.

    Returns:
        Values by name: numbers and text, arrays of these without sides of length 1, structs as dictionaries, arrays of structs
        and cells as lists or arrays of objects.

    Raises:
        ReadError: The file is missing, damaged, of version 7.3, or claims more than it holds.
        MissingExtra: scipy is not installed.
    """
    return read_mats([path])[0]


def read_mats(paths: Sequence[Path | str]) -> list[dict[str, Any]]:
    """Read the variables of several files, as `read_mat` does; faster than one by one.

    Args:
        paths: The .mat files.

    Raises:
        ReadError: A file is missing, damaged, of version 7.3, or claims more than it holds.
        MissingExtra: scipy is not installed.
    """
    for path in paths:
        _look_at(path)
    groups = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    found = [content for group in groups for content in _loaded(group)]
    return [{name: value for name, value in content.items() if not name.startswith("__")} for content in found]


def _look_at(path: Path | str) -> None:
    """Refuse a file that is no MATLAB file of version 5, or claims more than it holds."""
    data = read_file(path, what="MATLAB file", most=MOST)
    if data.startswith((b"MATLAB 7.3", b"\x89HDF")) or data[512:516] == b"\x89HDF":
        raise ReadError(f"{str(path)!r} is a MATLAB file of version 7.3 (HDF5); save it in MATLAB with -v7")
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise ReadError(f"{str(path)!r} is not a MATLAB file of version 5")
    try:
        _check(data, "<" if data[126:128] == b"IM" else ">")
    except (struct.error, zlib.error, ValueError) as error:
        raise ReadError(f"MATLAB file {str(path)!r} is damaged, or claims more than it holds: {error}") from error


def _loaded(paths: Sequence[Path | str]) -> list[dict[str, Any]]:
    """The content of files, read in one process; where that fails one by one, so that the message names the file."""
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtra(
            f"MATLAB files such as {str(paths[0])!r} are read by scipy, which is not installed: pip install 'poise[mpii]'"
        )
    first = repr(str(paths[0]))
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *map(str, paths)],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        raise ReadError(f"MATLAB file {first} took more than {SECONDS} seconds to read; is it the right file?") from None
    if done.returncode and len(paths) > 1:
        return [content for path in paths for content in _loaded([path])]
    if done.returncode:
        said = (done.stderr.decode(errors="replace").splitlines() or ["scipy broke down"])[-1][:200]
        raise ReadError(f"MATLAB file {first} is damaged or has values of an unknown class ({said})")
    found: list[dict[str, Any]] = pickle.loads(done.stdout)  # what our own process has written
    return found


def _check(data: bytes, order: str) -> None:
    """Refuse a file that claims more than it holds.

    Raises:
        ValueError: It does, or ends early.
    """
    left = MOST
    parts: list[tuple[_Part, int]] = []
    for kind, body in _elements(memoryview(data)[_HEADER:], order):
        if kind == _COMPRESSED:
            content = zlib.decompressobj().decompress(body, left + 1)
            left -= len(content)
            if left < 0:
                raise ValueError(f"it would become larger than {MOST:,} bytes")
            parts += [(inner, 0) for kind, inner in _elements(memoryview(content), order) if kind == _MATRIX]
        elif kind == _MATRIX:
            parts.append((body, 0))
    for _ in range(MOST_ARRAYS):
        if not parts:
            return
        body, depth = parts.pop()
        if depth > NESTING:
            raise ValueError(f"its cells and structs are nested more than {NESTING} deep")
        parts += [(inner, depth + 1) for inner in _inside(body, order)]
    raise ValueError(f"it has more than {MOST_ARRAYS:,} arrays")


def _elements(data: _Part, order: str) -> Iterator[tuple[int, _Part]]:
    """Type and content of each data element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # a small data element has its content, up to four bytes, in the tag
            yield kind & 0xFFFF, data[at + 4 : at + 4 + min(4, kind >> 16)]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise ValueError("it ends early")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _inside(body: _Part, order: str) -> list[_Part]:
    """The arrays in an array of cells or structs; none in one of numbers, whose bytes must be as many as it says."""
    parts = list(_elements(body, order))
    if len(parts) < 3:  # an empty array may have nothing at all
        return []
    family = struct.unpack_from(order + "I", parts[0][1])[0] & 0xFF
    sides = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1][: len(parts[1][1]) // 4 * 4])
    count = prod(sides)
    if min(sides, default=0) < 0 or len(sides) > 32:
        raise ValueError(f"an array of {' x '.join(map(str, sides[:8]))}")
    if family in (_CELL, _STRUCT, _OBJECT):
        inner = [part for kind, part in parts[3:] if kind == _MATRIX]
        if count > max(len(inner), _EMPTY_STRUCTS):
            raise ValueError(f"an array of {count:,} cells or structs, of which it has {len(inner):,}")
        return inner
    if family not in (_SPARSE, _FUNCTION) and count > sum(len(part) for _, part in parts[3:]):
        raise ValueError(f"an array of {count:,} numbers in {len(body):,} bytes")
    return []


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
