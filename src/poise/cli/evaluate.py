"""`poise evaluate`: the COCO protocol and PCK."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import given, refuse, refuse_given
from poise.cli.options import (
    BoxOptions,
    DecodingOptions,
    DetectionOptions,
    EvalFilesOptions,
    EvalOutputOptions,
    EvalRunOptions,
    File,
    RescoringOptions,
)

MatFile = Annotated[Path | None, arg(metavar="FILE.mat")]


def run(
    model: Positional[File],
    *,
    files: EvalFilesOptions,
    boxes: BoxOptions,
    scoring: RescoringOptions,
    decoding: DecodingOptions,
    detection: DetectionOptions,
    output: EvalOutputOptions,
    running: EvalRunOptions,
    heads: MatFile = None,
    self_test: bool = False,
) -> int:
    """Measure a model: the ten numbers of COCO's protocol, PCK, every keypoint; the last lines are a row to copy.

    Keypoints of the file are found in the model by name. OKS uses the sigmas of the file's skeleton. Annotations may also be
    MPII's list of people with center and scale: then the last table is PCKh, and everybody in the file is looked for, labelled
    or not. Models that look at whole images see all of them, and people found where nobody is labelled are false positives. Of
    a detector without keypoints the boxes alone are measured.

    For example:

        poise evaluate model.safetensors --annotations person_keypoints_val2017.json --images val2017
        poise evaluate model.safetensors --annotations annotations.json --images images --report report.html
        poise evaluate model.safetensors --annotations valid.json --images images --heads gt_val.mat --out pred.mat
        poise evaluate model.safetensors --annotations valid.json --images images --detector fasterrcnn_resnet50_fpn_v2
        poise evaluate scenes.safetensors --annotations annotations.json --images images --reading cell --scales 0.5 1 2

    Args:
        model: Model file.
        files: Labels and images.
        boxes: Where people are.
        scoring: How poses are scored.
        decoding: How the network's outputs are read.
        detection: How whole images are seen, and people found in them.
        output: What is written.
        running: How the model is run.
        heads: MPII's head boxes: gt_val.mat of the usual archives, or MPII's own .mat; a column `head_box` of the JSON will do.
        self_test: Run no network: labels go through crop, encoding and decoding and back. AP is 1 but for what the codec costs.
    """
    from rich.console import Console

    from poise.cli._evaluate import evaluate_detector, folders_of, measure, measure_codec, print_measured, write_evaluation
    from poise.cli._report import model_text
    from poise.errors import InputError
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.requests import seen_by
    from poise.models.base import PoseModel, require_image
    from poise.weights.model_file import load

    console = Console()
    output.check(reads=(files.annotations, boxes.boxes, heads))
    scoring.check()
    if self_test:
        unused = replace(detection, side=None, scales=())
        refuse_given(list(given(boxes, scoring, unused, running)), why="--self-test runs no network and looks for nobody")
    elif files.images is None:
        raise InputError("there are no images to look at; give their folder or zip file with --images")
    boxes.check()
    network = require_image(load(model))
    decoding.adjust(network, detection)
    if not isinstance(network, PoseModel):
        flags = given(replace(boxes, min_box_score=None), scoring)
        flags |= {"--heads": heads, "--report": output.report, "--self-test": self_test}
        refuse(flags, why=f"{network.card.name} finds boxes in whole images and no keypoints")
        settings, minimum = running.settings_for(network), boxes.min_box_score or 0.0
        return evaluate_detector(console, network, settings, file=model, files=files, output=output, min_score=minimum)
    boxes.check_for(network)
    scoring.check_for(network)
    eval_set = EvalSet.of_file(files.annotations, files.images, skeleton=network.skeleton, heads=heads)
    eval_set = seen_by(network, eval_set)
    if output.submission and eval_set.protocol.submission is None:
        raise InputError(f"{str(output.out)!r}: results are written as .mat for MPII's JSON alone; end the name in .json")
    with folders_of(output):
        if self_test:
            measured = measure_codec(console, network, eval_set)
        else:
            measured = measure(console, network, eval_set, boxes=boxes, rescoring=scoring, run=running)
        text = model_text(network, file=model, annotations=files.annotations, images=files.images)
        measured = replace(measured, text=text | dict(measured.text))
        write_evaluation(console, eval_set, measured, annotations=files.annotations, output=output, pictures=not self_test)
    print_measured(console, eval_set, measured)
    return 0
