"""Stacked hourglasses (Newell, Yang, Deng; ECCV 2016; arXiv 1603.06937) on people, as pytorch-pose trains them."""

from pathlib import Path
from typing import Literal

from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import check2017, codec_for, on_coco
from poise.skeletons import COCO17
from poise.transforms.jitter import Augmentation
from poise.zoo.hourglass import hourglass as build


def hourglass(
    *,
    data: Path,
    stacks: Literal[1, 2, 4, 8] = 2,
    blocks: Literal[1, 4] = 1,
    size: tuple[int, int] = (256, 256),
    codec: str | None = None,
) -> Recipe:
    """Stacked hourglasses on COCO's people, from random weights: 100 epochs of RMSprop.

    For example:

        poise train hourglass --data coco --stacks 4 --out runs/hourglass4

    No score is published for COCO at this size; at 128x96 with DARK's settings and labels see `poise train dark`: 0.662 with
    plain labels, 0.696 with DARK's (4 stacks). No practitioner's figures on people are known. The synthetic animals' networks
    were trained with these settings too, on 18 keypoints. The cost: 15 million views in batches of 6; a larger batch scales
    the rate.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        stacks: Number of stacked hourglasses.
        blocks: Residual blocks at each resolution of an hourglass.
        size: Height and width of the views.
        codec: Another codec than the release's, by the name of its class (`Dark`).
    """
    check2017(data)
    return on_coco(
        "hourglass",
        build(stacks, blocks, skeleton=COCO17, size=size, codec=codec_for(codec, size)),
        data,
        epochs=100,
        batch=6,
        augmentation=Augmentation(scale=0.25, rotation=30.0),
        optimizer=Optimizer("rmsprop", rate=2.5e-4),
        schedule=Schedule("steps", milestones=(60, 90)),
        notes="one GPU of 6 people in the release",
    )
