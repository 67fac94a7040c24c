"""The report of an evaluation: scores, curves, errors by kind, reliability of the scores, pictures, settings."""

from collections.abc import Mapping, Sequence

import numpy as np

from poise.analysis.diagnosis import Diagnosis, diagnose, precision_curve
from poise.analysis.pairs import ERROR_KINDS
from poise.analysis.pictures import best_and_worst
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation
from poise.viz.report import Report

_COLOURS = (2, 4, 1, 3, 0)
"""Colours of the kinds: good green, jitter yellow, inversion blue, swap violet, miss red."""

_RECALL = np.linspace(0, 1, 101).tolist()
_UNIT = (0.0, 1.0)

_MEANING = {
    "good": "as near to the label as a second annotator",
    "jitter": "near its label, but not near enough",
    "inversion": "at the mirrored keypoint of the same person: left and right confused",
    "swap": "at a keypoint of another person",
    "miss": "not near any label",
}


def report_of(
    eval_set: EvalSet, evaluation: Evaluation, *, name: str, settings: Mapping[str, str], pictures: bool = True
) -> Report:
    """The report of an evaluation.

    Args:
        eval_set: Data set of the evaluation.
        evaluation: The evaluation.
        name: Name of the model.
        settings: Settings that the scores depend on, as text by name.
        pictures: Whether the best and worst images are read and shown.
    """
    diagnosis = diagnose(eval_set.truth, evaluation.results, eval_set.skeletons)
    page = Report(f"Evaluation of {name}")
    _scores(page, eval_set, evaluation, diagnosis)
    _curves(page, evaluation)
    _keypoints(page, evaluation)
    _errors(page, diagnosis)
    _reliability(page, evaluation, diagnosis)
    if pictures:
        _pictures(page, eval_set, evaluation, diagnosis)
    _skipped(page, eval_set, evaluation)
    return page.section("Settings").facts(settings)


def _number(value: float) -> float:
    """A score of the protocol, with NaN in place of -1, which stands for no people."""
    return value if value >= 0 else float("nan")


def _scores(page: Report, eval_set: EvalSet, evaluation: Evaluation, diagnosis: Diagnosis) -> None:
    people, missed = len(diagnosis.matching.pairs), len(diagnosis.matching.missed)
    page.section("Scores").text(
        f"{people + missed} people are labelled in {len(eval_set.ids)} images; {len(evaluation.results)} poses were found. AP "
        f"and AR are those of COCO's keypoint protocol, the mean over OKS 0.50 to 0.95; pck@0.1 is the share of labelled "
        f"keypoints with an error below a tenth of the longer side of the box."
    )
    numbers = evaluation.coco.numbers
    page.numbers({name: _number(value) for name, value in (numbers | evaluation.pck).items()})
    if evaluation.boxes is not None:
        page.text(
            f"{len(evaluation.box_results)} boxes were found. AP and AR of COCO's box protocol, the mean over IoU 0.50 to "
            f"0.95; small, medium and large people; recall with 1, 10 and 100 boxes an image."
        ).numbers({f"box {name}": _number(value) for name, value in evaluation.boxes.numbers.items()})
    if evaluation.masks is not None:
        masks = {f"mask {name}": _number(value) for name, value in evaluation.masks.numbers.items()}
        page.text(f"{len(evaluation.mask_results)} masks were found. AP and AR of COCO's mask protocol.").numbers(masks)
    for one in evaluation.measured:
        (page.text(f"{one.name}: {one.note}.") if one.note else page).numbers(one.numbers)
    for score in evaluation.further:
        (page.text(f"{score.measure.name}: {score.note}.") if score.note else page).numbers(score.numbers)
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
        "Precision (the share of poses that are right) over recall (the share of people found) as the score threshold is "
        "lowered. The area under a curve is the AP at that OKS. Where a curve falls to 0, the remaining people are never found "
        "that exactly."
    )
    page.curve("Precision", _RECALL, lines, xlabel="recall", xlim=_UNIT, ylim=_UNIT)


def _keypoints(page: Report, evaluation: Evaluation) -> None:
    columns = (*evaluation.pck, "AP", "AR")
    sigmas = dict(zip(evaluation.skeleton.keypoints, evaluation.skeleton.sigmas, strict=True))
    rows: list[tuple[str | float, ...]] = [
        (name, *(_number(of[c]) for c in columns), sigmas[name]) for name, of in evaluation.keypoints.items()
    ]
    page.section("Every keypoint").text("AP and AR as if this keypoint alone were labelled.")
    page.table(("keypoint", *columns, "sigma"), rows)
    if evaluation.measured:
        shares = [one.counts.keypoints for one in evaluation.measured]
        further: list[tuple[str | float, ...]] = [
            (name, *(share[i] for share in shares)) for i, name in enumerate(evaluation.skeleton.keypoints)
        ]
        page.table(("keypoint", *(one.name for one in evaluation.measured)), further)
    page.text(f"Sigmas of OKS, skeleton {evaluation.skeleton.name}: {evaluation.skeleton.sigma_source}.")


