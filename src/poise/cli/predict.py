"""`poise predict`: keypoints on photographs."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Sources = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]")]
_Model = Annotated[Path | None, arg(metavar="FILE")]
_Boxes = Annotated[Path | None, arg(metavar="FILE")]
_Detector = Annotated[str | None, arg(metavar="FILE|NAME")]
_Score = Annotated[float | None, arg(metavar="T")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]
_Preset = Annotated[str | None, arg(metavar="practitioner|release")]
_Options = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
_Scales = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]


def run(
    sources: Positional[_Sources],
    *,
    model: _Model = None,
    boxes: _Boxes = None,
    detector: _Detector = None,
    min_box_score: _Score = None,
    min_score: float = 0.0,
    reading: _Name = None,
    preset: _Preset = None,
    codec_set: _Options = (),
    detecting_set: _Options = (),
    side: _Number = None,
    scales: _Scales = (),
    out: Path = Path("poise-predictions"),
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: int = 2,
    pad_batches: bool = False,
) -> int:
    """Find keypoints on images; writes predictions.json and the images with the people drawn on them.

    For example:

        poise predict photos holiday/*.jpg --model model.safetensors --boxes detections.json --out found

        poise predict photos --model model.safetensors --detector fasterrcnn_resnet50_fpn_v2

        poise predict photos --model scenes.safetensors --preset release

    Args:
        sources: Image files, folders, or patterns in quotes.
        model: Model file.
        boxes: A detector's JSON list of image_id, bbox (x, y, width, height), score; rows may have file_name, else the images'
            names are the ids. Without it every image is one person. Models that look at whole images take none.
        detector: Finds the boxes: a model file, such as a Keypoint or Faster R-CNN, or the name of one of torchvision's
            detectors, such as fasterrcnn_resnet50_fpn_v2 (`poise detect --help` names more).
        min_box_score: Boxes with a lower score are left out; by default 0.3 for those of a detector, or of a model that
            finds boxes by itself, and 0 for those of a file.
        min_score: People with a lower score are left out.
        reading: How positions are read from the maps: cell, quarter, dark, udp, fit3, fit5, soft, centre; votes where there
            are vectors; of whole images fast, upsampled, bilinear, cell, quarter, dark, fit1, fit2, fit1-sigma, fit2-sigma; of
            detectors that learnt cells peak, blurred; by default as the model's own codec does.
        preset: Numbers with which people are read out of whole images: practitioner or release.
        codec_set: Fields of the codec, such as reading.threshold=0.06 reading.top_k=32.
        detecting_set: How a detector finds and ranks people, such as suppression=soft or nms=0.6 (docs/concepts/detectors.md).
        side: Pixels that the side which is fitted of a whole image gets: the long one, or the short one where a detector's
            release has it so; by default as the model has it.
        scales: Factors on it; of several the answers are averaged, and detectors join the people they find in each.
        out: Folder for the results.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
        batch: People at a time (32), or whole images (4; 2 for detectors).
        workers: Threads that read images.
        pad_batches: Fill views of whole images up to the largest of their batch, so that images of mixed shapes share it:
            faster on a GPU, and answers then depend a little on the company.
    """
    from rich.console import Console

    from poise.cli._decoder import adjust, only_for_views
    from poise.cli._detector import LEAST, boxes_on, check_least, needs_boxes, only_one
    from poise.cli._flags import check_number
    from poise.cli._scores import counted, lost, print_skipped, say, with_bar
    from poise.codecs.decoders import described
    from poise.errors import BoxError, ImageError, InputError
    from poise.inference.detect import detector_of
    from poise.inference.request import Skipped, none_usable
    from poise.inference.settings import InferenceSettings
    from poise.inference.sources import boxes_of, find_images, requests_of
    from poise.inference.stream import find_poses
    from poise.inference.write import Writer, results_folder
    from poise.models.base import require_pose
    from poise.weights.model_file import load

    if model is None:
        raise InputError(
            "no model was given; `poise demo` and `poise train` make one, `poise import NAME CHECKPOINT` turns an official "
            "checkpoint into one (`poise zoo` lists them). Then: poise predict SOURCE --model FILE.safetensors"
        )
    console = Console()
    only_one(boxes, detector)
    check_least("--min-box-score", min_box_score)
    check_number("--min-score", min_score)
    images = find_images(sources, without=out)
    where = None if boxes is None else boxes_of(boxes, images, min_score=min_box_score or 0.0)
    network = require_pose(load(model))
    boxed = network.finds_boxes
    only_for_views(network, {"--boxes": boxes, "--detector": detector, "--min-box-score": None if boxed else min_box_score})
    if not boxed:
        needs_boxes(min_box_score, boxes, detector)
    adjust(network, reading=reading, numbers=preset, options=codec_set, config=detecting_set, side=side, scales=scales)
    padded = pad_batches and detector is None  # with a detector it is the detector that sees whole images
    setting = InferenceSettings.of(
        network, device=device, precision=precision, batch=batch, workers=workers, pad_batches=padded
    )
    skipped: list[Skipped] = []
    least = LEAST if min_box_score is None else min_box_score
    if detector is not None:
        finder = detector_of(detector, device=device, precision=precision, workers=workers, pad_batches=pad_batches)
        where = boxes_on(finder, images, min_score=least, skipped=skipped)
    requests = requests_of(images, where)
    before = len(skipped)
    with results_folder(out) as folder:
        own = least if boxed else 0.0
        writer = Writer(folder, network, images, where, min_score=min_score, min_box_score=own)
        for found in with_bar(find_poses(network, requests, setting, skipped=skipped), len(requests)):
            writer.add(found)
        if len(skipped) - before == len(requests):
            raise ImageError(none_usable(skipped))
        if not writer.looked_into and writer.lost_boxes:
            raise BoxError(f"{lost(writer.lost_boxes)}; expected `bbox` as x, y, width, height in pixels of these images")
        path = writer.finish()
    print_skipped(console, skipped, "nothing was written for it" if len(skipped) == 1 else "nothing was written for them")
    if len(requests) + before < len(images):
        say(console, f"{counted(len(images) - len(requests) - before, 'image')} without boxes; nobody was looked for there")
    if writer.lost_boxes:
        say(console, lost(writer.lost_boxes))
    people, looked = len(writer.rows), counted(len(requests) + before - len(skipped), "image")
    say(console, f"read by {described(network.codec)}")
    say(console, f"{people} {'person' if people == 1 else 'people'} in {looked}: {path} and pictures beside it")
    return 0
