"""`poise evaluate`: the COCO protocol and PCK."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import given, refuse, refuse_given
from poise.cli._inputs import HEADS
from poise.cli.options import (
    BoxOptions,
    CropOptions,
    DecodingOptions,
    DetectionOptions,
    EvalFilesOptions,
    EvalOutputOptions,
    EvalRunOptions,
    ModelFile,
    RescoringOptions,
)
from poise.cli.options.engine import EngineOptions
from poise.errors import InputError
from poise.metrics.measure_names import parse_further, parse_measures

MatFile = Annotated[Path | None, arg(metavar="FILE.mat"), HEADS]
PCKs = Annotated[tuple[str, ...], arg(metavar="THRESHOLD:UNIT,...")]
Further = Annotated[tuple[str, ...], arg(metavar="MEASURE,...")]


def run(
    model: Positional[ModelFile],
    *,
    files: EvalFilesOptions,
    boxes: BoxOptions,
    scoring: RescoringOptions,
    decoding: DecodingOptions,
    detection: DetectionOptions,
    crop: CropOptions,
    output: EvalOutputOptions,
    running: EvalRunOptions,
    engine: EngineOptions,
    heads: MatFile = None,
    pck: PCKs = (),
    measure: Further = (),
    shared_keypoints: bool = False,
    self_test: bool = False,
    snapshots: bool = False,
) -> int:
    """Evaluate a model: the ten numbers of COCO's protocol, PCK, each keypoint; the last lines are a row to copy.

    Keypoints of the file are found in the model by name. OKS uses the sigmas of the file's skeleton. Annotations may also be
    MPII's list of people with center and scale: then the last table is PCKh, and all people in the file are predicted, labelled
    or not. Models for whole images are run on all of them, and people found where none are labelled are false positives. For
    a detector without keypoints only the boxes are measured.

    For example:

        poise evaluate model.safetensors --annotations person_keypoints_val2017.json --images val2017
        poise evaluate model.safetensors --annotations annotations.json --images images --report report.html
        poise evaluate model.safetensors --annotations valid.json --images images --heads gt_val.mat --out pred.mat
        poise evaluate model.safetensors --annotations valid.json --images images --detector fasterrcnn_resnet50_fpn_v2
        poise evaluate animals.safetensors --annotations annotations.json --images images --pck 0.05:map,0.1:image
        poise evaluate model.safetensors --annotations annotations.json --images images --oks-nms soft --measure auc,epe,f1:0.3
        poise evaluate scenes.safetensors --annotations annotations.json --images images --reading cell --scales 0.5 1 2
        poise evaluate runs/cpn --snapshots --annotations valid.json --images images --report epochs.html

    Args:
        model: Model file, or the name of a model of `poise get`; with --snapshots the folder of a run.
        files: Labels and images.
        boxes: Boxes of people.
        scoring: How poses are scored.
        decoding: How the network's outputs are read.
        detection: Sizes of whole images, and detection of people in them.
        crop: How boxes are cropped.
        output: Files to write.
        running: How the model is run.
        engine: Work on many machines, which must find the images at the same paths; a detector runs in this process.
        heads: MPII's head boxes: gt_val.mat of the usual archives, or MPII's own .mat; a column `head_box` of the JSON will do.
        pck: Also measure PCK by these thresholds and units, with a table of every keypoint, such as 0.2:torso,0.05:map. Units
            are box, torso, head, image (longer side), a number of pixels (30px), the distance of two keypoints
            (left_eye/right_eye) and map: the highest cell of each heatmap against the label's, in labelled
            boxes, over all people and, as the releases print it, over batches of 6.
        measure: Further measures, such as auc:30px,epe,nme:box,voc,f1:0.3 (docs/concepts/evaluation.md): area under the curve
            of PCK, mean error in pixels and in units of a size, AP by PASCAL VOC's rules (11 points and all), and precision,
            recall, F1 and the confusion matrix of results with a score of at least 0.3; f1 alone takes the score of the highest
            F1.
        shared_keypoints: Score the keypoints alone that the model finds, by name; others of the labels are left out, and told.
        self_test: Run no network: labels go through crop, encoding and decoding and back. AP is 1 but for what the codec costs.
            Of more than 10,000 people a random part is tested.
        snapshots: Evaluate the snapshots of a run (`poise train --snapshots`): a row for each and the curve of AP, or of PCKh
            on MPII; --out writes the scores, --report a page with the curve.
    """
    output.check()
    scoring.check()
    engine.check()
    measures, further = parse_measures(pck), parse_further(measure)
    if self_test:
        refuse({"--engine": engine.engine}, why="--self-test runs no network")
        unused = replace(detection, side=None, scales=())
        refuse_given(list(given(boxes, scoring, unused, running)), why="--self-test runs no network and looks for nobody")
    elif files.images is None:
        raise InputError("there are no images to look at; give their folder or zip file with --images")
    boxes.check()
    if snapshots:
        refused = {"--self-test": self_test, "--engine": engine.engine, "--shared-keypoints": shared_keypoints}
        refuse(refused, why="--snapshots runs the network of each snapshot on all keypoints")
        if output.submission:
            raise InputError(f"{str(output.out)!r}: scores of snapshots are written as JSON; end the name in .json")
        from poise.cli._evaluate import Measures
        from poise.cli._snapshots import SnapshotFlags, evaluate_snapshots
        from poise.terminal import Console

        every = SnapshotFlags(
            files=files,
            boxes=boxes,
            scoring=scoring,
            decoding=decoding,
            detection=detection,
            crop=crop,
            output=output,
            running=running,
            heads=heads,
            measures=Measures(measures, further),
        )
        return evaluate_snapshots(Console(), model, every)
    if self_test and any(one.unit == "map" for one in measures):
        raise InputError("--self-test runs no network, so there are no maps to compare; leave map out of --pck")
    from poise.cli._evaluate import (
        Measures,
        folders_of,
        measure_codec,
        measure_poses,
        print_measured,
        sampled,
        with_measures,
        write_evaluation,
    )
    from poise.cli._evaluate_boxes import evaluate_detector
    from poise.cli._report import model_text
    from poise.evaluation.eval_set import EvalSet
    from poise.models.require import require_image, require_pose
    from poise.terminal import Console
    from poise.weights.model_file import load

    console = Console()
    found = require_image(load(model))
    decoding.adjust(found, detection)
    crop.adjust(found)
    if not found.finds_keypoints:
        flags = given(replace(boxes, min_box_score=None, min_area=0.0), scoring)
        flags |= {
            "--engine": engine.engine,
            "--heads": heads,
            "--report": output.report,
            "--pck": pck,
            "--self-test": self_test,
            "--shared-keypoints": shared_keypoints,
        }
        refuse(flags, why=f"{found.card.name} finds boxes in whole images and no keypoints")
        settings, minimum = running.settings_for(found), boxes.min_box_score or 0.0
        return evaluate_detector(
            console,
            found,
            settings,
            file=model,
            files=files,
            output=output,
            min_score=minimum,
            min_area=boxes.min_area,
            measures=further,
        )
    network = require_pose(found)
    boxes.check_for(network)
    scoring.check_for(network)
    eval_set = EvalSet.of_file(files.annotations, files.images, skeleton=network.skeleton, heads=heads, naming=files.naming)
    if shared_keypoints:
        eval_set = eval_set.shared_with(network.skeleton)
    if boxes.detector is not None or not network.takes_boxes:
        eval_set = eval_set.one_class(boxes.detector or network.card.name)
    eval_set = eval_set.at_least(boxes.min_area)
    if self_test:
        eval_set = sampled(console, eval_set)
    if output.submission and eval_set.protocol.submission is None:
        raise InputError(f"{str(output.out)!r}: results are written as .mat for MPII's JSON alone; end the name in .json")
    wanted = Measures(measures, further)
    wanted.check(eval_set, network)
    with folders_of(output):
        if self_test:
            measured = measure_codec(network, eval_set)
        else:
            cluster = engine.cluster(running.device)
            measured = measure_poses(console, network, eval_set, boxes=boxes, rescoring=scoring, run=running, cluster=cluster)
        measured = with_measures(console, measured, wanted, network, eval_set=eval_set, run=running)
        text = model_text(network, file=model, annotations=files.annotations, images=files.images)
        measured = replace(measured, text=text | dict(measured.text))
        write_evaluation(console, eval_set, measured, annotations=files.annotations, output=output, pictures=not self_test)
    print_measured(console, eval_set, measured)
    return 0
