"""Which model to take: accuracy as published, size, time for a person here in each runtime, licence, as one table and one plot.

    python benchmarks/which_model.py --write docs
    python benchmarks/which_model.py --only rtmpose_t rtmo_t

Times are those of one view of one person on one thread of this processor, in PyTorch and in each runtime that is installed, the
median of some runs, counted in time of the processor, so that others who use it do not matter; the network has random weights,
which take the same time. Models that look at whole images are timed on one image of the size in their name, whoever is in it.
Models of more than `--largest` multiply-adds stand in the table without times, behind the others.

`--write FOLDER` puts the table into which-model.md there, and the plot beside it into pictures/.
"""

import argparse
import html
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from poise.models.base import Model
from poise.runtimes.choice import ENGINES
from poise.runtimes.parts import Flat
from poise.weights.release import Release
from poise.zoo.cost import model_costs, unbuilt, view_size_of
from poise.zoo.find import build, releases
from poise.zoo.get import obtainable
from poise.zoo.guess import network_name

SCORE = "coco-val2017/AP"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
TORCH = "PyTorch"
RUNTIMES = (TORCH, *(engine.label for engine in ENGINES if engine.suffix))
WIDTH, HEIGHT, EDGE = 760, 460, 60
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#b8860b", "#e7298a", "#666666")


@dataclass(frozen=True)
class Row:
    """A model of the table.

    Attributes:
        release: The model as it is published.
        millions: Parameters, millions.
        spent: Time of a person, ms, or of an image where the model looks at whole images, by the runtime; empty where the
            network was too large to be timed.
        whole: Whether it looks at whole images.
    """

    release: Release
    millions: float
    spent: Mapping[str, float]
    whole: bool

    @property
    def score(self) -> float:
        """Published AP on COCO val2017, of 100."""
        return 100 * self.release.scores[SCORE]

    @property
    def line(self) -> str:
        """The row of the table."""
        name, got = self.release.name, self.release.name in obtainable()
        unit = " (image)" if self.whole else ""
        times = " | ".join(f"{self.spent[one]:.0f}{unit}" if one in self.spent else "" for one in RUNTIMES)
        licence = self.release.licence.partition(";")[0]
        return f"| `{name}` | {self.score:.1f} | {self.millions:.1f} | {times} | {'yes' if got else ''} | {licence} |"

    @property
    def milliseconds(self) -> float:
        """Time in PyTorch; without end where it was not measured."""
        return self.spent.get(TORCH, float("inf"))


def chosen() -> dict[str, Release]:
    """One published model with a score on COCO for each network and size of view; of equal ones the first."""
    found: dict[tuple[str, object], Release] = {}
    for name, release in releases().items():
        if SCORE in release.scores:
            found.setdefault((network_name(name), view_size_of(name)), release)
    return {release.name: release for release in found.values()}


def ways(model: Model, view: torch.Tensor) -> dict[str, Callable[[], object]]:
    """What answers to a view, by the name of the runtime; those that cannot run the network are left out."""
    part = model.runtime_parts[0]
    flat = Flat(model.network.eval().get_submodule(part.module), part.method, (None,)).eval()
    found: dict[str, Callable[[], object]] = {TORCH: lambda: flat(view)}
    for engine in (one for one in ENGINES if one.suffix and one.installed):
        try:
            run = engine.start(engine.convert(flat, [view], [(0,)]), threads=1, device="cpu", bf16=False)
            run([view])
        except Exception as error:  # whatever a runtime says of a network that it cannot run
            print(f"{model.card.name}: not in {engine.label} ({str(error)[:100]})", flush=True)
            continue
        found[engine.label] = partial(run, [view])
    return found


def milliseconds(model: Model, size: tuple[int, int], *, runs: int) -> dict[str, float]:
    """The median time of one view in each runtime."""
    each: dict[str, list[float]] = {}
    with torch.inference_mode():
        for name, way in ways(model, torch.rand(1, 3, *size)).items():
            for number in range(runs + 1):
                begin = time.process_time()
                way()
                if number:
                    each.setdefault(name, []).append(time.process_time() - begin)
    return {name: 1000 * statistics.median(times) for name, times in each.items()}


