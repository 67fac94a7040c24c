"""Output of commands: sentences, tables of an evaluation, a progress bar."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from rich.progress import track
from rich.table import Table

from poise.evaluation.evaluate import Evaluation
from poise.evaluation.further import FurtherScores
from poise.evaluation.measures import BATCH
from poise.evaluation.self_test import SelfTest
from poise.inference.request import Skipped
from poise.metrics.boxes import table as box_table
from poise.metrics.coco import table
from poise.terminal import Console
from poise.terminal import say as say

T = TypeVar("T")


def print_evaluation(
    console: Console, evaluation: Evaluation, *, name: str, boxes: str = "", sigmas: Mapping[float, float] | None = None
) -> None:
    """Print scores of keypoints and categories, what was left out, the source of the sigmas; last rows to copy, boxes first.

    Args:
        console: Console to print to.
        evaluation: Evaluation to print.
        name: Name of the model.
        boxes: Name of the detector; by default that of the model.
        sigmas: AP at the sigmas times some factors, where they are not COCO's own.
    """
    columns = ("pck@0.05", "pck@0.1", "pck@0.2", "AP", "AR")
    grid = Table(
        "keypoint", *columns, "sigma", title="AP and AR: as if this keypoint alone were labelled", title_justify="left"
    )
    for column in grid.columns[1:]:
        column.justify = "right"
    for keypoint, sigma in zip(evaluation.skeleton.keypoints, evaluation.skeleton.sigmas, strict=True):
        grid.add_row(keypoint, *(cell(evaluation.keypoints[keypoint][c]) for c in columns), f"{sigma:.3f}")
    grid.add_section()
    everything = evaluation.numbers
    grid.add_row("all", *(cell(everything[c]) for c in columns), "")
    console.print(grid)
    if evaluation.measured:
        print_measures(console, evaluation)
    print_further(console, evaluation.further)
    if evaluation.parts:
        print_parts(console, evaluation.parts)
    if len(evaluation.coco.categories) > 1:
        for category, numbers in evaluation.coco.categories.items():
            say(console, f"category {category}: AP {cell(numbers['AP'])}, AR {cell(numbers['AR'])}")
    say(console, f"sigmas of OKS, skeleton {evaluation.skeleton.name}: {evaluation.skeleton.sigma_source}")
    if sigmas:
        parts = ", ".join(f"{cell(ap)} at {factor:g} times the sigmas" for factor, ap in sigmas.items() if factor != 1)
        say(console, f"AP would be {parts}; compare it only with AP at the same sigmas")
    if evaluation.lost_boxes:
        say(console, lost_text(evaluation.lost_boxes))
    print_skipped(console, evaluation.skipped, "their people count as missed")
    if evaluation.boxes is not None:
        say(console, box_table(boxes or name, evaluation.boxes.numbers) + "\n")
    if evaluation.masks is not None:
        say(console, box_table(boxes or name, evaluation.masks.numbers, what="mask") + "\n")
    say(console, table(name, evaluation.coco.numbers))


def print_parts(console: Console, parts: Mapping[str, Mapping[str, float]]) -> None:
    """Print AP and AR of the parts of a whole body."""
    columns = ("AP", "AP50", "AP75", "AR")
    grid = Table("part", *columns, title="parts, as COCO-WholeBody's tool scores them", title_justify="left")
    for column in grid.columns[1:]:
        column.justify = "right"
    for part, numbers in parts.items():
        grid.add_row(part, *(cell(numbers[name]) for name in columns))
    console.print(grid)


def print_measures(console: Console, evaluation: Evaluation) -> None:
    """Print PCK by the thresholds and units that were asked for, keypoint by keypoint."""
    measured = evaluation.measured
    title = f"all: every label; mean: of the keypoints; batches of {BATCH}: as the releases print it"
    grid = Table("keypoint", *(one.name for one in measured), title=title, title_justify="left")
    for column in grid.columns[1:]:
        column.justify = "right"
    shares = [one.counts.keypoints for one in measured]
    for index, keypoint in enumerate(evaluation.skeleton.keypoints):
        grid.add_row(keypoint, *(cell(share[index]) for share in shares))
    grid.add_section()
    grid.add_row("all", *(cell(one.counts.mean) for one in measured))
    grid.add_row("mean", *(cell(one.counts.over_keypoints) for one in measured))
    if any(one.published is not None for one in measured):
        published = ["" if one.published is None else cell(one.published) for one in measured]
        grid.add_row(f"batches of {BATCH}", *published)
    console.print(grid)
    for one in measured:
        if one.note:
            say(console, f"{one.name}: {one.note}")


def print_further(console: Console, scores: Sequence[FurtherScores]) -> None:
    """Print further measures, one of their numbers a line, each with what must be known of it."""
    for one in scores:
        if one.note:
            say(console, f"{one.measure.name}: {one.note}")
        for name, value in one.numbers.items():
            say(console, f"{name}: {_plain(value)}")


def _plain(value: float) -> str:
    """A count as it is, another number with three decimals; "-" for nan."""
    return "-" if value != value else f"{value:.0f}" if value == int(value) and value > 1 else f"{value:.3f}"


def print_cost(console: Console, test: SelfTest) -> None:
    """Print the loss of AP by crop and codec."""
    if len(test.errors):
        mean, largest = float(test.errors.mean()), float(test.errors.max())
        text = f"{mean:.2f} pixels of the view away, {largest:.2f} at most"
        say(console, f"{len(test.errors)} labelled keypoints come back {text}")
    if test.outside:
        say(console, f"{test.outside} labelled keypoints lie outside their person's view, where no network can find them")
    crop = max(test.codec_ap - test.evaluation.coco.numbers["AP"], 0.0)
    say(
        console, f"AP is {test.evaluation.coco.numbers['AP']:.3f}: the codec costs {1 - test.codec_ap:.3f}, the crop {crop:.3f}"
    )


def lost_text(boxes: int) -> str:
    """Message about boxes that could not be used."""
    return f"nobody was looked for in {counted(boxes, 'box', 'boxes')} of no size or outside the image"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and its word.

    >>> counted(1, "image"), counted(2, "box", "boxes")
    ('1 image', '2 boxes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def print_skipped(console: Console, skipped: list[Skipped], consequence: str) -> None:
    """The images that could not be used, up to ten by name."""
    for one in skipped[:10]:
        say(console, f"skipped: {one.reason}")
    if skipped:
        count = "1 image was" if len(skipped) == 1 else f"{len(skipped)} images were"
        say(console, f"{count} skipped; {consequence}")


def cell(value: float) -> str:
    """Three decimals; "-" where there is no number."""
    return f"{value:.3f}" if value >= 0 else "-"


def with_bar(stream: Iterable[T], total: int) -> Iterable[T]:
    """The images, with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(stream, description="images", total=total, console=console, disable=not console.is_terminal, transient=True)
