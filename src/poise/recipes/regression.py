"""Coordinate regression on COCO, as MMPose trains it.

Plain regression (DeepPose, arXiv 1312.4659), with a deviation too (RLE without its flow, arXiv 2107.11291), and integral
regression (Sun et al.; ECCV 2018; arXiv 1711.08229).
"""

from pathlib import Path
from typing import Literal

from poise.codecs.integral import Integral
from poise.codecs.regression import Regression
from poise.recipes.base import Optimizer, Recipe
from poise.recipes.coco import HRNET_VIEWS, MMPOSE_STEPS, STRIDE, check2017, on_coco
from poise.skeletons import COCO17
from poise.structures import Preprocess
from poise.zoo.simple_baselines import poseresnet

Depth = Literal[18, 50, 101, 152]


def regression(
    *,
    data: Path,
    depth: Depth = 50,
    size: tuple[int, int] = (256, 192),
    penalty: Literal["smooth_l1", "l1", "laplace"] = "smooth_l1",
    pretrained: bool = True,
) -> Recipe:
    """Coordinates by a linear layer from each keypoint's map, on COCO: 210 epochs of Adam.

    For example:

        poise train regression --data coco --depth 50 --out runs/regression

    MMPose, whose networks have one average over all cells in place of the maps, reports AP 0.528 (ResNet-50), 0.562 (101) and
    0.584 (152) at 256x192 on COCO val2017, detector of person AP 56.4, flip test; ours keeps more of the place, and no score
    is promised. No practitioner's figures are known. MMPose trains on eight GPUs of 64 people.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        depth: Depth of the ResNet: 18, 50, 101 or 152.
        size: Height and width of the views.
        penalty: Loss of the distance; `laplace` learns a deviation too.
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    codec = Regression(size, (size[0] // STRIDE, size[1] // STRIDE), len(COCO17), penalty=penalty)
    return _run("regression", codec, data, depth, pretrained=pretrained)


def integral(
    *,
    data: Path,
    depth: Depth = 50,
    size: tuple[int, int] = (256, 256),
    map_weight: float = 1.0,
    pretrained: bool = True,
) -> Recipe:
    """Integral regression on COCO, the soft-argmax of each map: 210 epochs of Adam.

    For example:

        poise train integral --data coco --depth 50 --out runs/integral

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.633 (ResNet-50, 256x256), as MMPose trained it on
    eight GPUs of 64 people, there from the weights of a Simple Baseline (`--start`). No practitioner's figures are known.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        depth: Depth of the ResNet: 18, 50, 101 or 152.
        size: Height and width of the views.
        map_weight: Weight of the heatmap loss, beside that of the coordinates.
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    codec = Integral(size, (size[0] // STRIDE, size[1] // STRIDE), len(COCO17), map_weight=map_weight)
    score = 0.633 if (depth, size, map_weight, pretrained) == (50, (256, 256), 1.0, True) else None
    return _run("integral", codec, data, depth, pretrained=pretrained, score=score)


def _run(
    name: str, codec: Regression | Integral, data: Path, depth: Depth, *, pretrained: bool, score: float | None = None
) -> Recipe:
    return on_coco(
        name,
        poseresnet(depth, size=codec.size, codec=codec, preprocess=Preprocess(), pretrained=pretrained),
        data,
        epochs=210,
        batch=512,
        augmentation=HRNET_VIEWS,
        optimizer=Optimizer("adam", rate=5e-4),
        schedule=MMPOSE_STEPS,
        score=score,
    )
