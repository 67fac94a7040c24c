"""`poise evaluate`: the COCO protocol and PCK."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Model = Annotated[Path, arg(metavar="FILE")]
_File = Annotated[Path, arg(metavar="FILE")]
_Images = Annotated[Path | None, arg(metavar="DIR")]
_Boxes = Annotated[str | None, arg(metavar="gt|FILE")]
_Detector = Annotated[str | None, arg(metavar="FILE|NAME")]
_Score = Annotated[float | None, arg(metavar="T")]
_Nms = Annotated[str | None, arg(metavar="T|off")]
_Out = Annotated[Path | None, arg(metavar="FILE.json|FILE.mat")]
_Heads = Annotated[Path | None, arg(metavar="FILE.mat")]
_Report = Annotated[Path | None, arg(metavar="FILE.html")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]
_Preset = Annotated[str | None, arg(metavar="practitioner|release")]
_Options = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
_Scales = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]


def run(
    model: Positional[_Model],
    *,
    annotations: _File,
    images: _Images = None,
    boxes: _Boxes = None,
    detector: _Detector = None,
    min_box_score: _Score = None,
    min_keypoint_score: _Score = None,
    oks_nms: _Nms = None,
    heads: _Heads = None,
    flip: bool = True,
    reading: _Name = None,
    preset: _Preset = None,
    codec_set: _Options = (),
    detecting_set: _Options = (),
    side: _Number = None,
    scales: _Scales = (),
    out: _Out = None,
    report: _Report = None,
    self_test: bool = False,
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: _Number = None,
    pad_batches: bool = False,
) -> int:
    """Measure a model: the ten numbers of COCO's protocol, PCK, every keypoint; the last lines are a row to copy.

    Keypoints of the file are found in the model by name. OKS uses the sigmas of the file's skeleton. For MPII's JSON the last
    table is PCKh; everybody in the file is looked for, labelled or not. Models that look at whole images see all of them, and
    whom they find where nobody is labelled is wrong. Of a detector without keypoints the boxes alone are measured.

    For example:

        poise evaluate model.safetensors --annotations person_keypoints_val2017.json --images val2017
        poise evaluate model.safetensors --annotations annotations.json --images images --report report.html
        poise evaluate model.safetensors --annotations valid.json --images images --heads gt_val.mat --out pred.mat
        poise evaluate model.safetensors --annotations valid.json --images images --detector fasterrcnn_resnet50_fpn_v2
        poise evaluate scenes.safetensors --annotations annotations.json --images images --reading cell --scales 0.5 1 2

    Args:
        model: Model file.
        annotations: COCO-style keypoint file, or MPII's list of people with center and scale.
        images: Folder or zip file of its images.
        boxes: Where to look: "gt" for the labelled boxes (the default), or a detector's JSON list of image_id, category_id,
            bbox, score. Models that look at whole images take none.
        detector: Finds the boxes: a model file, such as a Keypoint or Faster R-CNN, or the name of one of torchvision's
            detectors, such as fasterrcnn_resnet50_fpn_v2 (`poise detect --help` names more). Its boxes get a table, too.
        min_box_score: Boxes that a detector is less sure of are left out.
        min_keypoint_score: Keypoints above it make the score of a pose; by default as the model's release does.
        oks_nms: Of two poses nearer than this OKS the better one stays, or "off"; by default as the model's release does.
        flip: Average with the mirrored view, where the model does that; twice the time.
        reading: How positions are read from the maps: cell, quarter, dark, udp, fit3, fit5, soft, centre; votes where there
            are vectors; of whole images fast, upsampled, bilinear, cell, quarter, dark, fit1, fit2, fit1-sigma, fit2-sigma; of
            detectors that learnt cells peak, blurred; by default as the model's own codec does.
        preset: Numbers with which people are read out of whole images: practitioner or release.
        codec_set: Fields of the codec, such as reading.threshold=0.06 reading.top_k=32.
        detecting_set: How a detector finds and ranks people, such as suppression=soft or nms=0.6 (docs/concepts/detectors.md).
        side: Pixels that the side which is fitted of a whole image gets: the long one, or the short one where a detector's
            release has it so; by default as the model has it.
        scales: Factors on it; of several the answers are averaged, and detectors join the people they find in each.
        heads: MPII's head boxes: gt_val.mat of the usual archives, or MPII's own .mat; a column `head_box` of the JSON will do.
        out: Write the poses in COCO's result format, and beside it the scores and what they depend on, in a file that ends in
            .scores.json, and the boxes of a model or detector that found them, in one that ends in .boxes.json; for MPII, a
            name in .mat is written as people submit it.
        report: Write one page: tables, precision and recall, errors by kind and what each costs, best and worst pictures.
        self_test: Use no network: labels go through crop, encoding and decoding and back. AP is 1 but for what the codec costs.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
        batch: People at a time (32), or whole images (4; 2 for detectors).
        workers: Threads that read images (2).
        pad_batches: Fill views of whole images up to the largest of their batch, so that images of mixed shapes share it:
            faster on a GPU, and answers then depend a little on the company.
    """
    from contextlib import ExitStack
    from functools import partial

    from rich.console import Console

    from poise.analysis.sigmas import ap_at_other_sigmas, measured_by_coco
    from poise.cli._boxes import evaluate_boxes_of, only_boxes
    from poise.cli._decoder import adjust, only_for_views
    from poise.cli._detector import boxes_in, check_least, needs_boxes, only_one
    from poise.cli._flags import WORKERS, check_number, refuse, threshold
    from poise.cli._report import places, settings, what
    from poise.cli._scores import print_cost, print_evaluation, say, with_bar
    from poise.cli._written import Files, write_evaluation
    from poise.codecs.decoders import decoder, described
    from poise.errors import InputError
    from poise.evaluation.boxes import detections
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.evaluate import evaluate
    from poise.evaluation.self_test import self_test as test_codec
    from poise.inference.detect import detector_of
    from poise.inference.settings import InferenceSettings
    from poise.inference.write import results_folder
    from poise.models.base import PoseModel, Rescoring, require_image
    from poise.weights.model_file import load

    console = Console()
    files = Files(model, annotations, images, out, report)
    files.check(reads=(boxes, heads))
    check_number("--min-keypoint-score", min_keypoint_score)
    rated: dict[str, object] = {"--boxes": boxes, "--detector": detector, "--min-keypoint-score": min_keypoint_score}
    scored = {"--min-box-score": min_box_score}
    if self_test:
        found_by = rated | scored | {"--oks-nms": oks_nms, "--detecting-set": detecting_set, "--no-flip": not flip}
        run_on = {"--device": device, "--precision": precision, "--batch": batch, "--workers": workers}
        refuse(found_by | run_on | {"--pad-batches": pad_batches}, why="--self-test asks no network and looks for nobody")
    elif images is None:
        raise InputError("there are no images to look at; give their folder or zip file with --images")
    only_one(boxes, detector)
    check_least("--min-box-score", min_box_score)
    least, threads = min_box_score or 0.0, WORKERS if workers is None else workers
    network = require_image(load(model))
    adjust(network, reading=reading, numbers=preset, options=codec_set, config=detecting_set, side=side, scales=scales)
    setting_of = partial(
        InferenceSettings.of,
        device=device,
        precision=precision,
        flip=None if flip else False,
        batch=batch,
        workers=threads,
        pad_batches=pad_batches and detector is None,  # with a detector it is the detector that sees whole images
    )
    if not isinstance(network, PoseModel):
        only_boxes(network, rated | {"--oks-nms": oks_nms, "--heads": heads, "--report": report, "--self-test": self_test})
        return evaluate_boxes_of(console, network, setting_of(network), files, min_score=least)
    only_for_views(network, rated | scored)
    needs_boxes(min_box_score, boxes, detector)
    eval_set = EvalSet.of_file(annotations, images, skeleton=network.skeleton, heads=heads)
    if files.submitted and eval_set.protocol.submission is None:
        raise InputError(f"{str(out)!r}: results are written as .mat for MPII's JSON alone; end the name in .json")
    with ExitStack() as folders:
        for file in (out, report):
            if file is not None:
                folders.enter_context(results_folder(file.parent))
        box_source = network.card.name
        how: dict[str, str] = {"self-test": "labels through crop and codec; no image is read, no network asked"}
        if self_test:
            test = test_codec(network, eval_set)
            evaluation = test.evaluation
            print_cost(console, test)
        else:
            setting = setting_of(network)
            release = network.rescoring
            rating = Rescoring(
                release.min_keypoint_score if min_keypoint_score is None else min_keypoint_score,
                release.oks_nms if oks_nms is None else threshold("--oks-nms", oks_nms),
            )
            found = None if boxes in (None, "gt") else detections(str(boxes), eval_set, min_score=least)
            looked = None
            if detector is not None:
                finder = detector_of(detector, device=device, precision=precision, workers=threads, pad_batches=pad_batches)
                looked = boxes_in(console, eval_set, finder, min_score=least)
                found, box_source = looked.boxes, looked.detector
            where = places(network, found, boxes if looked is None else looked.detector)
            how = settings(setting, rating, boxes=where)
            flips = "on" if setting.flip else "off"
            say(
                console,
                f"{where}, flip test {flips}, read by {described(network.codec)}, {setting.device} in {setting.precision}",
            )
            evaluation = evaluate(network, eval_set, setting, rescoring=rating, boxes=found, watch=with_bar)
            evaluation = evaluation if looked is None else looked.judged(evaluation, eval_set)
        name = "labels through the codec" if self_test else f"{network.card.name}, {decoder(network.codec)}"
        how = what(network, model=model, annotations=annotations, images=images) | how
        write_evaluation(console, files, eval_set, evaluation, name=name, how=how, pictures=not self_test)
    others = {} if measured_by_coco(eval_set) else ap_at_other_sigmas(eval_set, evaluation.results)
    print_evaluation(console, evaluation, name=name, boxes=box_source, sigmas=others)
    for text in eval_set.protocol.tables(evaluation.positions, name=name):
        say(console, text)
    return 0
