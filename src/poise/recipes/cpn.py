"""CPN (Chen et al.; CVPR 2018; arXiv 1711.07319) on COCO, as its PyTorch release is configured."""

from pathlib import Path
from typing import Literal

from poise.codecs.megvii import cpn_codecs
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import STRIDE, check2017, on_coco
from poise.recipes.ranges import check_positive
from poise.skeletons import COCO17
from poise.transforms.jitter import Augmentation
from poise.zoo.cpn import cpn as build

HEIGHT = 255.0
"""Height of the Gaussian labels in the release."""

SCORES = {(50, (256, 192)): 0.692, (50, (384, 288)): 0.722, (101, (384, 288)): 0.723}
"""Published AP on COCO val2017 with detected boxes and the flip test, from the release's page."""

VIEWS = Augmentation(
    scale_range=(0.7, 1.35),
    max_scale=1.25,
    rotation=45.0,
    rotation_law="uniform",
    gain=0.2,
    repeat=("plain", "flip", "turn", "turn"),
)
"""Each person is shown four times per epoch: plain, mirrored, and rotated twice."""


def cpn(
    *,
    data: Path,
    depth: Literal[50, 101] = 50,
    size: tuple[int, int] = (256, 192),
    height: float = HEIGHT,
    weight: float | None = None,
    pretrained: bool = True,
) -> Recipe:
    """GlobalNet and RefineNet on COCO: 32 epochs of Adam, the rate halved every 6, each person four times per epoch.

    For example:

        poise train cpn --data coco --depth 50 --size 256 192 --out runs/cpn_50

    Expected on COCO val2017, detected boxes, flip test: AP 0.692 (R50, 256x192), 0.722 (R50, 384x288), 0.723 (R101, 384x288);
    with ground-truth boxes 0.712, 0.741, 0.740. The paper's own code reached 0.697 and 0.723 (R50) in 400 passes of 60,000
    people. A practitioner who trained it found, R50 at 256x192, 0.702 after 350 to 400 such passes with maps of height 255,
    and 0.599 to 0.613 with height 1.0 and the same rates; at 256x256, height 255, 0.702 with and 0.691 without the flip test.
    The cost: 19 million views, at 256x192 in batches of 32, at 384x288 of 12.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        depth: Depth of the ResNet: 50 or 101.
        size: Height and width of the views; 256 256 for square ones.
        height: Height of the Gaussian labels.
        weight: Weight of the loss; by default (255 / height)^2, which gives labels of any height the gradients of those of
            255. With height 1 and weight 1, the practitioner's settings, Adam's weight decay, which is part of the gradient
            here, is larger than the gradient of the loss.
        pretrained: Start the backbone from ImageNet weights, as the authors did.
    """
    check2017(data)
    check_positive("--height", height)
    weight = (HEIGHT / height) ** 2 if weight is None else weight
    model = build(depth, size=size, pretrained=pretrained)
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    model.deep, model.codec = cpn_codecs(size, cells, len(COCO17), height=height, weight=weight)
    batch = 12 if size[0] == 384 else 32
    return on_coco(
        "cpn",
        model,
        data,
        epochs=32,
        batch=batch,
        augmentation=VIEWS,
        optimizer=Optimizer("adam", rate=5e-4, decay=1e-5, spare=False),
        schedule=Schedule("steps", milestones=(6, 12, 18, 24, 30), factor=0.5),
        score=SCORES.get((depth, size)) if height**2 * weight == HEIGHT**2 and pretrained else None,
        notes=f"{batch} people per GPU in the release, which scales no rate with their number",
    )
