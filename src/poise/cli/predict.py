"""`poise predict`: keypoints on photographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import check_number
from poise.cli._inputs import BOXES, SOURCE
from poise.cli.options import (
    BoxOptions,
    DecodingOptions,
    DetectionOptions,
    MinScoreOptions,
    OptionalModelFile,
    PaddedRunOptions,
)
from poise.errors import InputError

Sources = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]"), SOURCE]


@dataclass(frozen=True, kw_only=True)
class PhotoBoxOptions(BoxOptions):
    """Where people are.

    Attributes:
        boxes: A detector's JSON list of image_id, bbox (x, y, width, height), score; rows may have file_name, else the images'
            names are the ids. Without it every image is one person. Models that look at whole images take none.
    """

    boxes: Annotated[str | None, arg(metavar="FILE"), BOXES] = None


def run(
    sources: Positional[Sources],
    *,
    model: OptionalModelFile = None,
    boxes: PhotoBoxOptions,
    minimum: MinScoreOptions,
    decoding: DecodingOptions,
    detection: DetectionOptions,
    running: PaddedRunOptions,
    out: Path = Path("poise-predictions"),
) -> int:
    """Find keypoints on images; writes predictions.json and the images with the people drawn on them.

    For example:

        poise predict photos holiday/*.jpg --model model.safetensors --boxes detections.json --out found

        poise predict photos --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2

        poise predict photos --model scenes.safetensors --preset release

    Args:
        sources: Image files, folders, or patterns in quotes.
        model: Model file.
        boxes: Where people are.
        minimum: Who is left out.
        decoding: How the network's outputs are read.
        detection: How whole images are seen, and people found in them.
        running: How the model is run.
        out: Folder for predictions.json and the pictures.
    """
    if model is None:
        raise InputError(
            "no model was given; `poise demo` and `poise train` make one, `poise import NAME CHECKPOINT` turns an official "
            "checkpoint into one (`poise zoo` lists them). Then: poise predict SOURCE --model FILE.safetensors"
        )
    boxes.check()
    check_number("--min-score", minimum.min_score)
    from rich.console import Console

    from poise.cli._predict import DETECTOR_MINIMUM, print_predictions, write_predictions
    from poise.inference.predictor import Predictor
    from poise.inference.sources import boxes_of, find_images
    from poise.inference.write import Writer, results_folder
    from poise.models.base import require_pose
    from poise.weights.model_file import load

    images = find_images(sources, without=out)
    read = None if boxes.boxes is None else boxes_of(boxes.boxes, images, min_score=boxes.min_box_score or 0.0)
    network = require_pose(load(model))
    boxes.check_for(network, own_minimum=True)
    decoding.adjust(network, detection)
    confidence = DETECTOR_MINIMUM if boxes.min_box_score is None else boxes.min_box_score
    predictor = Predictor(
        network,
        detector=boxes.detector,
        device=running.device,
        precision=running.precision,
        batch=running.batch,
        workers=running.threads,
        pad_batches=running.pad_batches,
        min_box_score=confidence,
    )
    with results_folder(out) as folder:
        writer = Writer(
            folder,
            network,
            images,
            categories=None if read is None else {image: found.categories for image, found in read.items()},
            draw_boxes=read is not None or boxes.detector is not None,
            min_score=minimum.min_score,
            min_box_score=confidence if network.finds_boxes else 0.0,
        )
        skipped = write_predictions(predictor, images, read, writer)
    print_predictions(Console(), network, images, read, writer=writer, skipped=skipped)
    return 0
