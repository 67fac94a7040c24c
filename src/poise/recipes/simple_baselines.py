"""Simple Baselines (Xiao, Wu, Wei; ECCV 2018; arXiv 1804.06208) on COCO, as its release is configured."""

from pathlib import Path
from typing import Literal

from poise.recipes.base import Recipe
from poise.recipes.coco import BASELINE_STEPS, BASELINE_VIEWS, check2017, codec_for, on_coco
from poise.zoo.simple_baselines import poseresnet

AP = {
    (50, (256, 192)): 0.704,
    (50, (384, 288)): 0.722,
    (101, (256, 192)): 0.714,
    (101, (384, 288)): 0.736,
    (152, (256, 192)): 0.720,
    (152, (384, 288)): 0.743,
}
"""Published AP on COCO val2017 with a detector's boxes (person AP 56.4) and the flip test, from the release's page."""


def simple_baseline(
    *,
    data: Path,
    depth: Literal[18, 34, 50, 101, 152] = 50,
    size: tuple[int, int] = (256, 192),
    pretrained: bool = True,
    codec: str | None = None,
) -> Recipe:
    """A ResNet and three transposed convolutions on COCO: 140 epochs of Adam.

    For example:

        poise train simple_baseline --data coco --depth 50 --out runs/simple_baseline_50

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.704 (R50), 0.714 (R101), 0.720 (R152) at 256x192;
    0.722, 0.736, 0.743 at 384x288. A practitioner's own training of R50 at 256x192 gave 0.703, with ground-truth boxes 0.724.
    The authors trained on four GPUs, 21 million views. The scores while training are with ground-truth boxes and without the
    flip test, so they are others.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        depth: Depth of the ResNet: 18, 34, 50, 101 or 152.
        size: Height and width of the views.
        pretrained: Start the backbone from ImageNet weights, as the authors did.
        codec: Another codec than the paper's, by the name of its class (`Dark`).
    """
    check2017(data)
    return on_coco(
        "simple_baseline",
        poseresnet(depth, size=size, codec=codec_for(codec, size), pretrained=pretrained),
        data,
        epochs=140,
        batch=128,
        augmentation=BASELINE_VIEWS,
        schedule=BASELINE_STEPS,  # Adam; the release's weight decay reaches SGD only
        score=AP.get((depth, size)) if codec is None and pretrained else None,
        notes="4 GPUs of 32 people each in the release",
    )
