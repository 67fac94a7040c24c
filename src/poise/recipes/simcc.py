"""SimCC, once SimDR (Li et al.; ECCV 2022; arXiv 2107.03332), on COCO as MMPose trains it."""

from pathlib import Path
from typing import Literal

from poise.codecs.simcc import SimCC
from poise.models.base import PoseModel
from poise.recipes.base import Recipe
from poise.recipes.coco import BASELINE_STEPS, HRNET_VIEWS, MMPOSE_STEPS, STRIDE, check2017, on_coco
from poise.skeletons import COCO17
from poise.structures import Preprocess
from poise.zoo.hrnet import hrnet
from poise.zoo.simple_baselines import poseresnet

SCORES = {("poseresnet_50", (256, 192)): 0.721, ("poseresnet_50", (384, 288)): 0.735}
"""Published AP on COCO val2017 with a detector's boxes (person AP 56.4) and the flip test, from MMPose's pages."""

Net = Literal["poseresnet_18", "poseresnet_50", "poseresnet_101", "poseresnet_152", "hrnet_w18", "hrnet_w32", "hrnet_w48"]


def simcc(
    *,
    data: Path,
    network: Net = "poseresnet_50",
    size: tuple[int, int] = (256, 192),
    ratio: float = 2.0,
    sigma: float = 6.0,
    pretrained: bool = True,
) -> Recipe:
    """A vector of bins along each axis, on COCO: 210 epochs of Adam, 140 at 384x288.

    For example:

        poise train simcc --data coco --network poseresnet_50 --out runs/simcc

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.721 (ResNet-50, 256x192), 0.735 (384x288), as MMPose
    trained them on eight GPUs of 64 people (of 32 at 384x288). Neither is the paper's own code, nor are a practitioner's
    figures known. Labels are Gaussians of area 1, taken as distributions.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Simple Baselines or HRNet; the vectors are read linearly off each keypoint's map.
        size: Height and width of the views.
        ratio: Bins a pixel.
        sigma: Width of the labels' Gaussians, bins.
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    large = size[0] == 384
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    codec = SimCC(size, cells, len(COCO17), ratio=ratio, sigma=sigma, normalize=True, beta=None)
    return on_coco(
        "simcc",
        backbone(network, codec, pretrained=pretrained),
        data,
        epochs=140 if large else 210,
        batch=256 if large else 512,
        augmentation=HRNET_VIEWS,
        schedule=BASELINE_STEPS if large else MMPOSE_STEPS,
        score=SCORES.get((network, size)) if (ratio, sigma, pretrained) == (2.0, 6.0, True) else None,
    )


def backbone(network: Net, codec: SimCC, *, pretrained: bool) -> PoseModel:
    """Simple Baselines, here reading red, green, blue, or HRNet, for a codec and cut without bias."""
    kind, _, number = network.partition("_")
    if kind == "hrnet":
        return hrnet(int(number[1:]), size=codec.size, codec=codec, pretrained=pretrained)
    return poseresnet(int(number), size=codec.size, codec=codec, preprocess=Preprocess(), pretrained=pretrained)
