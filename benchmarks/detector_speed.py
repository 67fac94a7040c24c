"""Images a second of Keypoint R-CNN with ResNet-50 and FPN: torchvision's own model and ours with the same weights.

    python benchmarks/detector_speed.py [--images 3] [--rounds 3] [--threads 2]

Drawings of 640x480, which both bring to 800x1067, one at a time, from their pixels to people: torchvision as it comes; ours in
float32, as eager as torchvision's; and ours in bfloat16, which `poise predict` takes by itself where the processor has it. All
run turn about in one process; the quickest round of each counts, so that neighbours on the machine disturb all alike. Weights
are drawn by chance, so that any proposal could be a person, and both give `--people` of them at most: 100 is the releases'
limit (some 70 are found), 5 what a photograph holds. Exit code 1 where ours is slower in float32, or less than 1.5 times as
fast in its best mode.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.models.detection import keypointrcnn_resnet50_fpn

import poise
from poise.data.figures import FigureDataset
from poise.models.base import PoseModel
from poise.models.require import require_keypoint_detector
from poise.zoo import import_release

WANTED = {"fp32": 1.0, "bf16": 1.5}


def both(people: int) -> tuple[torch.nn.Module, PoseModel]:
    """Both models, torchvision's and ours with the same weights, which give so many people at most."""
    torch.manual_seed(0)
    theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, box_detections_per_img=people).eval()
    ours = require_keypoint_detector(import_release("torchvision_keypoint_rcnn_r50_fpn", theirs.state_dict()))
    ours.config = replace(ours.config, per_image=people)
    return theirs, ours


def seconds(work: Callable[[Tensor], object], images: list[Tensor]) -> float:
    start = time.perf_counter()
    for image in images:
        work(image)
    return time.perf_counter() - start


def timed(people: int, images: list[Tensor], rounds: int) -> dict[str, float]:
    """Images a second of each, the quickest of all rounds."""
    theirs, ours = both(people)

    @torch.inference_mode()
    def published(image: Tensor) -> object:
        return theirs([image.float() / 255])

    def found(precision: str) -> Callable[[Tensor], object]:
        return lambda image: poise.predict(ours, image.permute(1, 2, 0), precision=precision)

    sides = {"torchvision": published} | {precision: found(precision) for precision in WANTED}
    turns = [{name: seconds(work, images) for name, work in sides.items()} for _ in range(rounds)]
    return {name: len(images) / min(turn[name] for turn in turns) for name in sides}


def main(*, images: int = 3, rounds: int = 3, threads: int = 2, people: tuple[int, ...] = (5, 100)) -> int:
    """Time all three and print the table.

    Args:
        images: Drawings in a round.
        rounds: How often each takes its turn.
        threads: Of the processor.
        people: How many each model gives at most, one row for each number.
    """
    torch.set_num_threads(threads)
    drawn = FigureDataset(images, size=(480, 640), per_image=(1, 5), seed=0)
    pixels = [drawn.image(row) for row in range(images)]
    shown = Table("people at most", "torchvision, images/s", "poise fp32", "times", "poise bf16", "times", "")
    good = True
    for many in people:
        speed = timed(many, pixels, rounds)
        ratio = {name: speed[name] / speed["torchvision"] for name in WANTED}
        passed = all(ratio[name] >= wanted for name, wanted in WANTED.items())
        cells = [part for name in WANTED for part in (f"{speed[name]:.3f}", f"{ratio[name]:.2f}")]
        shown.add_row(str(many), f"{speed['torchvision']:.3f}", *cells, "ok" if passed else "too slow")
        good = good and passed
    Console().print(shown)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
