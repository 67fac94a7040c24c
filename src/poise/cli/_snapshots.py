"""`poise evaluate RUN --snapshots`: one row for each snapshot of a run, and their curve."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from poise.cli._evaluate import Measures, folders_of
from poise.cli._evaluate_boxes import FoundBoxes, find_boxes
from poise.cli._print import cell, print_skipped, say, with_bar
from poise.cli._report import boxes_text, device_text, flip_text, model_text, run_text
from poise.cli._runs import RunCommand
from poise.cli.options import (
    BoxOptions,
    CropOptions,
    DecodingOptions,
    DetectionOptions,
    EvalFilesOptions,
    EvalOutputOptions,
    EvalRunOptions,
    RescoringOptions,
)
from poise.codecs.decoders import described
from poise.data.boxes import PersonBoxes
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, evaluate
from poise.evaluation.further import Found, measure_further
from poise.evaluation.measures import measure_pck
from poise.inference.write import write_json
from poise.metrics.coco import table
from poise.models.base import PoseModel
from poise.models.require import require_image, require_pose
from poise.terminal import Console
from poise.training.snapshots import Snapshot, find_snapshots
from poise.viz.curves import ticks
from poise.viz.report import Report
from poise.weights.model_file import load
from poise.writing import together

BAR = 40
"""Characters of the longest bar."""


@final
@dataclass(frozen=True, kw_only=True)
class SnapshotFlags:
    """How each snapshot is evaluated: the flags of `poise evaluate`.

    Attributes:
        files: Labels and images.
        boxes: Boxes of people.
        scoring: How poses are scored.
        decoding: How the network's outputs are read.
        detection: Sizes of whole images, and detection of people in them.
        crop: How boxes are cropped.
        output: Files to write.
        running: How the model is run.
        heads: MPII's head boxes.
        measures: What else to measure.
    """

    files: EvalFilesOptions
    boxes: BoxOptions
    scoring: RescoringOptions
    decoding: DecodingOptions
    detection: DetectionOptions
    crop: CropOptions
    output: EvalOutputOptions
    running: EvalRunOptions
    heads: Path | None
    measures: Measures

    def model(self, file: Path) -> PoseModel:
        """The model of a file, used as the flags say.

        Raises:
            PoiseError: The file is no model that finds keypoints, or a flag is for another kind of model.
        """
        model = require_image(load(file))
        self.decoding.adjust(model, self.detection)
        self.crop.adjust(model)
        pose = require_pose(model)
        self.boxes.check_for(pose)
        self.scoring.check_for(pose)
        return pose

    def eval_set(self, model: PoseModel) -> EvalSet:
        """The data set, for snapshots like this one.

        Raises:
            PoiseError: It cannot be read, or does not tell what is to be measured.
        """
        found = EvalSet.of_file(
            self.files.annotations, self.files.images, skeleton=model.skeleton, heads=self.heads, naming=self.files.naming
        )
        if self.boxes.detector is not None or not model.takes_boxes:
            found = found.one_class(self.boxes.detector or model.card.name)
        found = found.at_least(self.boxes.min_area)
        self.measures.check(found, model)
        return found


@final
@dataclass(frozen=True, eq=False)
class Row:
    """The scores of one snapshot.

    Attributes:
        snapshot: The snapshot.
        coco: COCO's ten numbers.
        more: Further columns: PCKh, PCK by other thresholds, other measures.
        everything: All scores by name.
    """

    snapshot: Snapshot
    coco: Mapping[str, float]
    more: Mapping[str, float]
    everything: Mapping[str, float]


def evaluate_snapshots(console: Console, folder: Path, flags: SnapshotFlags) -> int:
    """Evaluate every snapshot of a run: a row for each as it is done, then bars, and files where they are asked for.

    Args:
        console: Console to print to.
        folder: Folder of the run.
        flags: How each is evaluated.

    Raises:
        ReadError: The folder holds no snapshots.
        PoiseError: As `poise evaluate`.
    """
    snapshots = find_snapshots(folder)
    if (folder / "settings.json").is_file():
        RunCommand.read(folder / "settings.json").set_limits()
    rows: list[Row] = []
    with folders_of(flags.output):
        run = _Evaluations(console, flags, flags.model(snapshots[0].file))
        say(console, run.where)
        for snapshot in snapshots:
            rows.append(run.row(snapshot))
            lines = table(snapshot.name, rows[-1].coco, rows[-1].more).splitlines()
            say(console, "\n".join(lines[0 if len(rows) == 1 else 2 :]))
        print_skipped(console, run.skipped, "their people count as missed")
        main = run.main
        for line in bars([row.snapshot.name for row in rows], [row.everything[main] for row in rows], what=main):
            say(console, line)
        _write(console, folder, rows, text=run.text, main=main, output=flags.output)
    return 0


@final
class _Evaluations:
    """What the evaluations of a run's snapshots share: the data set, and boxes that are found once.

    Args:
        console: Console to print to.
        flags: How each is evaluated.
        model: The first snapshot.
    """

    def __init__(self, console: Console, flags: SnapshotFlags, model: PoseModel) -> None:
        self.flags, self.eval_set = flags, flags.eval_set(model)
        boxes, minimum = flags.boxes, flags.boxes.min_box_score or 0.0
        self.running = flags.running if boxes.detector is None else replace(flags.running, pad_batches=False)
        self.detected: FoundBoxes | None = None
        if boxes.detector is not None:
            detector = flags.running.detector(boxes.detector)
            self.detected = find_boxes(console, self.eval_set, detector, min_score=minimum)
        self.boxes: Mapping[int, PersonBoxes] | None = (
            boxes.read(self.eval_set, min_score=minimum) if self.detected is None else self.detected.boxes
        )
        source = boxes.boxes if self.detected is None else self.detected.detector
        settings, scoring = self.running.settings_for(model), flags.scoring.of(model)
        where = boxes_text(model, self.boxes, source)
        self.where = f"{where}, {flip_text(settings)}, read by {described(model.codec)}, {device_text(settings)}"
        self.text = model_text(
            model, file=Path("snapshots"), annotations=flags.files.annotations, images=flags.files.images
        ) | run_text(settings, scoring, boxes=where)
        self.main = "AP"
        self.skipped: list[Any] = []

    def row(self, snapshot: Snapshot) -> Row:
        """The scores of a snapshot."""
        model = self.flags.model(snapshot.file)
        settings = self.running.settings_for(model)
        found = evaluate(
            model, self.eval_set, settings, rescoring=self.flags.scoring.of(model), boxes=self.boxes, watch=with_bar
        )
        self.skipped = found.skipped
        protocol = {f"{name}": value for _, row in self.eval_set.protocol.rows(found.positions) for name, value in row.items()}
        if protocol:
            self.main = "Mean"
        measured = self._measured(found, model)
        numbers = {name: value for one in measured for name, value in one.numbers.items()}
        return Row(snapshot, found.coco.numbers, {**protocol, **numbers}, found.numbers | numbers | protocol)

    def _measured(self, found: Evaluation, model: PoseModel) -> list[Any]:
        measures, settings = self.flags.measures, self.running.settings_for(model)
        boxes = None if found.boxes is None else found.box_results
        shares = measure_pck(measures.pck, self.eval_set, found.positions, model=model, settings=settings)
        return [*shares, *measure_further(measures.further, self.eval_set, Found(found.positions, found.results, boxes))]


def bars(names: Sequence[str], values: Sequence[float], *, what: str) -> list[str]:
    """A bar for each value, between round numbers, so that a plateau shows; the best is marked.

    Args:
        names: Names of the rows.
        values: Their values; below 0 or nan where there is none.
        what: Name of the values.

    >>> bars(["epoch 1", "epoch 2"], [0.5, 0.6], what="AP")[0]
    'AP by epoch, bars from 0.5 to 0.6:'
    """
    known = [value for value in values if value >= 0]
    if not known:
        return []
    ends = ticks(known)
    ends[0] = max(ends[0], 0.0)
    width, best = max(map(len, names)), max(known)
    lines = [f"{what} by epoch, bars from {ends[0]:.6g} to {ends[-1]:.6g}:"]
    for name, value in zip(names, values, strict=True):
        length = round(BAR * (value - ends[0]) / (ends[-1] - ends[0])) if value >= 0 else 0
        lines.append(f"{name:>{width}}  {cell(value):>6}  {'█' * length}{' best' if value == best else ''}")
    return lines


def _write(
    console: Console, folder: Path, rows: Sequence[Row], *, text: Mapping[str, str], main: str, output: EvalOutputOptions
) -> None:
    """Write scores and report, where they are asked for, and say so."""
    with together() if output.out or output.report else nullcontext():
        if output.out is not None:
            scores = [
                {"stage": one.snapshot.stage, "epoch": one.snapshot.epoch, "file": str(one.snapshot.file)}
                | {"scores": dict(one.everything)}
                for one in rows
            ]
            write_json({"run": str(folder), "settings": dict(text), "snapshots": scores}, output.out)
        if output.report is not None:
            _report(folder, rows, text=text, main=main).write(output.report)
    if output.out is not None:
        say(console, f"scores of {len(rows)} snapshots written to {output.out}")
    if output.report is not None:
        say(console, f"{output.report} is the report; open it in a browser")


def _report(folder: Path, rows: Sequence[Row], *, text: Mapping[str, str], main: str) -> Report:
    page = Report(f"Snapshots of {folder.name}").section("Scores")
    names = [*rows[0].coco, *rows[0].more]
    page.table(("snapshot", *names), [(one.snapshot.name, *(one.everything[name] for name in names)) for one in rows])
    for stage in dict.fromkeys(one.snapshot.stage for one in rows):
        own = [one for one in rows if one.snapshot.stage == stage]
        shown = [name for name in (main, "AP50", "AP75") if name in own[0].everything]
        lines = {name: [_known(one.everything[name]) for one in own] for name in shown}
        title = main if stage is None else f"{main}, stage {stage}"
        page.curve(title, [one.snapshot.epoch for one in own], lines, xlabel="epoch")
    return page.section("Settings").facts(text)


def _known(value: float) -> float:
    """A score, nan where -1 stands for no people."""
    return value if value >= 0 else float("nan")
