"""`poise codec`: the upper bound of AP of each codec, before training."""

from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._flags import view_size
from poise.cli.options import AnnotationOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poise.analysis.codec_report import CodecRow
    from poise.terminal import Console

Size = Annotated[str, arg(metavar="HxW")]
Names = Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")]
Readings = Annotated[tuple[str, ...], arg(metavar="READING [READING ...]")]


def run(
    *,
    files: AnnotationOptions,
    size: Size = "256x192",
    codec: Names = (),
    reading: Readings = (),
    padding: float = 1.25,
    count: int = 2000,
) -> int:
    """Encode and decode labels with each codec: error, error with flip, lost keypoints, the upper bound of AP.

    Maps have a cell for every 4 pixels. Views are cropped as the releases of each codec crop them. No image is read.

    For example:

        poise codec --annotations person_keypoints_val2017.json --size 256x192

        poise codec --annotations mine.json --codec Gaussian Dark --reading quarter dark fit5

    Args:
        files: Labels.
        size: Size of the views, height x width in pixels.
        codec: Names of codecs; all by default.
        reading: Other ways to read their maps: cell, quarter, dark, udp, fit3, fit5, soft, centre.
        padding: Factor by which boxes are enlarged before the crop.
        count: Largest number of images, evenly spread over the file.
    """
    from poise.analysis.codec_report import FAR, STRIDE, codec_report, evenly_spaced
    from poise.cli._print import say
    from poise.codecs.registry import roi_codec_types, scene_codec_types
    from poise.errors import InputError
    from poise.evaluation.eval_set import EvalSet
    from poise.skeletons import COCO17
    from poise.terminal import Console

    if count < 1 or not padding > 0:
        raise InputError(f"--count is at least 1 and --padding above 0, found {count} and {padding:g}")
    others = dict.fromkeys(scene_codec_types(), "whole images") | dict.fromkeys(roi_codec_types(), "boxes of a detector")
    other = next((name for name in codec if name in others), None)
    if other is not None:
        raise InputError(
            f"{other} is a codec for {others[other]}, and this command crops views of people; its upper bound of AP "
            "is printed by poise evaluate MODEL --annotations FILE --self-test"
        )
    eval_set = EvalSet.of_file(files.annotations, None, skeleton=COCO17, naming=files.naming)
    images = evenly_spaced(len(eval_set.dataset), count)
    rows = codec_report(eval_set, view_size(size), codecs=codec, readings=reading, padding=padding, images=images)
    console = Console()
    _print_table(console, rows, size=size)
    say(console, f"{len(images)} of {len(eval_set.dataset)} images; flip: the mirrored view's answer, turned back")
    lost = f"lost: they come back more than {FAR * STRIDE:g} pixels off"
    say(console, f"outside: the crop leaves them out; {lost}; AP: of these labels")
    return 0


def _print_table(console: "Console", rows: "Sequence[CodecRow]", *, size: str) -> None:
    """All codecs with their errors and losses."""
    from rich.table import Table

    heads = ("codec", "crop", "mean", "95 %", "flip", "flip 95 %", "outside %", "lost %", "AP")
    table = Table(*heads, title=f"errors in pixels of views of {size}", title_justify="left", padding=0)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        name = row.codec if row.reading == "own" else f"{row.codec}, {row.reading}"
        errors = (f"{value:.2f}" for value in (row.mean, row.p95, row.flip, row.flip_p95))
        shares = (f"{100 * value:.2f}" for value in (row.outside, row.lost))
        table.add_row(name, row.crop, *errors, *shares, f"{row.ap:.3f}")
    console.print(table)
