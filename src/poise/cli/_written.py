"""What `poise evaluate` reads, and what it leaves behind: poses, boxes, scores with what they depend on, a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rich.console import Console

from poise.analysis.report import report_of
from poise.cli._out import check_out
from poise.cli._scores import say
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.inference.write import write_json


@final
@dataclass(frozen=True)
class Files:
    """What an evaluation reads and writes.

    Attributes:
        model: The model's file.
        annotations: What it is compared with.
        images: Folder or zip file; None where there are none to read.
        out: Name of results; boxes and scores have their own endings. None writes nothing.
        report: The page; None writes none.
    """

    model: Path
    annotations: Path
    images: Path | None
    out: Path | None
    report: Path | None = None

    def check(self, *, reads: tuple[Path | str | None, ...] = ()) -> None:
        """Refuse places that cannot be.

        Args:
            reads: Files that are read beside these.

        Raises:
            WriteError: One is a folder, or a file that is read.
            InputError: A name ends otherwise.
        """
        if self.out is not None:
            check_out("--out", self.out, ends=(".json", ".mat", ""), reads=(self.annotations, *reads))
        if self.report is not None:
            check_out("--report", self.report, ends=(".html", ".htm", ""), reads=(self.annotations, *reads))

    @property
    def submitted(self) -> bool:
        """Whether results are written as people submit them for MPII."""
        return self.out is not None and self.out.suffix.lower() == ".mat"


def write_scores(out: Path, numbers: Mapping[str, float], how: Mapping[str, str]) -> None:
    """Write scores with what they depend on, beside the results."""
    write_json({"scores": numbers, "settings": how}, out.with_suffix(".scores.json"))


def write_boxes(console: Console, out: Path, rows: list[dict[str, Any]]) -> None:
    """Write boxes beside the results, and say so."""
    place = out.with_suffix(".boxes.json")
    write_json(rows, place)
    say(console, f"{len(rows)} boxes written to {place}")


def write_evaluation(
    console: Console,
    files: Files,
    eval_set: EvalSet,
    evaluation: Evaluation,
    *,
    name: str,
    how: Mapping[str, str],
    pictures: bool,
) -> None:
    """Write everything that is asked for, and say so.

    Args:
        console: Where to say it.
        files: What is asked for.
        eval_set: The data set.
        evaluation: Poses, perhaps boxes, and their scores.
        name: For people to read, on the report.
        how: What the scores depend on.
        pictures: Whether the report shows images.
    """
    if files.out is not None and files.submitted:
        count = eval_set.protocol.submit(files.out, evaluation.positions)
        say(console, f"{count} poses written to {files.out}, in the order of {files.annotations}")
    elif files.out is not None:
        write_json(evaluation.results, files.out)
        say(console, f"{len(evaluation.results)} poses written to {files.out}")
    if files.out is not None and evaluation.boxes is not None:
        write_boxes(console, files.out, evaluation.box_results)
    if files.out is not None:
        write_scores(files.out, evaluation.numbers, how)
    if files.report is not None:
        report_of(eval_set, evaluation, name=name, settings=dict(how), pictures=pictures).write(files.report)
        say(console, f"{files.report} is the report; open it in a browser")
