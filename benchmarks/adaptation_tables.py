"""The tables of `adaptation.py`, from the scores beside each trained model: OUT/seedN/ROW/scores.json.

A cell is the mean over the seeds that were trained, and behind it how far the farthest seed is from the mean, in thousandths.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from poise.adaptation.criteria import CRITERIA
from poise.skeletons import ANIMAL18

LOWER, UPPER = "source_only", "supervised"
"""The ends of the gap."""


@dataclass
class Done:
    """The scores of a row, by seed."""

    scores: dict[int, dict[str, Any]] = field(default_factory=dict)

    def values(self, name: str) -> list[float]:
        """Of every seed that has it."""
        return [one[name] for one in self.scores.values() if one.get(name) is not None]

    def cell(self, name: str, *, digits: int = 3) -> str:
        """Mean, and how far the farthest seed is from it, in thousandths."""
        values = self.values(name)
        if not values:
            return "-"
        middle = mean(values)
        spread = f" ±{1000 * max(abs(v - middle) for v in values):.0f}" if len(values) > 1 else ""
        return f"{middle:.{digits}f}{spread}"


def done(out: Path, names: Iterable[str]) -> dict[str, Done]:
    """The rows that are done."""
    found: dict[str, Done] = {}
    for name in names:
        for file in sorted(out.glob(f"seed*/{name}/scores.json")):
            found.setdefault(name, Done()).scores[int(file.parts[-3].removeprefix("seed"))] = json.loads(file.read_text())
    return found


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def closed(found: dict[str, Done], name: str) -> str:
    """Share of the gap that is closed, mean over the seeds that have both ends."""
    ends = [found.get(end, Done()).scores for end in (LOWER, UPPER)]
    shares = [
        (one["pck@0.05"] - ends[0][seed]["pck@0.05"]) / (ends[1][seed]["pck@0.05"] - ends[0][seed]["pck@0.05"])
        for seed, one in found[name].scores.items()
        if seed in ends[0] and seed in ends[1]
    ]
    return f"{100 * mean(shares):.0f} %" if shares else "-"


def scores_table(found: dict[str, Done], says: Mapping[str, str]) -> str:
    head = ["row", "seeds", "pck@0.05", "pck@0.1", "on maps", "as published", "AP", "of the gap", "steps", "minutes"]
    columns = ("pck@0.05", "pck@0.1", "map@0.05", "map@0.05 published", "AP")
    rows = [
        [
            f"{says[name]} (`{name}`)",
            str(len(one.scores)),
            *(one.cell(c) for c in columns),
            closed(found, name),
            f"{mean(one.values('steps')):.0f}",
            f"{mean(one.values('minutes')):.1f}",
        ]
        for name, one in found.items()
    ]
    return table(head, rows)


def keypoints_table(found: dict[str, Done]) -> str:
    names = list(ANIMAL18.keypoints)
    rows = [
        [name, *(f"{mean(one['keypoints'][name] for one in row.scores.values()):.2f}" for row in found.values())]
        for name in names
    ]
    return table(["keypoint", *found], rows)


def rounds_table(found: dict[str, Done]) -> str:
    """Share and precision of the pseudo-labels of every round, means of the seeds."""
    rows = []
    for name, one in found.items():
        for number, each in enumerate(zip(*(scores["rounds"] for scores in one.scores.values()), strict=False)):
            known = [seed["precision"] for seed in each if seed.get("precision") is not None]
            told = f"{100 * mean(known):.1f} %" if known else "-"
            share = f"{100 * mean(seed['share'] for seed in each):.1f} %"
            rows.append([name, str(number), str(each[0]["epoch"]), share, told])
    return table(["row", "round", "epoch", "accepted", "of these correct (pck@0.1)"], rows)


def criterion_table(found: dict[str, Done]) -> str:
    head = ["row", *(f"rank correlation of {name}" for name in CRITERIA), "target pck@0.1 of the chosen epoch", "of the best"]
    rows = [
        [
            name,
            *(f"{mean(each['ranks'][criterion] for each in one.scores.values()):.2f}" for criterion in CRITERIA),
            one.cell("oracle of it"),
            one.cell("best oracle"),
        ]
        for name, one in found.items()
    ]
    return table(head, rows)


def write_tables(out: Path, says: Mapping[str, str], seconds: float) -> None:
    """Write adaptation.md and adaptation.json.

    Args:
        out: Folder of all runs.
        says: What each row is, in the order of the table.
        seconds: How long the runs took.
    """
    found = done(out, says)
    if not found:
        return
    parts = {
        "Scores on unseen target images": scores_table(found, says),
        "Every keypoint, pck@0.05": keypoints_table(found),
        "Pseudo-labels by round": rounds_table(found),
        "How well the criterion without labels ranks epochs": criterion_table(found),
    }
    text = "\n".join(f"## {title}\n\n{part}" for title, part in parts.items())
    (out / "adaptation.md").write_text(text)
    plain = {name: one.scores for name, one in found.items()}
    (out / "adaptation.json").write_text(json.dumps({"seconds": round(seconds), "rows": plain}, indent=1) + "\n")
