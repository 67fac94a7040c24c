"""RTMPose (Jiang et al.; arXiv 2303.07399) on COCO, as its release trains it."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.recipes.base import Recipe
from poise.recipes.coco import check2017, on_coco
from poise.training.recipe import LastPart, Optimizer, Schedule
from poise.transforms.drop import Cutout
from poise.transforms.jitter import Augmentation
from poise.transforms.paint import Paint
from poise.zoo.rtmpose import rtmpose as rtmpose_network

Net = Literal["rtmpose_t", "rtmpose_s", "rtmpose_m", "rtmpose_l"]

SCORES = {"rtmpose_t": 0.682, "rtmpose_s": 0.716, "rtmpose_m": 0.746, "rtmpose_l": 0.758}
"""Published AP on COCO val2017, boxes of a detector of person AP 56.4, flip test."""

DECAYED = ("rtmpose_m", "rtmpose_l")
"""Networks whose weights decay."""

HOLE = Cutout(shape="box", radius=(0.1, 0.2))
"""A rectangle whose sides are 0.2 to 0.4 of the view's shorter one."""

VIEWS = Augmentation(
    scale=0.4,
    rotation=80.0,
    truncated=True,
    translation=0.16,
    translation_probability=0.3,
    half_body=0.3,
    half_body_joints=8,
    hsv=(5.0, 30.0, 30.0),
    paint=Paint(probability=0.19, noise=0.0, blur=(0.8, 2.0), contrast=(1.0, 1.0)),
    drop=HOLE,
)
"""Views of the first 390 epochs."""

EPOCHS, LAST_EPOCHS = 420, 30


def rtmpose(*, data: Path, network: Net = "rtmpose_m", size: tuple[int, int] = (256, 192), pretrained: bool = True) -> Recipe:
    """RTMPose on COCO: 420 epochs of AdamW, an average of the weights, and milder views in the last 30 epochs.

    For example:

        poise train rtmpose --data coco --network rtmpose_m --out runs/rtmpose

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.682 (t), 0.716 (s), 0.746 (m), 0.758 (l). These are
    published for a backbone that OpenMMLab had trained on AI Challenger and COCO with heatmaps; its file is given by
    `--backbone-weights cspnext-m_udp-aic-coco_210e-256x192-f2f7d6f6_20230130.pth`. From ImageNet weights alone nothing was
    published, and no practitioner's figures are known. The cost: eight GPUs of 256 people each in the release; a view takes
    0.36 (t), 0.68 (s), 1.93 (m), 4.16 (l) thousand million multiply-adds.

    Rate 4e-3 for 1024 people, held for half of the run, then a cosine down to a twentieth. Weights decay by 0.05 in m and l,
    norms and biases never; t has no average. Of the views two things differ from the release: a Gaussian blur stands for a box
    and a median, and the hole has the mean colour and sides by the shorter side of the view.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: RTMPose-t, -s, -m or -l.
        size: Height and width of the views, multiples of 32.
        pretrained: Start the backbone from OpenMMLab's ImageNet weights.
    """
    check2017(data)
    recipe = on_coco(
        "rtmpose",
        rtmpose_network(network.removeprefix("rtmpose_"), size=size, pretrained=pretrained),
        data,
        epochs=EPOCHS,
        batch=1024,
        augmentation=VIEWS,
        optimizer=Optimizer("adamw", rate=4e-3, decay=0.05 if network in DECAYED else 0.0),
        schedule=Schedule("cosine", floor=0.05, hold=0.5, warmup_steps=1000, warmup_start=1e-5),
        score=SCORES.get(network) if size == (256, 192) else None,
        notes="published for the start --backbone-weights cspnext-*_udp-aic-coco_210e-256x192-*.pth",
    )
    last = LastPart(LAST_EPOCHS / EPOCHS, _last_views())
    return replace(recipe, base_batch=1024, average=None if network == "rtmpose_t" else 0.9998, last=last)


def _last_views() -> Augmentation:
    """Views of the last 30 epochs."""
    return replace(VIEWS, scale=0.25, rotation=60.0, translation=0.0, drop=replace(HOLE, probability=0.5))
