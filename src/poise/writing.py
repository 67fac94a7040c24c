"""Files that appear whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from poise.errors import WriteError


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write under another name beside it, then rename; folders that are missing are made.

    Raises:
        WriteError: The place cannot be written; nothing is left behind.
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
        raise WriteError(f"{str(path)!r} cannot be written: {error.strerror or error}; choose another place") from error
