"""Which model to take: accuracy as published, size, time for a person here in each runtime, licence, as one table and one plot.

    python benchmarks/which_model.py --write docs
    python benchmarks/which_model.py --only rtmpose_t rtmo_t

Every published model that poise reads stands in the table once for each network, size of view and measure of its accuracy, and
so do the models that come with poise. Times are those of one view of one person on one thread of this processor, in PyTorch
and in each runtime that is installed, the median of some runs, counted in time of the processor; the network has random
weights, which take the same time. Networks of one kind that differ by less than 5 percent in parameters and multiply-adds are
timed once. Models that look at whole images are timed on one image of the size in their name, whoever is in it.

It takes --minutes at most, on as many processes as --jobs says: the cheapest networks are timed first. Those left over, and
those of more multiply-adds than --largest, stand in the table without times, behind the others.

`--write FOLDER` puts the table into which-model.md there, and the plot beside it into pictures/. With `--only` the other rows
keep their times, if they were measured on the same machine.
"""

import argparse
import html
import math
import multiprocessing
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from poise.models.base import Model
from poise.models.require import require_top_down
from poise.runtimes.choice import ENGINES
from poise.runtimes.parts import Flat
from poise.weights.model_file import load
from poise.weights.release import Release
from poise.zoo.cost import NetworkCost, measure_network, model_costs, unbuilt, view_size_of
from poise.zoo.find import build, releases
from poise.zoo.get import obtainable
from poise.zoo.guess import network_name

SCORE = "coco-val2017/AP"
MEASURES: Mapping[str, tuple[str, str]] = {
    SCORE: ("people", "AP, COCO val2017"),
    "coco-wholebody-val/AP": ("whole body", "AP, COCO-WholeBody val"),
    "body8/AUC": ("people, 26 keypoints", "AUC, Body8"),
    "crowdpose-test/AP": ("crowds", "AP, CrowdPose test"),
    "ap10k-val/AP": ("animals", "AP, AP-10K val"),
    "hand5/pck@0.2": ("hands", "PCK@0.2, Hand5"),
    "coco-wholebody-hand-val/pck@0.2": ("hands", "PCK@0.2, COCO-WholeBody hands"),
    "coco-wholebody-hand/PCK@0.2": ("hands", "PCK@0.2, COCO-WholeBody hands"),
    "face6/NME": ("faces", "NME, Face6"),
    "coco-wholebody-face-val/NME": ("faces", "NME, COCO-WholeBody faces"),
    "lapa-test/NME": ("faces", "NME, LaPa test"),
    "wflw-test/NME": ("faces", "NME, WFLW test"),
    "coco-val2017/box AP": ("boxes of people", "box AP of people, COCO val2017"),
    "human-art/box AP": ("boxes of people", "box AP, Human-Art"),
    "onehand10k/box AP": ("boxes of hands", "box AP, OneHand10K"),
}
"""What a model is for and how its accuracy is called, by the name of a score; of several the first is shown."""

UNSCORED: Mapping[str, str] = {
    "deeplabcut3_hrnet_w32_quadruped39_256x256": "animals",
    "deeplabcut3_hrnet_w32_topviewmouse27_256x256": "mice from above",
    "rtmpose_s_quadruped39": "animals",
}
"""What published models without a score in their release are for."""

OWN: Mapping[str, str] = {"poise_people": "0.36 AP on other photographs ([here](people.md))"}
"""Models that come with poise, and what was measured of them here, which compares with no other row."""

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
TORCH = "PyTorch"
RUNTIMES = (TORCH, *(engine.label for engine in ENGINES if engine.suffix))
ALIKE = 0.05
"""Share by which networks of one kind may differ and count as one in time."""

SECONDS, MOST = 1.5, 5
"""How long a network is timed in a runtime, and how often at most; at least once."""

WIDTH, HEIGHT, EDGE = 760, 460, 60
COLOURS = (
    "#1f77b4",
    "#d95f02",
    "#1b9e77",
    "#7570b3",
    "#b8860b",
    "#e7298a",
    "#666666",
    "#17becf",
    "#9acd32",
    "#8c564b",
    "#111111",
    "#e9a3ff",
)


class Kind(NamedTuple):
    """What a model is.

    Attributes:
        types: Names of the types of the model and of its network's parts.
        whole: Whether it looks at whole images.
        licence: What its card says.
    """

    types: tuple[str, ...]
    whole: bool
    licence: str


