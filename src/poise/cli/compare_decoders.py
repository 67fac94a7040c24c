"""`poise compare-decoders`: one network, read in many ways."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Model = Annotated[Path, arg(metavar="FILE")]
_File = Annotated[Path, arg(metavar="FILE")]
_Boxes = Annotated[str | None, arg(metavar="gt|FILE")]
_Out = Annotated[Path | None, arg(metavar="FILE.json")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]
_Preset = Annotated[str | None, arg(metavar="practitioner|release")]
_Readings = Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")]
_Options = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
_Scales = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]

TITLE = "one answer for each image, read in many ways; ms: to read an image"


def run(
    model: Positional[_Model],
    *,
    annotations: _File,
    images: Path,
    readings: _Readings = (),
    preset: _Preset = None,
    codec_set: _Options = (),
    detecting_set: _Options = (),
    boxes: _Boxes = None,
    side: _Number = None,
    scales: _Scales = (),
    flip: bool = True,
    out: _Out = None,
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: int = 2,
) -> int:
    """What each way to read a network's answers scores, and how long it takes: AP, AR and milliseconds for an image.

    The network looks at every image once, and every decoder reads the same answer. The model's own decoder comes first; the
    last lines are rows to copy.

    For example:

        poise compare-decoders scenes.safetensors --annotations annotations.json --images images --preset release

        poise compare-decoders model.safetensors --annotations annotations.json --images images --readings cell quarter dark

    Args:
        model: Model file.
        annotations: COCO-style keypoint file.
        images: Folder or zip file of its images.
        readings: Names of readings; all by default. Of views of one person cell, quarter, dark, udp, fit3, fit5, soft, centre;
            of whole images upsampled, fast, bilinear, cell, quarter, dark, fit1, fit2, fit1-sigma, fit2-sigma; of detectors
            those of the codec in their boxes, or peak and blurred where that is one cell.
        preset: Numbers with which people are read out of whole images: practitioner or release.
        codec_set: Fields of the codec, for all decoders, such as reading.threshold=0.06.
        detecting_set: How a detector finds and ranks people, such as suppression=soft or nms=0.6 (docs/concepts/detectors.md).
        boxes: Where to look: "gt" for the labelled boxes (the default), or a detector's JSON list; none for whole images.
        side: Pixels that the side which is fitted of a whole image gets: the long one, or the short one where a detector's
            release has it so; by default as the model has it.
        scales: Factors on it; of several the answers are averaged, and detectors join the people they find in each.
        flip: Average with the mirrored view, where the model does that; twice the network's time.
        out: Write the table as JSON, with what it depends on.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
        batch: People at a time (32), or whole images (4; 2 for detectors).
        workers: Threads that read images.
    """
    from contextlib import nullcontext

    from rich.console import Console
    from rich.table import Table

    from poise.analysis.decoders import compare_decoders
    from poise.cli._decoder import adjust, only_for_views
    from poise.cli._out import check_out
    from poise.cli._report import places, settings, what
    from poise.cli._scores import cell, print_skipped, say, with_bar
    from poise.codecs.decoders import codec_name, described
    from poise.evaluation.boxes import detections
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.settings import InferenceSettings
    from poise.inference.write import results_folder, write_json
    from poise.metrics.coco import table as table_of
    from poise.models.base import require_pose
    from poise.weights.model_file import load

    console = Console()
    if out is not None:
        check_out("--out", out, ends=(".json", ""), reads=(annotations, boxes))
    network = require_pose(load(model))
    adjust(network, numbers=preset, options=codec_set, config=detecting_set, side=side, scales=scales)
    only_for_views(network, {"--boxes": boxes})
    eval_set = EvalSet.of_file(annotations, images, skeleton=network.skeleton)
    setting = InferenceSettings.of(
        network, device=device, precision=precision, flip=None if flip else False, batch=batch, workers=workers
    )
    given = None if boxes in (None, "gt") else detections(str(boxes), eval_set, min_score=0.0)
    where = places(network, given, boxes)
    say(console, f"{len(eval_set.ids)} images, {where}, flip test {'on' if setting.flip else 'off'}")
    say(console, f"{setting.device} in {setting.precision}; the model's own decoder: {described(network.codec)}")
    with nullcontext() if out is None else results_folder(out.parent):
        found = compare_decoders(network, eval_set, setting, readings=readings, boxes=given, watch=with_bar)
        if out is not None:
            how = what(network, model=model, annotations=annotations, images=images)
            how |= settings(setting, network.rescoring, boxes=where)
            lines = [
                {"decoder": one.evaluation.decoder, "own": one.own, "milliseconds": one.milliseconds, "people": one.people}
                | {"scores": one.evaluation.numbers, "skipped": len(one.evaluation.skipped)}
                for one in found
            ]
            write_json({"decoders": lines, "settings": how}, out)
    columns = ("AP", "AP50", "AP75", "AR", "pck@0.1")
    table = Table(codec_name(network.codec), "people", *columns, "ms", title=TITLE, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found:
        name = f"{one.reading}, its own" if one.own and one.reading != "own" else one.reading
        scores = (cell(one.evaluation.numbers[column]) for column in columns)
        table.add_row(name, str(one.people), *scores, f"{one.milliseconds:.2f}")
    console.print(table)
    print_skipped(console, found[0].evaluation.skipped, "their people count as missed")
    for place, one in enumerate(found):
        lines_of = table_of(
            f"{network.card.name}, {one.evaluation.decoder}", one.evaluation.coco.numbers, {"ms": one.milliseconds}
        )
        say(console, lines_of if not place else lines_of.splitlines()[-1])
    return 0
