"""Reading files of others: looked at before they are opened, and never more than a limit.

Every JSON file that poise reads comes through `read_json`, whatever it holds.
"""

import gc
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from poise.errors import AnnotationError, PoiseError, ReadError
from poise.fields import LARGEST

MOST = 4 * 2**30
"""Bytes of a file that is read whole, at most."""

NESTING = 100
"""Lists and objects inside each other, at most; files of labels have five."""

LARGE = 2**24
"""Bytes of a file whose objects are kept from the search for garbage."""

_DIGITS = bytes(48 if 48 <= byte < 58 else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 19
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_file(path: Path | str, *, what: str = "file", most: int = MOST, error: type[PoiseError] = ReadError) -> int:
    """Look at a file before it is opened.

    Args:
        path: The file.
        what: What it should be, for the message.
        most: Bytes it may have.
        error: What is raised.

    Returns:
        Its size, bytes.

    Raises:
        ReadError: It is missing, cannot be looked at, is a folder, pipe or device, or is larger; or `error`.
    """
    name = f"{what} {str(path)!r}"
    try:
        found = os.stat(path)  # noqa: PTH116  # also for names that no file can have
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"there is no {name}; check the path") from None
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        raise error(f"{name} cannot be read: {getattr(fault, 'strerror', None) or fault}; check the path") from fault
    if not stat.S_ISREG(found.st_mode):
        raise error(f"{name} is {_kind(found.st_mode)}; expected a regular file")
    if found.st_size > most:
        raise error(f"{name} has {found.st_size:,} bytes, and {most:,} are the most; is it the right file?")
    return found.st_size


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe, which may never end (write its content into a file first)"
    return "a device, which may never end" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"


def check_folder(path: Path | str, *, what: str = "folder", error: type[PoiseError] = ReadError) -> None:
    """Look at a folder before it is searched.

    Args:
        path: The folder.
        what: What it should be, for the message.
        error: What is raised.

    Raises:
        ReadError: It is missing, no folder, not to be read, or the whole file system; or `error`.
    """
    name = f"{what} {str(path)!r}"
    try:
        with os.scandir(path) as inside:
            next(inside, None)
        real = Path(path).resolve()
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"there is no {name}; check the path") from None
    except (OSError, ValueError, RuntimeError) as fault:  # RuntimeError: links in a circle
        raise error(f"{name} cannot be read: {getattr(fault, 'strerror', None) or fault}; check the path") from fault
    if real == Path(real.anchor):
        raise error(f"{name} is the root of the file system, and searching all of it would take hours; name the folder itself")


def read_file(path: Path | str, *, what: str = "file", most: int = MOST, error: type[PoiseError] = ReadError) -> bytes:
    """The content of a file (`check_file`).

    Args:
        path: The file.
        what: What it should be, for the message.
        most: Bytes it may have.
        error: What is raised.

    Raises:
        ReadError: As `check_file`, or it cannot be read; or `error`.
    """
    check_file(path, what=what, most=most, error=error)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # as above
            data = file.read(most + 1) if most < MOST else file.read()
    except OSError as fault:
        raise error(f"{what} {str(path)!r} cannot be read: {fault.strerror or fault}") from fault
    if len(data) > most:
        raise error(f"{what} {str(path)!r} has grown beyond {most:,} bytes; is it the right file?")
    return data


def read_json(
    path: Path | str,
    *,
    what: str = "annotation file",
    error: type[PoiseError] = AnnotationError,
    missing: type[PoiseError] = ReadError,
) -> Any:
    """Read a JSON file (`parse_json`).

    Args:
        path: The file.
        what: What it should be, for the message.
        error: What is raised where it is not JSON.
        missing: What is raised where it cannot be read.

    Raises:
        ReadError: The file is missing, no regular file, or cannot be read; or `missing`.
        AnnotationError: The file is not JSON; or `error`.
    """
    return parse_json(read_file(path, what=what, error=missing), name=repr(str(path)), error=error)


def parse_json(data: bytes | str, *, name: str, error: type[PoiseError] = AnnotationError) -> Any:
    """The value of a JSON text; `NaN` and `Infinity` are taken, as Python writes them.

    Args:
        data: The text.
        name: Name of the file, for the message.
        error: What is raised.

    Raises:
        AnnotationError: It is not JSON, is nested deeper than `NESTING`, or has a whole number beyond 64 bits; or `error`.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if b"\0" in raw[:4]:  # of UTF-16 and UTF-32
        raw = raw.replace(b"\0", b"")
    if _is_deep(raw):
        raise error(f"{name} is no file of data: its lists and objects are nested more than {NESTING} deep")
    collecting, large = gc.isenabled(), len(raw) > LARGE
    if large:
        gc.collect()
    gc.disable()  # twice as fast for the millions of objects of a large file, of which none is garbage
    try:
        whole = _whole if _LONG_NUMBER in raw.translate(_DIGITS) else None
        text = data if isinstance(data, str) else data.decode(json.detect_encoding(data), "surrogatepass")
        data = raw = b""  # once is enough in memory
        found = json.loads(text, parse_int=whole)
        if large:
            gc.freeze()  # nor is it looked through for garbage afterwards; it goes as soon as nobody refers to it
        return found
    except json.JSONDecodeError as fault:
        raise error(f"{name} is not valid JSON ({fault}); is the file complete?") from fault
    except UnicodeDecodeError as fault:
        raise error(f"{name} is not valid JSON (no text: {fault.reason}); is it another kind of file?") from fault
    except (ValueError, RecursionError, MemoryError) as fault:
        raise error(f"{name} cannot be read: {fault or 'it needs more memory than there is'}") from fault
    finally:
        if collecting:
            gc.enable()


def _whole(digits: str) -> int:
    """A whole number of a file."""
    if len(digits) > 20 or abs(int(digits)) > LARGEST:
        shown = digits if len(digits) <= 40 else f"{digits[:10]}... ({len(digits)} digits)"
        raise ValueError(f"the whole number {shown} is beyond 64 bits (at most {LARGEST}); number its records anew")
    return int(digits)


def _is_deep(data: bytes) -> bool:
    """Whether lists and objects are nested deeper than `NESTING`; what is no JSON may be called either."""
    return _leaves(data) and _leaves(_TEXT.sub(b"", data))  # brackets in texts count for nothing, and are looked for last


def _leaves(data: bytes) -> bool:
    """Whether brackets are left after the innermost pairs were taken out `NESTING` times."""
    left = data.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(NESTING):
        shorter = left.replace(b"[]", b"")
        if len(shorter) == len(left):
            break
        left = shorter
    return b"[]" in left or left.count(b"[") > NESTING
