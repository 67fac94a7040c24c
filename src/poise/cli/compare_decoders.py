"""`poise compare-decoders`: all decoders of one network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from poise.cli._flags import check_out
from poise.cli.options import BoxFileOptions, CodecOptions, DatasetOptions, DetectionOptions, FlipRunOptions, ModelFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poise.analysis.decoders import DecoderRow
    from poise.models.base import PoseModel
    from poise.terminal import Console

JsonFile = Annotated[Path | None, arg(metavar="FILE.json")]
Readings = Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")]

TITLE = "one answer for each image, read in many ways; ms: to read an image"


def run(
    model: Positional[ModelFile],
    *,
    files: DatasetOptions,
    readings: Readings = (),
    codec: CodecOptions,
    detection: DetectionOptions,
    boxes: BoxFileOptions,
    running: FlipRunOptions,
    out: JsonFile = None,
) -> int:
    """Compare all decoders of a network's outputs: AP, AR and milliseconds per image.

    The network is run once for each image, and all decoders read the same output. The model's own decoder comes first; the last
    lines are rows to copy.

    For example:

        poise compare-decoders scenes.safetensors --annotations annotations.json --images images --preset release

        poise compare-decoders model.safetensors --annotations annotations.json --images images --readings cell quarter dark

    Args:
        model: Model file, or the name of a model of `poise get`.
        files: Labels and images.
        readings: Names of readings; all by default. For views of one person cell, quarter, dark, udp, fit3, fit5, soft, centre;
            for whole images upsampled, fast, bilinear, cell, quarter, dark, fit1, fit2, fit1-sigma, fit2-sigma; for detectors
            those of the codec in their boxes, or peak and blurred where that is one cell.
        codec: Fields of the codec, for all decoders.
        detection: Sizes of whole images, and detection of people in them.
        boxes: Boxes of people.
        running: How the model is run.
        out: Write the table as JSON, with what it depends on.
    """
    from contextlib import nullcontext

    from poise.analysis.decoders import compare_decoders
    from poise.cli._print import say, with_bar
    from poise.cli._report import boxes_text, device_text, flip_text, model_text, run_text
    from poise.codecs.decoders import described
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.write import results_folder, write_json
    from poise.models.require import require_pose
    from poise.terminal import Console
    from poise.weights.model_file import load

    console = Console()
    if out is not None:
        check_out("--out", out, ends=(".json", ""))
    network = require_pose(load(model))
    codec.adjust(network, detection)
    boxes.check_for(network)
    eval_set = EvalSet.of_file(files.annotations, files.images, skeleton=network.skeleton, naming=files.naming)
    settings, detected = running.settings_for(network), boxes.read(eval_set)
    where = boxes_text(network, detected, boxes.boxes)
    say(console, f"{len(eval_set.ids)} images, {where}, {flip_text(settings)}")
    say(console, f"{device_text(settings)}; the model's own decoder: {described(network.codec)}")
    with nullcontext() if out is None else results_folder(out.parent):
        found = compare_decoders(network, eval_set, settings, readings=readings, boxes=detected, watch=with_bar)
        if out is not None:
            text = model_text(network, file=model, annotations=files.annotations, images=files.images)
            text |= run_text(settings, network.rescoring, boxes=where)
            write_json({"decoders": [_row(one) for one in found], "settings": text}, out)
    _print_table(console, network, found)
    return 0


def _row(one: "DecoderRow") -> dict[str, Any]:
    """A decoder, for the file."""
    return {
        "decoder": one.evaluation.decoder,
        "own": one.own,
        "milliseconds": one.milliseconds,
        "people": one.people,
        "scores": one.evaluation.numbers,
        "skipped": len(one.evaluation.skipped),
    }


def _print_table(console: "Console", model: "PoseModel", found: "Sequence[DecoderRow]") -> None:
    """A table, and the rows to copy."""
    from rich.table import Table

    from poise.cli._print import cell, print_skipped, say
    from poise.codecs.decoders import codec_name
    from poise.metrics.coco import table as rows_to_copy

    columns = ("AP", "AP50", "AP75", "AR", "pck@0.1")
    table = Table(codec_name(model.codec), "people", *columns, "ms", title=TITLE, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found:
        name = f"{one.reading}, its own" if one.own and one.reading != "own" else one.reading
        scores = (cell(one.evaluation.numbers[column]) for column in columns)
        table.add_row(name, str(one.people), *scores, f"{one.milliseconds:.2f}")
    console.print(table)
    print_skipped(console, found[0].evaluation.skipped, "their people count as missed")
    for index, one in enumerate(found):
        name = f"{model.card.name}, {one.evaluation.decoder}"
        lines = rows_to_copy(name, one.evaluation.coco.numbers, {"ms": one.milliseconds})
        say(console, lines if index == 0 else lines.splitlines()[-1])
