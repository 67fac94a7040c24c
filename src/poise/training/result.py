"""Results of a run: its best model, scores, and the table of metrics (`metrics.csv`)."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import final

from poise.errors import ReadError
from poise.models.base import TrainableModel
from poise.writing import write_atomic

Row = dict[str, int | float]
"""Metrics of an epoch, by name."""


@final
@dataclass(frozen=True, eq=False)
class RunResult:
    """Result of a run.

    Attributes:
        model: The best model, in evaluation mode.
        metrics: Its validation scores, by name.
        folder: Folder of the run.
        file: File of the best model.
        history: One row of metrics per epoch, as in `metrics.csv`; in a run of several stages with the index of the stage.
        stages: Scores of the best model of each stage; empty for a recipe without further stages.
    """

    model: TrainableModel
    metrics: dict[str, float]
    folder: Path
    file: Path
    history: list[Row]
    stages: tuple[dict[str, float], ...] = ()


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write a table whose columns are all names in the rows.

    Raises:
        WriteError: The file cannot be written.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode(errors="backslashreplace"))


def read_csv(path: Path) -> list[Row]:
    """The rows that `write_csv` wrote; missing values stay missing.

    Raises:
        ReadError: The file is missing, or something else.
    """
    try:
        with path.open(newline="") as file:
            return [{name: _number(text) for name, text in row.items() if text} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ReadError(f"the metrics of the run, {path}, cannot be read ({error}); put the file back from a copy") from error


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