def _errors(page: Report, diagnosis: Diagnosis) -> None:
    matching, errors = diagnosis.matching, diagnosis.error_counts
    total = max(sum(errors.values()), 1)
    page.section("Errors by kind").text(
        "Every labelled keypoint of a person who was found is good, or an error of one kind (Ronchi and Perona, Benchmarking "
        "and Error Diagnosis in Multi-Instance Pose Estimation, 2017)."
    )
    page.facts({kind: f"{errors[kind]} ({errors[kind] / total:.1%}): {_MEANING[kind]}" for kind in ERROR_KINDS})
    rows = {
        name: [float(counts[kind]) / max(sum(counts.values()), 1) for kind in ERROR_KINDS]
        for name, counts in diagnosis.keypoints.items()
    }
    values = [f"{row[0]:.0%} good" if any(row) else "-" for row in rows.values()]
    page.bars("Keypoints", rows, values, parts=ERROR_KINDS, longest=1.0, colours=_COLOURS)
    page.text(
        f"Of {len(matching.pairs) + len(matching.missed)} people {len(matching.missed)} were missed: no pose is matched to "
        f"them with an OKS of 0.1 or more. {len(matching.background)} poses are background, where nobody is labelled, and "
        f"{len(matching.duplicates)} are duplicates of a person found with a higher score."
    )
    ap = diagnosis.scores.numbers["AP"]
    page.text(
        f"AP is {ap:.3f}; the table shows what it would be if errors were corrected: keypoints moved onto their labels, scores "
        f"replaced by the OKS, false positives removed, missed people found. Each kind alone, and together with all above it "
        f"(cumulative). The gap to 1 that remains is due to keypoints that are good but not exact."
    )
    together = {step.correction: step for step in diagnosis.cumulative}
    table = [
        (one.correction, one.ap, one.gain, together[one.correction].ap, together[one.correction].gain)
        for one in diagnosis.separate
    ]
    gains: dict[str, list[float]] = {one.correction: [max(one.gain, 0.0)] for one in diagnosis.separate}
    longest = max(0.01, *(row[0] for row in gains.values()))
    words = [f"{one.gain:+.3f}" for one in diagnosis.separate]
    page.bars("AP gained by correcting one kind alone", gains, words, parts=("gain",), longest=longest, colours=(1,))
    page.table(("corrected", "alone", "gain", "cumulative", "gain"), table)
    lines = {"as it is": precision_curve(diagnosis.scores, 0.75).tolist()}
    steps = {"jitter": "keypoints corrected", "scoring": "and scores", "false positives": "and no false positives"}
    lines |= {steps[step.correction]: step.curve.tolist() for step in diagnosis.cumulative if step.correction in steps}
    page.curve("Precision at OKS 0.75, corrected step by step", _RECALL, lines, xlabel="recall", xlim=_UNIT, ylim=_UNIT)


def _reliability(page: Report, evaluation: Evaluation, diagnosis: Diagnosis) -> None:
    matching = diagnosis.matching
    judged = [pair.row for pair in matching.pairs] + [*matching.background, *matching.duplicates]
    page.section("Reliability of the scores")
    if not judged:
        page.text("No pose was found.")
        return
    order = sorted(judged, key=lambda row: evaluation.results[row]["score"])
    groups = np.array_split(np.array(order), min(10, len(order)))
    xs = [float(np.mean([evaluation.results[row]["score"] for row in group])) for group in groups]
    ys = [float(np.mean([matching.best[row] for row in group])) for group in groups]
    page.text(
        "Poses in ten groups by their score: the mean score, and the mean OKS with the nearest person. AP depends on the order "
        "alone: the curve should rise. If the score predicts the OKS, it lies on the diagonal."
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
    words = (
        "Labels on the left, predictions on the right; left limbs in warm colours, right ones in cool, hidden keypoints hollow."
    )
    for name, shown in ((_counted(len(worst), "worst"), worst), (_counted(len(best), "best"), best)):
        if shown:
            page.section(name).text(f"{words} Ranked by the mean OKS of the people in an image.").pictures(
                shown, width=400, quality=82
            )


def _counted(number: int, what: str) -> str:
    return f"The {what} picture" if number == 1 else f"The {number} {what} pictures"


def _skipped(page: Report, eval_set: EvalSet, evaluation: Evaluation) -> None:
    page.section("Skipped")
    reasons: Sequence[str] = [one.reason for one in evaluation.skipped]
    count = len(reasons)
    page.text(
        f"{count} of {len(eval_set.ids)} images could not be used; their people count as missed."
        if count
        else "No image was skipped."
    )
    if evaluation.lost_boxes:
        page.text(f"Boxes without extent or outside the image, which were not cropped: {evaluation.lost_boxes}.")
    for reason in reasons[:10]:
        page.text(reason)
    if count > 10:
        page.text(f"... and {count - 10} more.")