def measured(runs: int, *, largest: float, only: Sequence[str]) -> list[Row]:
    """All rows, the fastest first.

    Args:
        runs: Runs of each.
        largest: Models of more multiply-adds have no times, G.
        only: Models; all of `chosen` where there are none.
    """
    rows, every = [], chosen()
    if only:
        every = {name: releases()[name] for name in only}
    costs = model_costs(every)
    for name, release in every.items():
        timed = costs[name].multiply_adds <= largest * 1e9
        model = build(name) if timed else unbuilt(name)
        spent = milliseconds(model, view_size_of(name), runs=runs) if timed else {}
        rows.append(Row(release, costs[name].parameters / 1e6, spent, not getattr(model, "takes_boxes", True)))
        print(rows[-1].line, flush=True)
    return sorted(rows, key=lambda row: (row.milliseconds, row.millions))


def table(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    times = (f"ms, {runtime}" for runtime in RUNTIMES)
    heads = ("model", "AP, COCO val2017", "parameters, M", *times, "`poise get`", "licence")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(row.line for row in rows)]
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> str:
    """AP over time, logarithmic, as SVG; the best of each time have their names."""
    from math import log10

    low, high = (log10(bound(row.milliseconds for row in rows)) for bound in (min, max))
    bottom, top = min(row.score for row in rows) - 1, max(row.score for row in rows) + 1
    families = sorted({_family(row) for row in rows})

    def place(row: Row) -> tuple[float, float]:
        x = EDGE + (log10(row.milliseconds) - low) / (high - low or 1) * (WIDTH - 3 * EDGE)
        return x, HEIGHT - EDGE - (row.score - bottom) / (top - bottom) * (HEIGHT - 2 * EDGE)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for tick in (5, 10, 20, 50, 100, 200, 500, 1000, 2000):
        if 10**low <= tick <= 10**high:
            x = EDGE + (log10(tick) - low) / (high - low or 1) * (WIDTH - 3 * EDGE)
            parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{EDGE}" y2="{HEIGHT - EDGE}" stroke="#ddd"/>')
            parts.append(f'<text x="{x:.0f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{tick}</text>')
    for tick in range(round(bottom), round(top) + 1, 5):
        y = HEIGHT - EDGE - (tick - bottom) / (top - bottom) * (HEIGHT - 2 * EDGE)
        parts.append(f'<line x1="{EDGE}" x2="{WIDTH - 2 * EDGE}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{EDGE - 8}" y="{y + 4:.0f}" text-anchor="end">{tick}</text>')
    best = -1.0
    for row in rows:
        (x, y), colour = place(row), COLOURS[families.index(_family(row)) % len(COLOURS)]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        if row.score > best:
            best = row.score
            parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{html.escape(network_name(row.release.name))}</text>')
    parts.append(
        f'<text x="{WIDTH / 2 - EDGE / 2}" y="{HEIGHT - 12}" text-anchor="middle">ms for one person, one thread</text>'
    )
    parts.append(f'<text x="{EDGE}" y="{EDGE - 16}">AP on COCO val2017, as published</text>')
    inside = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return f"{head}\n{inside}\n</svg>\n"


def _family(row: Row) -> str:
    return row.release.name.partition("_")[0]


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Put table and plot into the page; the plot is of models for one person."""
    page = folder / "which-model.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    machine = f"{platform.processor() or platform.machine()}, one thread, PyTorch {torch.__version__.partition('+')[0]}"
    page.write_text(
        f"{before}{BEGIN}\n\nMeasured on {machine}.\n\n{table(rows)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )
    (folder / "pictures" / "which_model.svg").write_text(
        plot([row for row in rows if row.spent and not row.whole]), encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--largest", type=float, default=60.0, help="multiply-adds of the largest network that is timed, G")
    parser.add_argument("--only", nargs="+", default=(), help="models in place of one for each network and size")
    parser.add_argument("--write", type=Path, help="folder of the docs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(given.runs, largest=given.largest, only=given.only)
    print(table(rows))
    if given.write is not None:
        write(given.write, rows)


if __name__ == "__main__":
    main()