@dataclass(frozen=True)
class Row:
    """A model of the table.

    Attributes:
        name: Its name.
        purpose: What it is for.
        accuracy: As published, in words.
        score: Published AP on COCO val2017, of 100; not a number where there is none.
        millions: Parameters, millions.
        licence: Of the weights.
        whole: Whether it looks at whole images.
        spent: Time of a person, ms, or of an image where the model looks at whole images, by the runtime; empty where the
            network was not timed.
    """

    name: str
    purpose: str
    accuracy: str
    score: float
    millions: float
    licence: str
    whole: bool
    spent: Mapping[str, float]

    @property
    def line(self) -> str:
        """The row of the table."""
        parts = obtainable().get(self.name, ())
        direct = parts and all(part.url or part.member for part in parts)
        got = "comes with poise" if self.name in OWN else "yes" if direct else "file by hand" if parts else ""
        unit = " (image)" if self.whole else ""
        times = " | ".join(f"{self.spent[one]:.0f}{unit}" if one in self.spent else "" for one in RUNTIMES)
        return f"| `{self.name}` | {self.purpose} | {self.accuracy} | {self.millions:.1f} | {times} | {got} | {self.licence} |"

    @property
    def milliseconds(self) -> float:
        """Time in PyTorch; without end where it was not measured."""
        return self.spent.get(TORCH, float("inf"))


def measure_of(release: Release) -> str | None:
    """The score of a release that the table shows; None where there is none."""
    return next((name for name in MEASURES if name in release.scores), None)


def chosen() -> list[str]:
    """One published model for each network, size of view and measure, and those without a score.

    Of equal ones that whose file can be had without a browser, then the first.
    """
    found: dict[tuple[str, object, str], str] = {}
    for name, release in sorted(releases().items(), key=lambda item: item[1].url is None):
        if (measure := measure_of(release)) is not None:
            found.setdefault((network_name(name), view_size_of(name), measure), name)
    return [*found.values(), *UNSCORED, *OWN]


def made(name: str) -> Model:
    """The model, with random weights unless it comes with poise."""
    return load(name) if name in OWN else build(name)


def size_of(name: str) -> tuple[int, int]:
    """Size of the view (h, w) that a model is timed on."""
    return require_top_down(load(name)).codec.size if name in OWN else view_size_of(name)


def cost_of(name: str) -> NetworkCost:
    """Parameters and multiply-adds."""
    return measure_network(load(name).network, size_of(name)) if name in OWN else model_costs([name])[name]


@cache
def kind_of(name: str) -> Kind:
    """What a model is: the types of it and of its network's parts, and whether it looks at whole images."""
    model = load(name) if name in OWN else unbuilt(name)
    parts = (getattr(model.network, part, model.network) for part in ("backbone", "head"))
    types = (type(model).__name__, *(type(part).__name__ for part in parts))
    return Kind(types, not getattr(model, "takes_boxes", False), model.card.licence)


def groups(costs: Mapping[str, NetworkCost]) -> dict[str, str]:
    """For each model the one that is timed for it, itself or one of the same kind and cost."""
    first: dict[str, str] = {}
    for name, cost in costs.items():
        near = (
            one
            for one in dict.fromkeys(first.values())
            if kind_of(one).types == kind_of(name).types and alike(costs[one], cost)
        )
        first[name] = next(near, name)
    return first


def alike(one: NetworkCost, other: NetworkCost) -> bool:
    """Whether two networks of one kind cost the same."""
    pairs = ((one.parameters, other.parameters), (one.multiply_adds, other.multiply_adds))
    return all(abs(a / b - 1) <= ALIKE for a, b in pairs)


def ways(model: Model, view: torch.Tensor) -> dict[str, Callable[[], object]]:
    """What answers to a view, by the name of the runtime; those that cannot run the network are left out."""
    part = model.runtime_parts[0]
    flat = Flat(model.network.eval().get_submodule(part.module), part.method, (None,)).eval()
    found: dict[str, Callable[[], object]] = {TORCH: lambda: flat(view)}
    for engine in (one for one in ENGINES if one.suffix and one.installed):
        try:
            run = engine.start(engine.convert(flat, [view], [(0,)]), threads=1, device="cpu", bf16=False)
        except Exception as error:  # whatever a runtime says of a network that it cannot run
            print(f"{model.card.name}: not in {engine.label} ({str(error)[:100]})", flush=True)
            continue
        found[engine.label] = partial(run, [view])
    return found


