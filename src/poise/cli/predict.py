"""`poise predict`: keypoints on photographs and in videos."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import check_number
from poise.cli._inputs import BOXES, FILM
from poise.cli.options import (
    BoxOptions,
    CropOptions,
    DecodingOptions,
    DetectionOptions,
    KeypointScoreOptions,
    MinScoreOptions,
    OptionalModelFile,
    PaddedRunOptions,
)
from poise.cli.options.video import VideoOptions
from poise.errors import InputError
from poise.inference.moving import is_video
from poise.weights import cache

if TYPE_CHECKING:
    from poise.models.base import PoseModel

Sources = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]"), FILM]


@dataclass(frozen=True, kw_only=True)
class PhotoBoxOptions(BoxOptions):
    """Boxes of people.

    Attributes:
        boxes: A detector's JSON list of image_id, bbox (x, y, width, height), score; rows may have file_name, else the images'
            names are the ids. Without boxes and detector every image is one person. Models that look at whole images take none.
        whole_image: Every image is one person (or animal) who fills it: nothing is said about missing boxes.
    """

    boxes: Annotated[str | None, arg(metavar="FILE"), BOXES] = None
    whole_image: bool = False

    def check(self) -> None:
        """Refuse boxes from two places.

        Raises:
            InputError: Whole images are wanted, and boxes too; or as of all boxes.
        """
        super().check()
        if self.whole_image and (self.boxes is not None or self.detector is not None):
            raise InputError("--whole-image takes each image as one box, and --boxes and --detector give others; leave one out")

    def whole_image_note(self, model: "PoseModel") -> str | None:
        """Note where no box is given to a model trained on tight boxes; else None."""
        if self.whole_image or self.boxes is not None or self.detector is not None:
            return None
        from poise.inference.whole_image import whole_image_note

        return whole_image_note(model)


def run(
    sources: Positional[Sources],
    *,
    model: OptionalModelFile = None,
    boxes: PhotoBoxOptions,
    minimum: MinScoreOptions,
    keypoints: KeypointScoreOptions,
    decoding: DecodingOptions,
    detection: DetectionOptions,
    crop: CropOptions,
    running: PaddedRunOptions,
    video: VideoOptions,
    format: Annotated[str, arg(metavar="coco|csv|jsonl")] = "coco",
    out: Path = Path("poise-predictions"),
    yes: bool = False,
) -> int:
    """Find keypoints on images or in a video; writes the results, and pictures or a video with what was found drawn on them.

    Keypoints of a low score are drawn thin.

    For a model of `poise get` that sees one person at a time, a detector finds the boxes where none are given; it says which.

    Without a model it is blazepose_full, which finds everybody by itself; it is got once (`poise get`).

    For example:

        poise predict photo.jpg

        poise predict photos holiday/*.jpg --model model.safetensors --boxes detections.json --out found

        poise predict photos --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2

        poise predict photos --model scenes.safetensors --preset release

        poise predict walk.mp4 --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2 --out walk --report

        poise predict camera:0 --live

    Args:
        sources: Image files, folders, or patterns in quotes; or one video: a file, camera:0, a pattern such as frame_%06d.png,
            or a folder of frames with --as-video.
        model: Model file, or name of a model of `poise get`; blazepose_full by default.
        boxes: Boxes of people.
        minimum: Minimum scores.
        keypoints: Minimum scores of keypoints.
        decoding: How the network's outputs are read.
        detection: Sizes of whole images, and detection of people in them.
        crop: How boxes are cropped.
        running: How the model is run.
        video: How a video is read, and what is written of it.
        format: Format of the results: coco for COCO's list of results (predictions.json), csv for a table with a line for each
            person (predictions.csv), jsonl for a line of JSON for each image (predictions.jsonl). All have the names of the
            keypoints and the sizes of the images.
        out: Folder for the results and the pictures.
        yes: Get the model without asking, where none is given and it is not there.
    """
    boxes.check()
    check_number("--min-score", minimum.min_score)
    keypoints.check()
    if not sources:
        raise InputError("no images were given; name files, folders or patterns")
    if model is None and not (yes or sys.stdin.isatty() or cache.model_place(cache.DEFAULT).is_file()):
        raise InputError(cache.no_default())
    if video.as_video or any(is_video(source) for source in sources):
        if len(sources) != 1:
            raise InputError(f"one video at a time: found {len(sources)} sources; give the video alone")
        if boxes.boxes is not None:
            raise InputError("--boxes are those of photographs; in a video --detector finds people")
        from poise.cli._video import predict_video

        def adjust(network: "PoseModel") -> None:
            decoding.adjust(network, detection)
            crop.adjust(network)
            keypoints.adjust(network)

        return predict_video(
            sources[0],
            model=model,
            boxes=boxes,
            adjust=adjust,
            min_score=minimum.min_score,
            running=running,
            video=video,
            out=out,
            yes=yes,
        )
    video.refuse_for_photographs()
    from poise.cli._predict import DETECTOR_MINIMUM, default_model, print_predictions, write_predictions
    from poise.cli._print import say
    from poise.inference.formats import check_format
    from poise.inference.predictor import Predictor
    from poise.inference.sources import boxes_of, find_images
    from poise.inference.usual_detector import usual_detector
    from poise.inference.write import Writer, results_folder
    from poise.models.base import require_pose
    from poise.runtimes.choice import preferred
    from poise.terminal import Console
    from poise.weights.model_file import load

    check_format(format)
    images = find_images(sources, without=out)
    read = None if boxes.boxes is None else boxes_of(boxes.boxes, images, min_score=boxes.min_box_score or 0.0)
    network = require_pose(load(default_model(Console(stderr=True), yes=yes) if model is None else model))
    console = Console()
    if model is not None and not boxes.whole_image and boxes.boxes is None and boxes.detector is None:
        picked = usual_detector(network, cache.located(model), say=lambda text: say(console, text))
        boxes = replace(boxes, detector=picked)
    boxes.check_for(network, own_minimum=True)
    decoding.adjust(network, detection)
    crop.adjust(network)
    keypoints.adjust(network)
    if note := boxes.whole_image_note(network):
        say(console, note)
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
        runtime=preferred(running.runtime),
        whole_image=True,  # what there is to say has been said
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
            format=format,
        )
        skipped = write_predictions(predictor, images, read, writer)
    print_predictions(console, network, images, read, writer=writer, skipped=skipped)
    return 0
