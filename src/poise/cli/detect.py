"""`poise detect`: where people are on photographs, as a file of boxes."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Sources = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]")]
_Detector = Annotated[str, arg(metavar="FILE|NAME")]
_Images = Annotated[Path | None, arg(metavar="DIR")]
_Out = Annotated[Path, arg(metavar="FILE.json")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]
_Options = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
_Scales = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]


def run(
    sources: Positional[_Sources],
    *,
    detector: _Detector,
    images: _Images = None,
    min_score: float = 0.0,
    detecting_set: _Options = (),
    side: _Number = None,
    scales: _Scales = (),
    out: _Out = Path("detections.json"),
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: int = 2,
    pad_batches: bool = False,
) -> int:
    """Find the boxes of people; writes the usual detection file.

    That is rows of image_id, category_id, bbox (x, y, width, height) and score, as `poise evaluate --boxes` and
    `poise predict --boxes` read it.

    For example:

        poise detect photos holiday/*.jpg --detector fasterrcnn_resnet50_fpn_v2 --out detections.json

        poise detect person_keypoints_val2017.json --images val2017 --detector keypoint_rcnn.safetensors --out detections.json

    Args:
        sources: Image files, folders, or patterns in quotes: ids are the numbers the files are called, else they are counted
            from 1, and rows also have file_name. Or one annotation file, whose images and ids are taken.
        detector: A model file that finds boxes, as Keypoint, Faster and Mask R-CNN do; or the name of one of torchvision's
            detectors, whose weights are downloaded: fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2,
            fasterrcnn_mobilenet_v3_large_320_fpn, retinanet_resnet50_fpn_v2, fcos_resnet50_fpn,
            ssdlite320_mobilenet_v3_large, keypointrcnn_resnet50_fpn, and others.
        images: Folder or zip file of the images of an annotation file.
        min_score: Boxes that the detector is less sure of are left out.
        detecting_set: How the detector of a model file finds people, such as suppression=soft or nms=0.6
            (docs/concepts/detectors.md).
        side: Pixels that the side which is fitted of an image gets: the long one, or the short one where the detector's release
            has it so; by default as the model file has it.
        scales: Factors on it; people found in any of several are joined.
        out: File to write.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster; fp32 for torchvision's detectors.
        batch: Images at a time; torchvision's detectors see one.
        workers: Threads that read images.
        pad_batches: Fill views of whole images up to the largest of their batch, so that images of mixed shapes share it:
            faster on a GPU, and answers then depend a little on the company.
    """
    from rich.console import Console

    from poise.cli._decoder import adjust_detector
    from poise.cli._detector import check_least
    from poise.cli._flags import refuse
    from poise.cli._out import check_out
    from poise.cli._scores import counted, print_skipped, say, with_bar
    from poise.errors import InputError
    from poise.evaluation.boxes import images_of
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.detect import ModelDetector, detect, detector_of, rows
    from poise.inference.request import Skipped
    from poise.inference.sources import find_images, requests_of
    from poise.inference.write import results_folder, write_json
    from poise.skeletons import COCO17
    from poise.zoo.rcnn.torchvision_detectors import names

    console = Console()
    check_out("--out", out, ends=(".json", ""), reads=(*sources, detector))
    check_least("--min-score", min_score)
    if detector in names():  # before its weights are downloaded
        refuse(
            {"--detecting-set": detecting_set, "--side": side, "--scales": scales},
            why=f"{detector} is torchvision's and used as it was published, unlike a file that `poise import` made",
        )
    annotated = len(sources) == 1 and sources[0].lower().endswith(".json")
    if annotated and images is None:
        raise InputError(f"the images of {sources[0]!r} are needed; give their folder or zip file with --images")
    if images is not None and not annotated:
        raise InputError("--images is for one annotation file; of images themselves files, folders or patterns are enough")
    category = 1
    if annotated:
        eval_set = EvalSet.of_file(sources[0], images, skeleton=COCO17)
        requests = images_of(eval_set)
        category = next(iter(eval_set.skeletons)) if len(eval_set.skeletons) == 1 else 1
    else:
        requests = requests_of(find_images(sources), None)
    finder = detector_of(detector, device=device, precision=precision, batch=batch, workers=workers, pad_batches=pad_batches)
    if isinstance(finder, ModelDetector):
        adjust_detector(finder, config=detecting_set, side=side, scales=scales)
    skipped: list[Skipped] = []
    with results_folder(out.parent):
        found = detect(finder, requests, min_score=min_score, skipped=skipped, watch=with_bar)
        written = rows(found, category=category, named=not annotated)
        write_json(written, out)
    print_skipped(console, skipped, "they have no boxes" if len(skipped) > 1 else "it has no boxes")
    without = sum(not len(one.boxes) for one in found)
    if without:
        say(console, f"{counted(without, 'image')} without anybody")
    say(console, f"{counted(len(written), 'box', 'boxes')} of people in {counted(len(found), 'image')} by {finder.name}: {out}")
    return 0
