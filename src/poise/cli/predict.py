"""`poise predict`: keypoints on photographs and in videos."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import check_number, refuse
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
from poise.cli.options.engine import EngineOptions
from poise.cli.options.photos import PhotoOptions
from poise.cli.options.types import Number
from poise.cli.options.video import VideoOptions
from poise.errors import InputError
from poise.inference.moving import address_of, is_video
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
    photos: PhotoOptions,
    engine: EngineOptions,
    part: Number = None,
    video: VideoOptions,
    format: Annotated[str, arg(metavar="coco|csv|jsonl|parquet")] = "coco",
    out: Path = Path("poise-predictions"),
    yes: bool = False,
) -> int:
    """Find keypoints on images or in a video; writes the results, and pictures or a video with what was found drawn on them.

    Keypoints of a low score are drawn thin.

    For a model of `poise get` that sees one person at a time, a detector finds the boxes where none are given; it says which.

    Without a model it is poise_people, with boxes of poise_people_detector; both come with poise.

    For example:

        poise predict photo.jpg

        poise predict photos holiday/*.jpg --model model.safetensors --boxes detections.json --out found

        poise predict photos --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2

        poise predict photos --model scenes.safetensors --preset release

        poise predict archive --model model.safetensors --boxes boxes.json --format jsonl --no-pictures --resume

        poise predict walk.mp4 --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2 --out walk --report

        poise predict camera:0 --live

        poise predict s3://bucket/photos --model model.safetensors --engine ray --address auto --out s3://bucket/found

    Args:
        sources: Image files, folders, or patterns in quotes; addresses such as s3://bucket/folder; or one video: a file,
            camera:0, a pattern such as frame_%06d.png, or a folder of frames with --as-video.
        model: Model file, or name of a model of `poise get`; poise_people by default, which comes with poise.
        boxes: Boxes of people.
        minimum: Minimum scores.
        keypoints: Minimum scores of keypoints.
        decoding: How the network's outputs are read.
        detection: Sizes of whole images, and detection of people in them.
        crop: How boxes are cropped.
        running: How the model is run.
        photos: How photographs are read, and what is written of them.
        engine: Work on many machines.
        part: Images of a part (256), where results are written in parts.
        video: How a video is read, and what is written of it.
        format: Format of the results: coco for COCO's list of results (predictions.json), csv for a table with a line for each
            person (predictions.csv), jsonl for a line of JSON for each image (predictions.jsonl). All have the names of the
            keypoints and the sizes of the images. parquet writes parts of some images each, as an engine does.
        out: Folder for the results and the pictures; for parts also an address, such as s3://bucket/found.
        yes: Get blazepose_full without asking, where no model is given and poise was installed without its own.
    """
    boxes.check()
    check_number("--min-score", minimum.min_score)
    keypoints.check()
    photos.check()
    engine.check()
    if not sources:
        raise InputError("no images were given; name files, folders or patterns")
    if model is None and not (yes or sys.stdin.isatty() or cache.default_place().is_file()):
        raise InputError(cache.no_default())
    if video.as_video or any(is_video(source) for source in sources):
        if len(sources) != 1:
            raise InputError(f"one video at a time: found {len(sources)} sources; give the video alone")
        if boxes.boxes is not None:
            raise InputError("--boxes are those of photographs; in a video --detector finds people")
        photos.refuse_for_videos()
        refuse({"--engine": engine.engine, "--part": part}, why="a video is worked on in order, by one process")
        from poise.cli._video import predict_video

        def adjust(network: "PoseModel") -> None:
            decoding.adjust(network, detection)
            crop.adjust(network, boxes=boxes.detector is not None, video=True)
            keypoints.adjust(network)

        return predict_video(
            sources[0],
            model=model,
            boxes=boxes,
            adjust=adjust,
            read_as=str((decoding, detection, crop, keypoints)),
            min_score=minimum.min_score,
            running=running,
            video=video,
            out=out,
            yes=yes,
        )
    video.refuse_for_photographs()
    from poise.cli._photos import PhotoFlags, predict_photos

    flags = PhotoFlags(
        model=model,
        boxes=boxes,
        minimum=minimum,
        keypoints=keypoints,
        decoding=decoding,
        detection=detection,
        crop=crop,
        running=running,
        photos=photos,
        engine=engine,
        resume=video.resume,
        format=format,
        out=out,
        yes=yes,
    )
    if engine.engine is None and format != "parquet" and not any(map(address_of, sources)) and not address_of(out):
        refuse({"--part": part}, why="there are no parts without --engine ray, --format parquet or an address")
        return predict_photos(sources, flags)
    from poise.cli._fleet import predict_parts
    from poise.inference.parts import IMAGES

    return predict_parts(sources, flags, images_of_part=part or IMAGES)
