"""How fast poise is beside vectorised readings of the published formulae: one run, one thread, turn about, in processor time.

    python benchmarks/speed.py [--only TEXT] [--out FILE.json]

Every file `speed_*.py` beside this one adds rows: a function `rows()` that gives `Row`s. The reading is what counts, unless
it is slower than the public code by more than a fifth; then the public figure counts. Exit code 1 when a row is too slow.
"""

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from row import Row, Work

TURNS = 5
"""How often the two sides take turns."""

LONG = 500.0
"""Milliseconds after which nothing that was at hand before matters."""


@dataclass(frozen=True)
class Timing:
    """Medians of one row, milliseconds."""

    name: str
    ours: float
    theirs: float
    public: float | None
    ratio: float
    wanted: float

    @property
    def passed(self) -> bool:
        """Whether ours is as fast as wanted."""
        return self.ratio >= self.wanted


def one_thread() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"  # read when NumPy and torch are loaded, so before they are
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def found_rows() -> Iterator[Row]:
    for path in sorted(Path(__file__).parent.glob("speed_*.py")):
        yield from importlib.import_module(path.stem).rows()


def milliseconds(work: Work) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def measured(work: Work, times: int) -> list[float]:
    """Processor time of `work` when its code, its data and its memory are at hand: the first time does not count, if short."""
    first = milliseconds(work)
    return [first] * (first > LONG) + [milliseconds(work) for _ in range(times - (first > LONG))]


def measure(row: Row) -> Timing:
    rounds = min(row.repeats, TURNS)
    times = row.repeats // rounds
    turns = [(measured(row.ours, times), measured(row.theirs, times)) for _ in range(rounds)]
    ours, theirs = (statistics.median(t for turn in side for t in turn) for side in zip(*turns, strict=True))
    counted = row.public if row.public is not None and theirs > 1.2 * row.public else theirs
    return Timing(row.name, ours, theirs, row.public, counted / ours, row.wanted)


def table(timings: list[Timing]) -> Table:
    shown = Table("work", "poise ms", "reading ms", "public ms", "times faster", "wanted", "")
    for t in timings:
        public = "-" if t.public is None else f"{t.public:.2f}"
        cells = (t.name, f"{t.ours:.2f}", f"{t.theirs:.2f}", public, f"{t.ratio:.1f}", f"{t.wanted:g}")
        shown.add_row(*cells, "ok" if t.passed else "too slow")
    return shown


def main(*, only: str = "", out: Path | None = None) -> int:
    """Time every row and print the table.

    Args:
        only: Rows whose name holds this text.
        out: Also write the numbers here, as JSON.
    """
    one_thread()
    timings = [measure(row) for row in found_rows() if only in row.name]
    Console().print(table(timings))
    if out is not None:
        out.write_text(json.dumps([asdict(t) | {"passed": t.passed} for t in timings], indent=1))
    return 0 if all(t.passed for t in timings) else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
