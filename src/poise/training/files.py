"""The table of figures a run keeps, written whole or not at all."""

import csv
import io
from pathlib import Path

from poise.writing import write_atomic

Row = dict[str, int | float]
"""Figures by name."""


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
    write_atomic(path, text.getvalue().encode())


def read_csv(path: Path) -> list[Row]:
    """Rows that `write_csv` wrote; figures that are absent stay absent."""
    with path.open(newline="") as file:
        return [{name: _figure(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def _figure(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
