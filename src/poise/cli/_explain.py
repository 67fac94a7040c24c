"""The parts of `poise explain`: the image that is meant, its poses, and the tables of its score."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from poise.analysis.explain import Explanation
from poise.analysis.matching import ThresholdResult
from poise.analysis.oks_table import OksTable
from poise.cli._print import cell, counted, say
from poise.cli.options import BoxFileOptions, FlipOptions
from poise.data.subset import Subset
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.metrics.coco_format import Record
from poise.models.base import PoseModel

LABEL = 13
"""Letters that a label's column takes; labels that do not fit beside each other go into the next table."""


def print_explanation(console: Console, found: Explanation, threshold: float) -> None:
    """Every step: similarities, who takes whom, the curve, its levels, all thresholds."""
    board, one = found.table, found.at(threshold)
    say(console, _who(board))
    if board.scores and board.ids:
        say(console, f"\nOKS with each label; * taken at {one.threshold:.2f}")
    beside = max(1, (console.width - LABEL) // LABEL)
    for first in range(0, len(board.ids) if board.scores else 0, beside):
        console.print(similarities(board, one, range(first, min(first + beside, len(board.ids)))))
    if board.scores:
        say(console, f"\nby score, at OKS {one.threshold:.2f}; {counted(board.people, 'person', 'people')} to find")
        console.print(verdicts(board, one))
        for row in range(len(board.scores)):
            why = reason(board, one, row)
            if why:
                say(console, f"p{row + 1}: {why}")
    if board.people:
        say(console, "\nthe curve as it is read")
        console.print(levels(one))
        say(
            console,
            f"AP at {one.threshold:.2f} = {one.levels.sum():.4f} / 101 = {one.ap:.4f}; AR = the last recall = {one.ar:.4f}",
        )
    say(console, "\nat every threshold")
    console.print(thresholds(found))
    say(console, f"the protocol for this image: AP {cell(found.protocol['AP'])}, AR {cell(found.protocol['AR'])}")


def _who(board: OksTable) -> str:
    ignored = len(board.ids) - board.people
    text = f"{counted(len(board.scores), 'prediction')} (p1 has the highest score), {counted(len(board.ids), 'label')}"
    text += f", {ignored} of them ignored" if ignored else ""
    return text + (f"; {counted(board.left_out, 'prediction')} beyond the first 20 left out" if board.left_out else "")


def similarities(board: OksTable, one: ThresholdResult, columns: Sequence[int]) -> Table:
    """The OKS matrix: * the prediction takes the label, ^ it is the label's most similar prediction and does not."""
    heads = [f"{board.ids[i]}" + (f"\n({board.ignored[i]})" if board.ignored[i] else "") for i in columns]
    table = Table("", "score", *heads)
    for head in table.columns[1:]:
        head.justify = "right"
    late = robbed(board, one)
    for row, score in enumerate(board.scores):
        cells = [_similar(board.oks[row, i], taken=one.matches[row] == i, late=late[i] == row) for i in columns]
        table.add_row(f"p{row + 1}", f"{score:.3f}", *cells)
    if any(late[i] is not None for i in columns):
        table.caption = "^ fits best, too late"
    return table


def _similar(value: float, *, taken: bool, late: bool) -> str:
    return f"[bold green]{value:.3f} *[/]" if taken else f"[yellow]{value:.3f} ^[/]" if late else f"{value:.3f}  "


def robbed(board: OksTable, one: ThresholdResult) -> list[int | None]:
    """For each label that was taken the prediction most similar to it, if it is another one that reaches the threshold."""
    best = board.oks.argmax(axis=0).tolist()
    return [row if place in one.matches and one.matches[row] != place else None for place, row in enumerate(best)]


def verdicts(board: OksTable, one: ThresholdResult) -> Table:
    """Down the scores: verdict, and how precision and recall grow."""
    names = ("", "score", "takes", "OKS", "verdict", "TP", "FP", "recall", "precision", "read as")
    table = Table(*names, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in (*table.columns[1:4], *table.columns[5:]):
        head.justify = "right"
    colour = {"TP": "green", "FP": "red", "ignored": "dim"}
    for row, (score, place, verdict) in enumerate(zip(board.scores, one.matches, one.verdicts, strict=True)):
        whom = ("-", "") if place is None else (f"{board.ids[place]}", f"{board.oks[row, place]:.3f}")
        curve = (one.recall[row], one.precision[row], one.envelope[row])
        numbers = (f"{one.tp[row]}", f"{one.fp[row]}", *(f"{v:.3f}" if board.people else "-" for v in curve))
        said = f"[{colour[verdict]}]{verdict}[/]"
        table.add_row(f"p{row + 1}", f"{score:.3f}", *whom, said, *numbers)
    return table


def reason(board: OksTable, one: ThresholdResult, row: int) -> str:
    """Why a prediction got its verdict, in words."""
    place, labels = one.matches[row], board.oks[row]
    if place is not None:
        if board.ignored[place]:
            return f"takes a label that does not count ({board.ignored[place]})"
        best = int(labels.argmax())
        return "" if best == place else f"nearer to {board.ids[best]}, which is {_gone(board, one, row, best)}"
    if not len(labels):
        return "nobody is labelled"
    best = int(labels.argmax())
    if labels[best] < one.threshold:
        return f"the nearest, {board.ids[best]}, has {labels[best]:.3f}, less than {one.threshold:.2f}"
    return f"{board.ids[best]} has {labels[best]:.3f} and is {_gone(board, one, row, best)}"


def _gone(board: OksTable, one: ThresholdResult, row: int, place: int) -> str:
    taker = next((i for i, other in enumerate(one.matches[:row]) if other == place and not board.crowd[place]), None)
    return "ignored while others can be taken" if taker is None else f"taken by p{taker + 1}"


def levels(one: ThresholdResult) -> Table:
    """The 101 recalls in runs of equal precision."""
    table = Table("recall", "how many of 101", "precision", "their sum")
    for head in table.columns[1:]:
        head.justify = "right"
    starts = [0, *(np.flatnonzero(np.diff(one.levels)) + 1).tolist(), 101]
    for first, end in pairwise(starts):
        span, value = end - first, float(one.levels[first])
        table.add_row(f"{first / 100:.2f} .. {(end - 1) / 100:.2f}", f"{span}", f"{value:.4f}", f"{span * value:.4f}")
    return table


def thresholds(found: Explanation) -> Table:
    """All ten thresholds, and their means."""
    table = Table("OKS", "TP", "FP", "ignored", "missed", "AP", "AR")
    for head in table.columns[1:]:
        head.justify = "right"
    for one in found.rounds:
        counts = [one.verdicts.count(verdict) for verdict in ("TP", "FP", "ignored")]
        missed = found.table.people - counts[0]
        table.add_row(f"{one.threshold:.2f}", *map(str, counts), f"{missed}", cell(one.ap), cell(one.ar))
    table.add_section()
    table.add_row("mean", "", "", "", "", cell(found.ap), cell(found.ar))
    return table


def find_record(records: Sequence[dict[str, Any]], word: str) -> dict[str, Any]:
    """The record of an image by its id, its `file_name`, or a path that ends with it.

    Raises:
        InputError: None or several fit.
    """
    named = [r for r in records if r.get("file_name")]
    ways = (
        [r for r in records if str(r["id"]) == word],
        [r for r in named if ends_with(Path(word), r["file_name"])],
        [r for r in named if Path(r["file_name"]).name == Path(word).name],
    )
    found = next((fitting for fitting in ways if fitting), [])
    if len(found) != 1:
        known = ", ".join(str(r.get("file_name", r["id"])) for r in records[:3])
        raise InputError(
            f"{len(found) or 'none'} of the {len(records)} images of the annotations is called {word!r}; give an id or a "
            f"file_name, such as {known}"
        )
    return found[0]


def ends_with(path: Path, name: str) -> bool:
    """Whether the last parts of a path are those of a name."""
    parts = Path(name).parts
    return path.parts[-len(parts) :] == parts


def folder_of(record: dict[str, Any], word: str) -> Path:
    """The folder that `file_name` starts from, for an image given as a path.

    Raises:
        InputError: The path does not end with the file_name, or there is no such file.
    """
    path, parts = Path(word), Path(record["file_name"]).parts
    if not path.is_file() or not ends_with(path, record["file_name"]):
        raise InputError(f"image {record['file_name']!r} must be read; give its path, or its folder or zip file with --images")
    return Path(*path.parts[: -len(parts)])


def poses_in(
    model: PoseModel, eval_set: EvalSet, image_id: int, *, boxes: BoxFileOptions, running: FlipOptions
) -> list[Record]:
    """The poses a model finds on one image, scored as `poise evaluate` would.

    Args:
        model: The model.
        eval_set: The data set of the image.
        image_id: Of the image.
        boxes: Where people are.
        running: How the model is run.
    """
    index = eval_set.ids.index(image_id)
    people = [a for a in eval_set.truth["annotations"] if a["image_id"] == image_id]
    truth = {**eval_set.truth, "images": [eval_set.truth["images"][index]], "annotations": people}
    one = replace(eval_set, dataset=Subset(eval_set.dataset, [index]), truth=truth, ids=(image_id,))
    settings = running.settings_for(model)
    boxes.check_for(model)
    return evaluate(model, one, settings, boxes=boxes.read(one)).results