def milliseconds(name: str) -> dict[str, float]:
    """The median time of one view in each runtime, behind a run that warms up."""
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    with torch.inference_mode():
        for runtime, way in ways(made(name), torch.rand(1, 3, *size_of(name))).items():
            way()
            times: list[float] = []
            while len(times) < MOST and sum(times) < SECONDS:
                begin = time.process_time()
                way()
                times.append(time.process_time() - begin)
            found[runtime] = 1000 * statistics.median(times)
    return found


def timed(names: Sequence[str], *, jobs: int, minutes: float) -> dict[str, dict[str, float]]:
    """The times of networks, as many as fit.

    Args:
        names: Models, the cheapest first.
        jobs: Processes, of one thread each.
        minutes: They may take in all.
    """
    end, found = time.monotonic() + 60 * minutes, {}
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        waiting = {name: pool.apply_async(milliseconds, (name,)) for name in names}
        for name, answer in waiting.items():
            try:
                found[name] = answer.get(max(end - time.monotonic(), 0.0))
            except multiprocessing.TimeoutError:
                print(f"{name}: not timed, the {minutes:g} minutes are over", flush=True)
                continue
            print(name, {runtime: round(spent, 1) for runtime, spent in found[name].items()}, flush=True)
        pool.terminate()
    return found


