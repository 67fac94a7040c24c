"""Writing files atomically."""

import os
from contextlib import suppress
from pathlib import Path

from poise.errors import WriteError


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write a file so that it exists complete or not at all: under a temporary name in the same folder, then renamed.

    Args:
        path: The file; missing folders are made, an existing file is replaced.
        data: Its content.

    Raises:
        WriteError: The file cannot be written; no temporary file is left.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise WriteError(f"{str(path)!r} cannot be written: {error.strerror or error}; choose another path") from error
