"""The parts of `poise evaluate`: the evaluation of poses, and what is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from poise.analysis.alignment import AlignmentScores, alignment_scores
from poise.analysis.report import report_of
from poise.analysis.sigmas import ap_at_other_sigmas, measured_by_coco
from poise.cli._evaluate_boxes import find_boxes, write_boxes, write_masks, write_scores
from poise.cli._print import print_cost, print_evaluation, say, with_bar
from poise.cli._report import boxes_text, device_text, flip_text, run_text
from poise.cli.options import BoxOptions, EvalOutputOptions, EvalRunOptions, RescoringOptions
from poise.codecs.decoders import decoder, described
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, evaluate
from poise.evaluation.further import Found, check_further, measure_further
from poise.evaluation.measures import check_measures, measure_pck
from poise.evaluation.self_test import SelfTest, self_test
from poise.inference.ray_engine import RayCluster
from poise.inference.write import results_folder, write_json
from poise.metrics.measure_names import FurtherMeasure, PCKMeasure
from poise.models.base import PoseModel
from poise.terminal import Console
from poise.writing import together


@final
@dataclass(frozen=True)
class Measures:
    """What to measure beside COCO's numbers.

    Attributes:
        pck: Thresholds and units of PCK.
        further: Other measures.
    """

    pck: Sequence[PCKMeasure] = ()
    further: Sequence[FurtherMeasure] = ()

    def check(self, eval_set: EvalSet, model: PoseModel) -> None:
        """Refuse what cannot be measured, before anything slow.

        Raises:
            InputError: The data set does not tell a unit, or there are no maps.
        """
        check_measures(self.pck, eval_set, model)
        check_further(self.further, eval_set)


@final
@dataclass(frozen=True, eq=False)
class Measured:
    """An evaluation of poses, with its name and settings.

    Attributes:
        evaluation: Poses, perhaps boxes, and their scores.
        name: Name for tables.
        text: Settings that the scores depend on, by name.
        box_source: Name of the detector of the boxes.
        alignment: Scores with and without people who lack the alignment, where they are wanted.
        cost: Of the self-test: what crop and codec cost.
    """

    evaluation: Evaluation
    name: str
    text: Mapping[str, str]
    box_source: str
    alignment: AlignmentScores | None = None
    cost: SelfTest | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """All scores by name; those with and without people who lack the alignment begin with the name of their row."""
        if self.alignment is None:
            return self.evaluation.numbers
        rows = {f"{row}: {name}": v for row, one in self.alignment.rows.items() for name, v in one.numbers.items()}
        return self.evaluation.numbers | rows | {"kept over all": self.alignment.ceiling}


def measure_poses(
    console: Console,
    model: PoseModel,
    eval_set: EvalSet,
    *,
    boxes: BoxOptions,
    rescoring: RescoringOptions,
    run: EvalRunOptions,
    cluster: RayCluster | None = None,
) -> Measured:
    """Evaluate a model's poses in labelled boxes, those of a file or those of a detector; or in whole images.

    Args:
        console: Console to print to.
        model: The model.
        eval_set: The data set.
        boxes: Boxes of people.
        rescoring: How poses are scored.
        run: How the model and the detector are run.
        cluster: Runs the model; a detector runs in this process.

    Raises:
        PoiseError: As `find_boxes` and `evaluate`.
    """
    # with a detector it is the detector that sees whole images
    settings = (run if boxes.detector is None else replace(run, pad_batches=False)).settings_for(model)
    scoring = rescoring.of(model)
    found, source, detected = boxes.read(eval_set, min_score=boxes.min_box_score or 0.0), boxes.boxes, None
    if boxes.detector is not None:
        detector = run.detector(boxes.detector)
        detected = find_boxes(console, eval_set, detector, min_score=boxes.min_box_score or 0.0)
        found, source = detected.boxes, detected.detector
    where = boxes_text(model, found, source)
    say(console, f"{where}, {flip_text(settings)}, read by {described(model.codec)}, {device_text(settings)}")
    evaluation = evaluate(model, eval_set, settings, rescoring=scoring, boxes=found, watch=with_bar, cluster=cluster)
    return Measured(
        evaluation if detected is None else detected.joined(evaluation, eval_set),
        alignment=_alignment(model, eval_set, evaluation, rescoring),
        name=f"{model.card.name}, {decoder(model.codec)}",
        text=run_text(settings, scoring, boxes=where),
        box_source=model.card.name if detected is None else detected.detector,
    )


def _alignment(
    model: PoseModel, eval_set: EvalSet, evaluation: Evaluation, rescoring: RescoringOptions
) -> AlignmentScores | None:
    """Scores with and without people who lack the alignment; None where nobody asks and the data set does not tell."""
    axis = rescoring.axis_of(model)
    if axis is None:
        return None
    try:
        return alignment_scores(eval_set, evaluation, axis)
    except InputError:
        if rescoring.alignment:
            raise
        return None


SELF_TEST_PEOPLE = 10_000
"""People of a large file who go through the self-test: the cost of a codec is known to the third decimal from fewer."""


def sampled(console: Console, eval_set: EvalSet) -> EvalSet:
    """The part of a set that the self-test uses (`EvalSet.sample`); that it is not all is said.

    Args:
        console: Console to print to.
        eval_set: The data set.
    """
    part = eval_set.sample(SELF_TEST_PEOPLE)
    if part is not eval_set:
        people, images = f"{part.everybody} of {eval_set.everybody} people", f"{len(part.ids)} of {len(eval_set.ids)} images"
        say(console, f"the self-test uses {people}, those of {images} drawn at random; each time the same")
    return part


def measure_codec(model: PoseModel, eval_set: EvalSet) -> Measured:
    """Evaluate the labels after crop, encoding and decoding and back.

    Args:
        model: Model, whose network is not run.
        eval_set: The data set.
    """
    test = self_test(model, eval_set)
    text = {
        "self-test": "labels through crop and codec; no image is read, no network is run",
        "people": f"{eval_set.everybody} in {len(eval_set.ids)} images",
    }
    return Measured(test.evaluation, name="labels through the codec", text=text, box_source=model.card.name, cost=test)


def with_measures(
    console: Console,
    measured: Measured,
    measures: Measures,
    model: PoseModel,
    *,
    eval_set: EvalSet,
    run: EvalRunOptions,
) -> Measured:
    """The evaluation with PCK by further thresholds and units, and other measures.

    Args:
        console: Console to print to.
        measured: The evaluation.
        measures: What else to measure.
        model: The model, which is run again where its maps are compared.
        eval_set: The data set.
        run: How the model is run.

    Raises:
        InputError: The data set does not tell a unit, or there are no maps.
    """
    if not measures.pck and not measures.further:
        return measured
    if any(one.unit == "map" for one in measures.pck):
        say(console, "PCK on maps: labelled boxes, no flip test, the highest cell of each map")
    evaluation = measured.evaluation
    settings = replace(run, pad_batches=run.pad_batches and not model.takes_boxes).settings_for(model)
    shares = measure_pck(measures.pck, eval_set, evaluation.positions, model=model, settings=settings)
    boxes = None if evaluation.boxes is None else evaluation.box_results
    found = Found(evaluation.positions, evaluation.results, boxes)
    further = measure_further(measures.further, eval_set, found)
    return replace(measured, evaluation=replace(evaluation, measured=shares, further=further))


@contextmanager
def folders_of(output: EvalOutputOptions) -> Iterator[None]:
    """The folders of what is written; one that was made goes again where the work inside the block fails.

    Raises:
        WriteError: One cannot be made or written to.
    """
    with ExitStack() as folders:
        for folder in output.folders:
            folders.enter_context(results_folder(folder))
        yield


def write_evaluation(
    console: Console,
    eval_set: EvalSet,
    measured: Measured,
    *,
    annotations: Path,
    output: EvalOutputOptions,
    pictures: bool,
) -> None:
    """Write everything that is asked for, all of it or nothing, then say so.

    Args:
        console: Console to print to.
        eval_set: The data set.
        measured: The evaluation.
        annotations: The file of the data set.
        output: Files to write.
        pictures: Whether the report shows images.
    """
    with together():
        said = _written(eval_set, measured, annotations=annotations, output=output, pictures=pictures)
    for text in said:
        say(console, text)


def _written(
    eval_set: EvalSet, measured: Measured, *, annotations: Path, output: EvalOutputOptions, pictures: bool
) -> list[str]:
    """Write everything, and return what to say of it."""
    evaluation, out, said = measured.evaluation, output.out, list[str]()
    if out is not None and output.submission:
        count = eval_set.protocol.submit(out, evaluation.positions)
        said.append(f"{count} poses written to {out}, in the order of {annotations}")
    elif out is not None:
        write_json(evaluation.results, out)
        said.append(f"{len(evaluation.results)} poses written to {out}")
    if out is not None and evaluation.boxes is not None:
        said += [write_boxes(out, evaluation.box_results), *write_masks(out, evaluation.mask_results)]
    if out is not None:
        write_scores(out, measured.numbers, measured.text)
    if output.report is not None:
        text = dict(measured.text)
        if measured.alignment is not None:
            text["alignment"] = "; ".join(measured.alignment.lines)
        page = report_of(eval_set, evaluation, name=measured.name, settings=text, pictures=pictures)
        page.write(output.report)
        said.append(f"{output.report} is the report; open it in a browser")
    return said


def print_measured(console: Console, eval_set: EvalSet, measured: Measured) -> None:
    """Print all tables: keypoints, what was left out, boxes, the protocol's numbers, and those of the data set's own protocol.

    Args:
        console: Console to print to.
        eval_set: The data set.
        measured: The evaluation.
    """
    evaluation, name = measured.evaluation, measured.name
    if measured.cost is not None:
        print_cost(console, measured.cost)
    for text in measured.alignment.lines if measured.alignment else ():
        say(console, text)
    others = {} if measured_by_coco(eval_set) else ap_at_other_sigmas(eval_set, evaluation.results)
    print_evaluation(console, evaluation, name=name, boxes=measured.box_source, sigmas=others)
    for text in eval_set.protocol.tables(evaluation.positions, name=name):
        say(console, text)