def measured(every: Sequence[str], *, largest: float, jobs: int, minutes: float) -> list[Row]:
    """All rows by what they are for, the fastest of each first.

    Args:
        every: Models.
        largest: Networks of more multiply-adds are not timed, G.
        jobs: Processes.
        minutes: As of `timed`.
    """
    costs = {name: cost_of(name) for name in every}
    first = groups(costs)
    wanted = [one for one in dict.fromkeys(first.values()) if costs[one].multiply_adds <= largest * 1e9]
    wanted.sort(key=lambda one: costs[one].multiply_adds)
    spent = timed(wanted, jobs=jobs, minutes=minutes)
    return ordered([row(name, costs[name], spent.get(first[name], {})) for name in every])


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Rows by what they are for, the fastest of each first."""
    order = list(dict.fromkeys([purpose for purpose, _ in MEASURES.values()] + list(UNSCORED.values())))
    return sorted(rows, key=lambda one: (order.index(one.purpose), one.milliseconds, one.millions))


def row(name: str, cost: NetworkCost, spent: Mapping[str, float]) -> Row:
    """The row of a model."""
    whole, millions = kind_of(name).whole, cost.parameters / 1e6
    if name in OWN:
        return Row(name, "people", OWN[name], math.nan, millions, kind_of(name).licence, whole, spent)
    release = releases()[name]
    licence, measure = release.licence.partition(";")[0], measure_of(release)
    if measure is None:
        return Row(name, UNSCORED[name], "none published", math.nan, millions, licence, whole, spent)
    purpose, words = MEASURES[measure]
    value = release.scores[measure]
    text = f"{value:.4f}" if "NME" in words else f"{100 * value:.1f}"
    return Row(name, purpose, f"{text} {words}", 100 * value if measure == SCORE else math.nan, millions, licence, whole, spent)


def table(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    times = (f"ms, {runtime}" for runtime in RUNTIMES)
    heads = ("model", "for", "accuracy, as published", "parameters, M", *times, "`poise get`", "licence")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(row.line for row in rows)]
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> str:
    """AP over time, logarithmic, as SVG; those that no faster one equals have their names, above and left, where nothing is."""
    rows = [row for row in rows if row.score > 0 and row.spent and not row.whole]
    low, high = (math.log10(bound(row.milliseconds for row in rows)) for bound in (min, max))
    low -= 0.15 * (high - low)  # room for the first name
    bottom, top = min(row.score for row in rows) - 1, max(row.score for row in rows) + 1
    families = sorted({_family(row) for row in rows})

    def place(row: Row) -> tuple[float, float]:
        x = EDGE + (math.log10(row.milliseconds) - low) / (high - low or 1) * (WIDTH - 3 * EDGE)
        return x, HEIGHT - EDGE - (row.score - bottom) / (top - bottom) * (HEIGHT - 2 * EDGE)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for tick in (5, 10, 20, 50, 100, 200, 500, 1000, 2000):
        if 10**low <= tick <= 10**high:
            x = EDGE + (math.log10(tick) - low) / (high - low or 1) * (WIDTH - 3 * EDGE)
            parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{EDGE}" y2="{HEIGHT - EDGE}" stroke="#ddd"/>')
            parts.append(f'<text x="{x:.0f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{tick}</text>')
    for tick in range(math.ceil(bottom / 5) * 5, math.floor(top) + 1, 5):
        y = HEIGHT - EDGE - (tick - bottom) / (top - bottom) * (HEIGHT - 2 * EDGE)
        parts.append(f'<line x1="{EDGE}" x2="{WIDTH - 2 * EDGE}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{EDGE - 8}" y="{y + 4:.0f}" text-anchor="end">{tick}</text>')
    best, named, most = -1.0, list[tuple[float, float]](), max(row.score for row in rows)
    for row in rows:
        (x, y), colour = place(row), COLOURS[families.index(_family(row)) % len(COLOURS)]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        free = all(abs(x - left) > 120 or abs(y - above) > 13 for left, above in named)  # no name on another
        if row.score > best and (free or row.score == most):
            named.append((x, y))
            where = f'x="{x - 6:.1f}" y="{y - 6:.1f}" text-anchor="end"' if free else f'x="{x + 8:.1f}" y="{y + 4:.1f}"'
            parts.append(f"<text {where}>{html.escape(network_name(row.name))}</text>")
        best = max(best, row.score)
    for number, family in enumerate(families):
        y = EDGE + 18 * number
        parts.append(f'<circle cx="{WIDTH - 2 * EDGE + 16}" cy="{y}" r="5" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(f'<text x="{WIDTH - 2 * EDGE + 26}" y="{y + 4}">{html.escape(family)}</text>')
    parts.append(
        f'<text x="{WIDTH / 2 - EDGE / 2}" y="{HEIGHT - 12}" text-anchor="middle">ms for one person, one thread</text>'
    )
    parts.append(f'<text x="{EDGE}" y="{EDGE - 16}">AP on COCO val2017, as published</text>')
    inside = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return f"{head}\n{inside}\n</svg>\n"


def _family(row: Row) -> str:
    return row.name.partition("_")[0]


def machine() -> str:
    """What the times are of."""
    info = Path("/proc/cpuinfo")  # of Linux
    found = info.is_file() and re.search(r"model name\s*: (.+)", info.read_text())
    processor = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{processor}, one thread, PyTorch {torch.__version__.partition('+')[0]}"


def kept(page: Path, without: Sequence[str]) -> list[Row]:
    """The rows of a page, with the times that stand there.

    Args:
        page: The page.
        without: Models that are measured anew.
    """
    text = page.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    before = re.search(r"Measured on (.+)\.\n", text)
    if before is None or before[1] != machine():
        raise SystemExit(f"the table was measured on {before and before[1]}, and this is {machine()}: write it without --only")
    rows, known = [], {*chosen()}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if (name := cells[0].strip("`")) in known and name not in without:
            times = {one: re.match(r"\d+", cells[4 + i]) for i, one in enumerate(RUNTIMES)}
            rows.append(row(name, cost_of(name), {one: float(time[0]) for one, time in times.items() if time}))
    return rows


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Put table and plot into the page; the plot is of models for one person, of COCO's keypoints."""
    page = folder / "which-model.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    page.write_text(
        f"{before}{BEGIN}\n\nMeasured on {machine()}.\n\n{table(rows)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )
    (folder / "pictures" / "which_model.svg").write_text(plot(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--largest", type=float, default=70.0, help="multiply-adds of the largest network that is timed, G")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each; no more than there are cores")
    parser.add_argument("--minutes", type=float, default=6.8, help="time that the timing may take")
    parser.add_argument("--only", nargs="+", default=(), help="models in place of all")
    parser.add_argument("--write", type=Path, help="folder of the docs")
    given = parser.parse_args()
    others = kept(given.write / "which-model.md", given.only) if given.write is not None and given.only else []
    rows = measured(given.only or chosen(), largest=given.largest, jobs=given.jobs, minutes=given.minutes)
    print(table(rows))
    if given.write is not None:
        write(given.write, ordered([*others, *rows]))


if __name__ == "__main__":
    main()
