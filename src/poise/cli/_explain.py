"""The parts of `poise explain`: the image that is meant, its poses, and the tables of its score."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

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
from poise.terminal import Console

LABEL = 13
"""Letters that a label's column takes; labels that do not fit beside each other go into the next table."""


def print_explanation(console: Console, found: Explanation, threshold: float) -> None:
    """Every step: similarities, which prediction takes which label, the curve, its levels, all thresholds."""
    matrix, result = found.table, found.at(threshold)
    say(console, _counts_text(matrix))
    if matrix.scores and matrix.ids:
        say(console, f"\nOKS with each label; * taken at {result.threshold:.2f}")
    columns = max(1, (console.width - LABEL) // LABEL)
    for first in range(0, len(matrix.ids) if matrix.scores else 0, columns):
        console.print(similarities(matrix, result, range(first, min(first + columns, len(matrix.ids)))))
    if matrix.scores:
        say(console, f"\nby score, at OKS {result.threshold:.2f}; {counted(matrix.people, 'person', 'people')} to find")
        console.print(verdicts(matrix, result))
        for row in range(len(matrix.scores)):
            text = reason(matrix, result, row)
            if text:
                say(console, f"p{row + 1}: {text}")
    if matrix.people:
        say(console, "\nthe curve as it is read")
        console.print(levels(result))
        ap = f"AP at {result.threshold:.2f} = {result.levels.sum():.4f} / 101 = {result.ap:.4f}"
        say(console, f"{ap}; AR = the last recall = {result.ar:.4f}")
    say(console, "\nat every threshold")
    console.print(thresholds(found))
    say(console, f"the protocol for this image: AP {cell(found.protocol['AP'])}, AR {cell(found.protocol['AR'])}")


def _counts_text(matrix: OksTable) -> str:
    ignored = len(matrix.ids) - matrix.people
    text = f"{counted(len(matrix.scores), 'prediction')} (p1 has the highest score), {counted(len(matrix.ids), 'label')}"
    text += f", {ignored} of them ignored" if ignored else ""
    return text + (f"; {counted(matrix.left_out, 'prediction')} beyond the first 20 left out" if matrix.left_out else "")


def similarities(matrix: OksTable, result: ThresholdResult, columns: Sequence[int]) -> Table:
    """The OKS matrix: * the prediction takes the label, ^ it is the label's most similar prediction and does not."""
    heads = [f"{matrix.ids[i]}" + (f"\n({matrix.ignored[i]})" if matrix.ignored[i] else "") for i in columns]
    table = Table("", "score", *heads)
    for head in table.columns[1:]:
        head.justify = "right"
    late = matched_too_late(matrix, result)
    for row, score in enumerate(matrix.scores):
        cells = [_oks_cell(matrix.oks[row, i], taken=result.matches[row] == i, late=late[i] == row) for i in columns]
        table.add_row(f"p{row + 1}", f"{score:.3f}", *cells)
    if any(late[i] is not None for i in columns):
        table.caption = "^ fits best, too late"
    return table


def _oks_cell(value: float, *, taken: bool, late: bool) -> Text:
    mark, style = ("*", "bold green") if taken else ("^", "yellow") if late else (" ", "")
    return Text(f"{value:.3f} {mark}", style)


def matched_too_late(matrix: OksTable, result: ThresholdResult) -> list[int | None]:
    """For each label that was taken the prediction most similar to it, if that is another one that reaches the threshold."""
    best = matrix.oks.argmax(axis=0).tolist()
    return [row if label in result.matches and result.matches[row] != label else None for label, row in enumerate(best)]


def verdicts(matrix: OksTable, result: ThresholdResult) -> Table:
    """Down the scores: verdict, and how precision and recall grow."""
    names = ("", "score", "takes", "OKS", "verdict", "TP", "FP", "recall", "precision", "read as")
    table = Table(*names, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in (*table.columns[1:4], *table.columns[5:]):
        head.justify = "right"
    colour = {"TP": "green", "FP": "red", "ignored": "dim"}
    for row, (score, label, verdict) in enumerate(zip(matrix.scores, result.matches, result.verdicts, strict=True)):
        taken = ("-", "") if label is None else (f"{matrix.ids[label]}", f"{matrix.oks[row, label]:.3f}")
        curve = (result.recall[row], result.precision[row], result.envelope[row])
        numbers = (f"{result.tp[row]}", f"{result.fp[row]}", *(f"{v:.3f}" if matrix.people else "-" for v in curve))
        text = Text(verdict, colour[verdict])
        table.add_row(f"p{row + 1}", f"{score:.3f}", *taken, text, *numbers)
    return table


def reason(matrix: OksTable, result: ThresholdResult, row: int) -> str:
    """Why a prediction got its verdict, in words."""
    label, labels = result.matches[row], matrix.oks[row]
    if label is not None:
        if matrix.ignored[label]:
            return f"takes a label that does not count ({matrix.ignored[label]})"
        best = int(labels.argmax())
        return "" if best == label else f"nearer to {matrix.ids[best]}, which is {_taken_by(matrix, result, row, best)}"
    if not len(labels):
        return "nobody is labelled"
    best = int(labels.argmax())
    if labels[best] < result.threshold:
        return f"the nearest, {matrix.ids[best]}, has {labels[best]:.3f}, less than {result.threshold:.2f}"
    return f"{matrix.ids[best]} has {labels[best]:.3f} and is {_taken_by(matrix, result, row, best)}"


def _taken_by(matrix: OksTable, result: ThresholdResult, row: int, label: int) -> str:
    taker = next((i for i, other in enumerate(result.matches[:row]) if other == label and not matrix.crowd[label]), None)
    return "ignored while others can be taken" if taker is None else f"taken by p{taker + 1}"


def levels(result: ThresholdResult) -> Table:
    """The 101 recalls in runs of equal precision."""
    table = Table("recall", "how many of 101", "precision", "their sum")
    for head in table.columns[1:]:
        head.justify = "right"
    starts = [0, *(np.flatnonzero(np.diff(result.levels)) + 1).tolist(), 101]
    for first, end in pairwise(starts):
        span, value = end - first, float(result.levels[first])
        table.add_row(f"{first / 100:.2f} .. {(end - 1) / 100:.2f}", f"{span}", f"{value:.4f}", f"{span * value:.4f}")
    return table


def thresholds(found: Explanation) -> Table:
    """All ten thresholds, and their means."""
    table = Table("OKS", "TP", "FP", "ignored", "missed", "AP", "AR")
    for head in table.columns[1:]:
        head.justify = "right"
    for result in found.rounds:
        counts = [result.verdicts.count(verdict) for verdict in ("TP", "FP", "ignored")]
        missed = found.table.people - counts[0]
        table.add_row(f"{result.threshold:.2f}", *map(str, counts), f"{missed}", cell(result.ap), cell(result.ar))
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
        image_id: Id of the image.
        boxes: Boxes of people.
        running: How the model is run.
    """
    index = eval_set.ids.index(image_id)
    people = [a for a in eval_set.truth["annotations"] if a["image_id"] == image_id]
    truth = {**eval_set.truth, "images": [eval_set.truth["images"][index]], "annotations": people}
    one = replace(eval_set, dataset=Subset(eval_set.dataset, [index]), truth=truth, ids=(image_id,))
    settings = running.settings_for(model)
    boxes.check_for(model)
    return evaluate(model, one, settings, boxes=boxes.read(one)).results
