"""A whole evaluation on one page: scores, curves, errors by kind, how far scores can be trusted, pictures, settings."""

from collections.abc import Mapping, Sequence

import numpy as np

from poise.analysis.diagnosis import Diagnosis, diagnose, precision_curve
from poise.analysis.pairs import ERROR_KINDS
from poise.analysis.pictures import best_and_worst
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.viz.report import Report

_COLOURS = (2, 4, 1, 3, 0)
"""Of the kinds: good green, jitter yellow, inversion blue, swap violet, miss red."""

_RECALL = np.linspace(0, 1, 101).tolist()
_UNIT = (0.0, 1.0)

_MEANING = {
    "good": "as near as two people who label",
    "jitter": "near its place, not near enough",
    "inversion": "where the mirrored keypoint of the same person is: left for right",
    "swap": "where a keypoint of somebody else is",
    "miss": "near nothing",
}


def report_of(
    eval_set: EvalSet, evaluation: Evaluation, *, name: str, settings: Mapping[str, str], pictures: bool = True
) -> Report:
    """The page.

    Args:
        eval_set: What was measured on.
        evaluation: What was measured.
        name: Of the model.
        settings: What the numbers depend on, by name.
        pictures: Whether the best and worst images are read and shown.
    """
    diagnosis = diagnose(eval_set.truth, evaluation.results, eval_set.skeletons)
    page = Report(f"Evaluation of {name}")
    _scores(page, eval_set, evaluation, diagnosis)
    _curves(page, evaluation)
    _keypoints(page, evaluation)
    _errors(page, diagnosis)
    _trust(page, evaluation, diagnosis)
    if pictures:
        _pictures(page, eval_set, evaluation, diagnosis)
    _skipped(page, eval_set, evaluation)
    return page.section("Settings").facts(settings)


def _number(value: float) -> float:
    """Of the protocol, where -1 says there is nobody."""
    return value if value >= 0 else float("nan")


def _scores(page: Report, eval_set: EvalSet, evaluation: Evaluation, diagnosis: Diagnosis) -> None:
    people, missed = len(diagnosis.matching.pairs), len(diagnosis.matching.missed)
    page.section("Scores").text(
        f"{people + missed} people are labelled in {len(eval_set.ids)} images; {len(evaluation.results)} poses were found. AP "
        f"and AR are those of COCO's keypoint protocol, the mean over OKS 0.50 to 0.95; pck@0.1 is the share of labelled "
        f"keypoints found nearer than a tenth of the longer side of the box."
    )
    numbers = evaluation.coco.numbers
    page.numbers({name: _number(value) for name, value in (numbers | evaluation.pck).items()})
    if evaluation.boxes is not None:
        page.text(
            f"{len(evaluation.box_results)} boxes were found. AP and AR of COCO's box protocol, the mean over overlaps 0.50 to "
            f"0.95; small, medium and large people; recall with 1, 10 and 100 boxes an image."
        ).numbers({f"box {name}": _number(value) for name, value in evaluation.boxes.numbers.items()})
    for said, row in eval_set.protocol.rows(evaluation.positions):
        page.text(said).numbers(row)
    if len(evaluation.coco.categories) > 1:
        rows: list[tuple[str | float, ...]] = [
            (name, *(_number(value) for value in of.values())) for name, of in evaluation.coco.categories.items()
        ]
        page.table(("category", *numbers), rows)


def _curves(page: Report, evaluation: Evaluation) -> None:
    lines = {f"OKS {t:.2f}": precision_curve(evaluation.coco, t).tolist() for t in (0.5, 0.75, 0.9)}
    lines["mean of 0.50 to 0.95"] = precision_curve(evaluation.coco).tolist()
    page.section("Precision and recall").text(
        "The share of poses that are right against the share of people found, as the least score a pose needs is lowered. The "
        "area under a line is the AP at that OKS. Where a line falls to 0 the rest of the people are never found so exactly."
    )
    page.curve("Precision", _RECALL, lines, xlabel="recall", xlim=_UNIT, ylim=_UNIT)


def _keypoints(page: Report, evaluation: Evaluation) -> None:
    columns = (*evaluation.pck, "AP", "AR")
    sigmas = dict(zip(evaluation.skeleton.keypoints, evaluation.skeleton.sigmas, strict=True))
    rows: list[tuple[str | float, ...]] = [
        (name, *(_number(of[c]) for c in columns), sigmas[name]) for name, of in evaluation.keypoints.items()
    ]
    page.section("Every keypoint").text("AP and AR are as if this keypoint alone were labelled.")
    page.table(("keypoint", *columns, "sigma"), rows)
    page.text(f"Sigmas of OKS, skeleton {evaluation.skeleton.name}: {evaluation.skeleton.sigma_source}.")


