"""MSPN (Li et al.; arXiv 1901.00148) and RSN (Cai et al.; ECCV 2020; arXiv 2003.04030) on COCO, as their releases train."""

from pathlib import Path
from typing import Literal

from poise.models.base import PoseModel
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import check2017, epochs_of, keypoints2017, on_coco
from poise.recipes.ranges import check_count
from poise.skeletons import COCO17
from poise.transforms.jitter import Augmentation
from poise.zoo.mspn import mspn as build_mspn
from poise.zoo.rsn import rsn as build_rsn

MSPN_SCORES = {
    (1, (256, 192)): 0.715,
    (2, (256, 192)): 0.745,
    (3, (256, 192)): 0.752,
    (4, (256, 192)): 0.759,
    (4, (384, 288)): 0.769,
}
"""Published AP on COCO minival with a detector's boxes and the flip test, from table 6 of the paper and its page."""

RSN_SCORES = {("res18", (256, 192)): 0.652, ("rsn18", (256, 192)): 0.704}
"""Published AP on COCO val2017 with a detector's boxes and the flip test: the release's PyTorch trainings."""

VIEWS = Augmentation(
    sides=(1.05, 1.05),
    extents=(0.6, 0.8),
    scale_range=(0.6, 1.0),
    rotation=45.0,
    rotation_law="uniform",
    rotation_probability=0.5,
    half_body=0.3,
    half_body_joints=3,
    half_body_upper=(*COCO17.upper, "left_hip", "right_hip"),
)
"""The box grown at random, then shrunk by 0.8 and scaled by a quarter either way."""

ITERATIONS = 96000
BATCH = 256
"""Eight GPUs of 32 people."""


def mspn(
    *,
    data: Path,
    network_stages: Literal[1, 2, 3, 4] = 2,
    size: tuple[int, int] = (256, 192),
    iterations: int = ITERATIONS,
    pretrained: bool = True,
) -> Recipe:
    """MSPN on COCO: 96,000 steps of Adam, linear learning-rate decay.

    For example:

        poise train mspn --data coco --network-stages 2 --out runs/mspn_2stg

    Expected on COCO minival, detected boxes, flip test: AP 0.715, 0.745, 0.752, 0.759 with 1 to 4 stages at 256x192, 0.769
    with 4 at 384x288. No practitioner's figures are known. The authors trained on eight GPUs, 25 million views.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network_stages: Number of stages, each a ResNet-50 encoder with its upsampling path.
        size: Height and width of the views.
        iterations: Steps of 256 people; another batch takes as many more as it is smaller.
        pretrained: Start the encoders from ImageNet weights, as the authors did.
    """
    check2017(data)
    score = MSPN_SCORES.get((network_stages, size)) if (iterations, pretrained) == (ITERATIONS, True) else None
    return _run("mspn", build_mspn(network_stages, size=size, pretrained=pretrained), data, iterations, score)


def rsn(
    *,
    data: Path,
    kind: Literal["res18", "rsn18", "4xrsn18"] = "rsn18",
    size: tuple[int, int] = (256, 192),
    iterations: int = ITERATIONS,
) -> Recipe:
    """RSN on COCO, from random weights: 96,000 steps, as MSPN.

    For example:

        poise train rsn --data coco --kind rsn18 --out runs/rsn18

    Expected on COCO val2017, detected boxes, flip test: AP 0.704 (RSN-18) and 0.652 (Res-18) with the release's PyTorch code;
    0.736 and 0.707 on the platform of the paper. No practitioner's figures are known. The authors trained on eight GPUs, 25
    million views.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        kind: Network: res18, rsn18 or 4xrsn18.
        size: Height and width of the views.
        iterations: Steps of 256 people; another batch takes as many more as it is smaller.
    """
    check2017(data)
    score = RSN_SCORES.get((kind, size)) if iterations == ITERATIONS else None
    return _run("rsn", build_rsn(kind, size=size), data, iterations, score)


def _run(name: str, model: PoseModel, data: Path, iterations: int, score: float | None) -> Recipe:
    check_count("--iterations", iterations)
    people = len(keypoints2017(data, "train2017").people())
    return on_coco(
        name,
        model,
        data,
        epochs=epochs_of(iterations, people=people, batch=BATCH),
        batch=BATCH,
        augmentation=VIEWS,
        optimizer=Optimizer("adam", rate=8 * 5e-4, decay=1e-5, spare=False),
        schedule=Schedule("linear", floor=0.0, warmup_steps=2400, warmup_start=0.1),
        score=score,
        notes=f"{iterations} steps of 8 GPUs of 32 people each in the release",
    )
