"""LPN (Zhang, Tang, Wu; arXiv 1911.10346) on COCO: no ImageNet weights, one schedule repeated."""

from pathlib import Path
from typing import Literal

from poise.recipes.base import Recipe
from poise.recipes.coco import BASELINE_STEPS, BASELINE_VIEWS, check2017, codec_for, on_coco
from poise.zoo.lpn import attention_parts
from poise.zoo.lpn import lpn as build

SCORES = {50: 0.691, 101: 0.704, 152: 0.710}
"""Published AP on COCO val2017 with boxes of a detector (person AP 56.4), flip test and soft-argmax, from the release."""


def lpn(
    *,
    data: Path,
    depth: Literal[50, 101, 152] = 50,
    attention: Literal["gc", "gc_avg", "gc_mul", "gc_avg_mul", "se", "none"] = "gc",
    size: tuple[int, int] = (256, 192),
    codec: str | None = None,
) -> Recipe:
    """A light ResNet with global context on COCO, from random weights: 150 epochs of Adam, to be trained in stages.

    For example:

        poise train lpn --data coco --depth 50 --stages 7 --out runs/lpn

    Expected on COCO val2017, detector of person AP 56.4, flip test, after the paper's seven stages (0 to 6): AP 0.691 (50),
    0.704 (101), 0.710 (152). After each stage, LPN-50 with the highest cell: 0.669, 0.677, 0.681, 0.683, 0.687, 0.689, 0.689;
    soft-argmax (beta 160) adds 0.002. A practitioner found the same with the published weights, and with ground-truth
    boxes 0.712, 0.727 and not reported for depth 152. Without attention the first stage reaches 0.644 (50), 0.678 (101),
    0.690 (152); with it 0.669, 0.689, 0.694. The cost of a stage is that of Simple Baselines' training on one GPU: 150 epochs
    of 150,000 people.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        depth: Depth: 50, 101 or 152.
        attention: Attention in each block: gc (as published), gc with pooling by average, fusion by multiplication or both
            (gc_avg, gc_mul, gc_avg_mul), se or none.
        size: Height and width of the views.
        codec: Another codec than the paper's, by the name of its class (`Dark`).
    """
    check2017(data)
    published = attention == "gc" and size == (256, 192) and codec is None
    kind, pooling, fusion = attention_parts(attention)
    return on_coco(
        "lpn",
        build(
            depth,
            kind,
            pooling=pooling,
            fusion=fusion,
            size=size,
            codec=codec_for(codec, size),
        ),
        data,
        epochs=150,
        batch=32,
        augmentation=BASELINE_VIEWS,
        schedule=BASELINE_STEPS,
        score=SCORES[depth] if published else None,
        notes="one GPU of 32 people in the release; the score is that of seven stages",
    )
