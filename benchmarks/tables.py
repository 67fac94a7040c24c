"""The tables of `compare.py`, from the scores beside each trained model.

A cell is the mean over the seeds that were trained, and behind it how far the farthest seed is from the mean, in thousandths.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from ways import CODECS, HEIGHTS, MORE, STEPS

COLUMNS = (("lspet", "pck@0.05"), ("lspet", "pck@0.1"), ("lspet", "AP"), ("coco", "pck@0.1"))
READINGS = (
    "cell",
    "quarter",
    "dark",
    "udp",
    "fit3",
    "fit5",
    "centre",
    "soft",
    "offset",
    "votes",
    "offset, half the blur",
    "votes, half the blur",
)
FLIPS = ("no flip", "unshifted", "shifted", "compensated")


def cell(out: Path, way: str, reading: str, source: str, number: str) -> str:
    """One figure: mean and spread over the seeds; a dash where nothing was measured."""
    found = [
        scores[reading][source][number]
        for file in sorted((out / way).glob("*/scores.json"))
        if reading in (scores := json.loads(file.read_text()))
    ]
    if not found:
        return "-"
    mean = sum(found) / len(found)
    return f"{mean:.3f}" + (f" ±{1000 * max(abs(f - mean) for f in found):.0f}" if len(found) > 1 else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def by_way(out: Path, names: Sequence[str]) -> str:
    """A line for each training and for flip test or not."""
    head = ["training", "reading", *(f"{source} {number}" for source, number in COLUMNS)]
    rows = [
        [name, reading, *(cell(out, name, reading, *c) for c in COLUMNS)] for name in names for reading in ("flip", "no flip")
    ]
    return table(head, rows)


def by_reading(out: Path, number: str) -> str:
    """A line for each reading, a column for each trained model."""
    names = [way.name for way in CODECS if way.name != "simcc"]
    return table(["reading", *names], [[r, *(cell(out, n, r, "lspet", number) for n in names)] for r in READINGS])


def by_flip(out: Path, number: str) -> str:
    """UDP's ablation: a line for each training, a column for what is done about the mirrored view."""
    names = ["gaussian", *(way.name for way in STEPS), "udp"]
    return table(["training", *FLIPS], [[n, *(cell(out, n, f, "lspet", number) for f in FLIPS)] for n in names])


def tables(out: Path) -> str:
    """All of them."""
    parts = [("Codecs", by_way(out, [way.name for way in CODECS]))]
    parts += [(f"Readings, {number} of LSP extended", by_reading(out, number)) for number in ("pck@0.05", "pck@0.1", "AP")]
    parts += [(f"Steps from HRNet to UDP, {number} of LSP extended", by_flip(out, number)) for number in ("pck@0.05", "AP")]
    parts += [("Options", by_way(out, [way.name for way in MORE])), ("Heights", by_way(out, [way.name for way in HEIGHTS]))]
    return "\n".join(f"## {title}\n\n{text}" for title, text in parts)
