"""Small files of a run, written whole or not at all."""

import csv
import io
from pathlib import Path

from poise.errors import WriteError

Row = dict[str, int | float]
"""Figures by name."""


def write_bytes(path: Path, data: bytes) -> None:
    """A file, folders made where needed.

    Raises:
        WriteError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8.

    Raises:
        WriteError: It cannot be written.
    """
    write_bytes(path, text.encode())


def write_csv(path: Path, rows: list[Row]) -> None:
    """Rows under the names of all of them.

    Raises:
        WriteError: It cannot be written.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
