"""What the view alone changes: one trained network, the official BlazePose, shown the same labelled people in several views.

    poise get blazepose_full
    python benchmarks/aligned_views.py --annotations annotations.json --images images

Nothing is trained. Views are square; "circle" is made from labelled hips and shoulders, from the box where these lack, as in
training (`--align`). Each row has AP of everybody, and with and without the people who lack the alignment, as
`poise evaluate --alignment` prints them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from torch import Tensor

from poise.analysis.alignment import alignment_scores
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models import blazepose as kind
from poise.models.blaze_pipeline import regions_in_boxes
from poise.skeletons.alignment import BodyAxis, alignment_points, box_points
from poise.structures import CropRule
from poise.transforms.aligned_crop import AlignedPreprocess, circle_frame
from poise.transforms.crop import Frame
from poise.weights.cache import located
from poise.weights.model_file import load

SIZE = (256, 256)
Regions = Callable[..., list[Frame]]


def points_by_box(eval_set: EvalSet, rule: CropRule) -> dict[tuple[float, ...], Tensor]:
    """The alignment of each labelled person, by the numbers of the box."""
    found: dict[tuple[float, ...], Tensor] = {}
    for index in range(len(eval_set.dataset)):
        image = eval_set.labelled(index, rule)
        labels = image.labels.select(torch.tensor(image.people, dtype=torch.int64))
        points, usable = alignment_points(labels.xy, labels.visible, eval_set.skeleton, BodyAxis())
        every = torch.where(usable[:, None, None], points, box_points(image.boxes))
        found |= {key(box): pair for box, pair in zip(image.boxes, every, strict=True)}
    return found


def key(box: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in box.tolist())


def by_label(points: dict[tuple[float, ...], Tensor], *, rotate: bool, padding: float) -> Regions:
    """The circle of the labelled body."""
    rule = AlignedPreprocess(padding=padding, rotate=rotate)
    return lambda _, __, boxes, **___: [circle_frame(rule, points[key(box)], size=SIZE) for box in boxes]


def by_box(padding: float) -> Regions:
    """The upright square around the box."""
    rule = AlignedPreprocess(padding=padding, rotate=False)
    return lambda _, __, boxes, **___: [circle_frame(rule, points, size=SIZE) for points in box_points(boxes)]


def main(annotations: Path, images: Path, model: Path = Path("blazepose_full")) -> None:
    """Measure every view.

    Args:
        annotations: COCO-style keypoint file.
        images: Folder of its images.
        model: A BlazePose.
    """
    net = load(located(model))
    assert isinstance(net, kind.BlazePose)
    eval_set = EvalSet.of_file(annotations, images, skeleton=net.skeleton)
    points, detected = points_by_box(eval_set, net.crop_rule), regions_in_boxes
    ways: dict[str, tuple[Regions, int]] = {
        "circle, turned, padding 1.25": (by_label(points, rotate=True, padding=1.25), 1),
        "circle, not turned, padding 1.25": (by_label(points, rotate=False, padding=1.25), 1),
        "circle, turned, padding 1": (by_label(points, rotate=True, padding=1.0), 1),
        "circle, turned, padding 1.75": (by_label(points, rotate=True, padding=1.75), 1),
        "upright box, padding 1.25": (by_box(1.25), 1),
        "upright box, padding 1.75": (by_box(1.75), 1),
        "upright box, padding 1.25, 2 passes": (by_box(1.25), 2),
        "detector in the box, 2 passes": (detected, 2),
    }
    print("| view | AP | AP50 | predictions filtered | both filtered | masked | ceiling |\n|" + "---|" * 7)
    for name, (regions, passes) in ways.items():
        setattr(kind, "regions_in_boxes", regions)  # noqa: B010  # the model looks it up there
        net.preprocess = replace(net.preprocess, passes=passes)
        found = evaluate(net, eval_set, InferenceSettings.of(net, workers=0))
        scores = alignment_scores(eval_set, found, BodyAxis())
        columns = [scores.everybody.numbers["AP"], scores.everybody.numbers["AP50"]]
        columns += [one.numbers["AP"] for one in (scores.filtered_predictions, scores.filtered, scores.masked)]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in (*columns, scores.ceiling)) + " |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