def _errors(page: Report, diagnosis: Diagnosis) -> None:
    matching, kinds = diagnosis.matching, diagnosis.kinds
    total = max(sum(kinds.values()), 1)
    page.section("Errors by kind").text(
        "Every labelled keypoint of a person who was found is good or an error of one kind, after Ronchi and Perona, "
        "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (2017)."
    )
    page.facts({kind: f"{kinds[kind]} ({kinds[kind] / total:.1%}): {_MEANING[kind]}" for kind in ERROR_KINDS})
    rows = {
        name: [float(counts[kind]) / max(sum(counts.values()), 1) for kind in ERROR_KINDS]
        for name, counts in diagnosis.keypoints.items()
    }
    values = [f"{row[0]:.0%} good" if any(row) else "-" for row in rows.values()]
    page.bars("Keypoints", rows, values, parts=ERROR_KINDS, longest=1.0, colours=_COLOURS)
    page.text(
        f"Of {len(matching.pairs) + len(matching.missed)} people {len(matching.missed)} were missed: no pose of their own has "
        f"an OKS of 0.1 with them. Of the poses {len(matching.background)} are of nobody who is labelled, and "
        f"{len(matching.duplicates)} of people whom a surer pose had found."
    )
    ap = diagnosis.scores.numbers["AP"]
    page.text(
        f"What AP would be, were errors mended: it is {ap:.3f}. Keypoints come onto their labels, scores become the OKS, false "
        f"positives go, missed people are found. The table has each kind "
        f"alone, and with all above it (so far). What is left to 1 after all are keypoints that are good and not exact."
    )
    together = {step.correction: step for step in diagnosis.cumulative}
    table = [
        (one.correction, one.ap, one.gain, together[one.correction].ap, together[one.correction].gain)
        for one in diagnosis.separate
    ]
    gains: dict[str, list[float]] = {one.correction: [max(one.gain, 0.0)] for one in diagnosis.separate}
    longest = max(0.01, *(row[0] for row in gains.values()))
    words = [f"{one.gain:+.3f}" for one in diagnosis.separate]
    page.bars("AP gained by mending one kind alone", gains, words, parts=("gain",), longest=longest, colours=(1,))
    page.table(("mended", "alone", "gain", "so far", "gain"), table)
    lines = {"as it is": precision_curve(diagnosis.scores, 0.75).tolist()}
    steps = {"jitter": "and all keypoints mended", "scoring": "and the scores", "false positives": "and no false positives"}
    lines |= {steps[step.correction]: step.curve.tolist() for step in diagnosis.cumulative if step.correction in steps}
    page.curve("Precision at OKS 0.75, mended step by step", _RECALL, lines, xlabel="recall", xlim=_UNIT, ylim=_UNIT)


def _trust(page: Report, evaluation: Evaluation, diagnosis: Diagnosis) -> None:
    matching = diagnosis.matching
    judged = [pair.row for pair in matching.pairs] + [*matching.background, *matching.duplicates]
    page.section("Can the scores be trusted?")
    if not judged:
        page.text("No pose was found, so there is nothing to say.")
        return
    order = sorted(judged, key=lambda row: evaluation.results[row]["score"])
    groups = np.array_split(np.array(order), min(10, len(order)))
    xs = [float(np.mean([evaluation.results[row]["score"] for row in group])) for group in groups]
    ys = [float(np.mean([matching.best[row] for row in group])) for group in groups]
    page.text(
        "Poses in ten groups by their score: the mean score, and the mean OKS with the nearest person. AP asks for order "
        "alone: the line should rise. Where a score says how near a pose is, it lies on the diagonal."
    )
    lines = {"mean OKS": ys}
    unit = max(xs) <= 1
    if unit:
        xs, lines = [0.0, *xs, 1.0], {"mean OKS": [float("nan"), *ys, float("nan")], "score": [0.0, *xs, 1.0]}
    page.curve("OKS", xs, lines, xlabel="score", xlim=_UNIT if unit else None, ylim=_UNIT)


def _pictures(page: Report, eval_set: EvalSet, evaluation: Evaluation, diagnosis: Diagnosis) -> None:
    unread = {one.key for one in evaluation.skipped}
    without = [image for index, image in enumerate(eval_set.ids) if eval_set.dataset.key(index) in unread]
    best, worst = best_and_worst(eval_set, evaluation.results, diagnosis, without=without)
    words = "Labels on the left, what was found on the right; left limbs are warm, right ones cool, hidden keypoints hollow."
    for name, shown in ((_counted(len(worst), "worst"), worst), (_counted(len(best), "best"), best)):
        if shown:
            page.section(name).text(f"{words} By the mean OKS of the people in an image.").pictures(
                shown, width=400, quality=82
            )


def _counted(number: int, what: str) -> str:
    return f"The {what} picture" if number == 1 else f"The {number} {what} pictures"


def _skipped(page: Report, eval_set: EvalSet, evaluation: Evaluation) -> None:
    page.section("Left out")
    reasons: Sequence[str] = [one.reason for one in evaluation.skipped]
    count = len(reasons)
    page.text(
        f"{count} of {len(eval_set.ids)} images could not be used; their people count as missed."
        if count
        else "No image was skipped."
    )
    if evaluation.lost_boxes:
        page.text(f"Nobody was looked for in boxes of no size or outside the image: {evaluation.lost_boxes}.")
    for reason in reasons[:10]:
        page.text(reason)
    if count > 10:
        page.text(f"... and {count - 10} more.")
