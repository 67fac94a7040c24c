"""`poise detect`: boxes of people on photographs, as a detection file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from poise.cli._flags import check_confidence, check_out
from poise.cli._inputs import DETECTOR, SOURCE
from poise.cli.options import DetectionOptions, MinScoreOptions, OptionalImageFolderOptions, PaddedRunOptions
from poise.errors import InputError
from poise.weights.cache import PEOPLE_DETECTOR, shipped

if TYPE_CHECKING:
    from poise.terminal import Console

Sources = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]"), SOURCE]
DetectorName = Annotated[str | None, arg(metavar="FILE|NAME"), DETECTOR]
JsonFile = Annotated[Path, arg(metavar="FILE.json")]
Pictures = Annotated[Path | None, arg(metavar="DIR")]


def run(
    sources: Positional[Sources],
    *,
    detector: DetectorName = None,
    files: OptionalImageFolderOptions,
    minimum: MinScoreOptions,
    detection: DetectionOptions,
    running: PaddedRunOptions,
    out: JsonFile = Path("detections.json"),
    min_area: Annotated[float, arg(metavar="PX2")] = 0.0,
    pictures: Pictures = None,
) -> int:
    """Find the boxes of people; writes the usual detection file.

    That is rows of image_id, category_id, bbox (x, y, width, height) and score, as `poise evaluate --boxes` and
    `poise predict --boxes` read it. Detectors with masks (Mask R-CNN) also write `segmentation`, the mask of each box as COCO's
    run lengths. Torchvision's detectors are used as they were published, in fp32.

    For example:

        poise detect photos

        poise detect photos holiday/*.jpg --detector fasterrcnn_resnet50_fpn_v2 --out detections.json

        poise detect photos --detector rtmdet_m --out detections.json

        poise detect photos --detector maskrcnn_resnet50_fpn_v2 --pictures drawn --out masks.json

        poise detect person_keypoints_val2017.json --images val2017 --detector keypoint_rcnn.safetensors --out detections.json

    Args:
        sources: Image files, folders, or patterns in quotes: ids are the numbers in the files' names, else they count
            from 1, and rows also have file_name. Or one annotation file, whose images and ids are used.
        detector: A model file that finds boxes, as Keypoint, Faster and Mask R-CNN do; the name of a model of `poise get`, such
            as rtmdet_m or blazepose_detector; or that of one of torchvision's detectors, whose weights are downloaded:
            fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2, fasterrcnn_mobilenet_v3_large_320_fpn,
            retinanet_resnet50_fpn_v2, fcos_resnet50_fpn, ssdlite320_mobilenet_v3_large, keypointrcnn_resnet50_fpn, and others.
            By default poise_people_detector, which comes with poise.
        files: Images of an annotation file.
        minimum: Minimum scores.
        detection: How people are found in images.
        running: How the detector is run.
        out: File to write.
        min_area: Boxes of a smaller area (square pixels of the image) are left out.
        pictures: Folder for pictures of boxes and masks.
    """
    check_out("--out", out, ends=(".json", ""))
    check_confidence("--min-score", minimum.min_score)
    annotated, category = len(sources) == 1 and sources[0].lower().endswith(".json"), 1
    sizes = {}
    if annotated and files.images is None:
        raise InputError(f"the images of {sources[0]!r} are needed; give their folder or zip file with --images")
    if files.images is not None and not annotated:
        raise InputError("--images is for one annotation file; of images themselves files, folders or patterns are enough")
    from poise.cli._print import counted, print_skipped, say, with_bar
    from poise.evaluation.boxes import images_of
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.box_pictures import BoxPictures
    from poise.inference.detect import ModelDetector, detect, rows
    from poise.inference.request import Skipped
    from poise.inference.row_file import RowFile
    from poise.inference.sources import find_images, requests_of
    from poise.inference.write import results_folder
    from poise.skeletons import COCO17
    from poise.terminal import Console
    from poise.zoo.rcnn.torchvision_detectors import names

    detector = detector or _own_detector(Console(stderr=True))
    if detector in names():  # before its weights are downloaded
        detection.refuse_for_torchvision(detector)
    if annotated:
        eval_set = EvalSet.of_file(sources[0], files.images, skeleton=COCO17)
        requests = images_of(eval_set)
        category = next(iter(eval_set.skeletons)) if len(eval_set.skeletons) == 1 else 1
        sizes = {image: size for row, image in enumerate(eval_set.ids) if (size := eval_set.known_size(row))}
    else:
        requests = requests_of(find_images(sources), None)
    finder = running.detector(detector, batch=running.batch)
    if isinstance(finder, ModelDetector):
        detection.adjust_detector(finder)
    finder.masks = True
    drawings = None if pictures is None else BoxPictures(pictures, requests)
    skipped: list[Skipped] = []
    with results_folder(out.parent), RowFile(out) as written:

        def watch(stream: Iterable[Any], total: int) -> Iterator[Any]:
            for one in with_bar(stream, total):
                kept = one.confident(minimum.min_score).large(min_area)
                written.add(rows([kept], category=category, named=not annotated, sizes=sizes))
                if drawings is not None:
                    drawings.add(kept)
                yield one

        found = detect(finder, requests, min_score=minimum.min_score, skipped=skipped, watch=watch)
    console = Console()
    print_skipped(console, skipped, "they have no boxes" if len(skipped) > 1 else "it has no boxes")
    empty = sum(not len(one.large(min_area).boxes) for one in found)
    if empty:
        say(console, f"{counted(empty, 'image')} without anybody")
    boxes = f"{counted(written.count, 'box', 'boxes')} of {finder.nouns[1]}"
    say(console, f"{boxes} in {counted(len(found), 'image')} by {finder.name}: {out}")
    return 0


def _own_detector(console: "Console") -> str:
    """The detector that comes with poise.

    Raises:
        InputError: poise was installed without it.
    """
    if shipped(PEOPLE_DETECTOR) is None:
        raise InputError("no detector was given, and poise was installed without its own; name one with --detector FILE|NAME")
    from poise.terminal import say

    say(console, f"no detector was given: it is {PEOPLE_DETECTOR}, which comes with poise; --detector takes another")
    return PEOPLE_DETECTOR
