"""ViTPose (Xu et al.; NeurIPS 2022; arXiv 2204.12484) on COCO, as its release and MMPose train it."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.models.require import require_top_down
from poise.recipes.base import Optimizer, Recipe
from poise.recipes.coco import AP, MMPOSE_STEPS, check2017, on_coco
from poise.transforms.jitter import Augmentation
from poise.zoo.find import build, releases

VIEWS = Augmentation(
    scale=0.5,
    rotation=80.0,
    truncated=True,
    translation=0.16,
    translation_probability=0.3,
    half_body=0.3,
    half_body_joints=8,
)
"""MMPose 1.x's usual views."""

LAYERS = {"s": 0.8, "b": 0.75, "l": 0.8, "h": 0.85}
"""Factor on the learning rate from block to block, by the letter of the size."""

Net = Literal[
    "vitpose_s",
    "vitpose_b",
    "vitpose_l",
    "vitpose_h",
    "vitpose_s_simple",
    "vitpose_b_simple",
    "vitpose_l_simple",
    "vitpose_h_simple",
]


def vitpose(*, data: Path, network: Net = "vitpose_b", size: tuple[int, int] = (256, 192)) -> Recipe:
    """ViTPose on COCO: 210 epochs of AdamW with rates that fall from block to block.

    For example:

        poise train vitpose --data coco --network vitpose_b --backbone-weights mae_pretrain_vit_base.pth --out runs/vitpose

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.739 (s), 0.757 (b), 0.782 (l), 0.788 (h); with the
    simple head 0.736, 0.756, 0.780, 0.789. No practitioner's figures are known. The cost: eight GPUs of 64 people each in the
    release; a view takes 5.3 (s), 17.8 (b) thousand million multiply-adds, with the simple head 4.3 (s), 16.8 (b), 58.6 (l),
    121.6 (h).

    The release starts from masked autoencoders (MAE, arXiv 2111.06377; weights CC BY-NC 4.0), whose file --backbone-weights
    takes, with its positions resized to the views; without it nothing is published. Rate 5e-4 for 512 people, a tenth from
    epoch 170 and a hundredth from 200; decay 0.1 but for norms, biases and positions; branches are left out with a probability
    that grows from block to block up to 0.1 (s), 0.3 (b), 0.5 (l), 0.55 (h); gradients are at most 1 long.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: ViTPose of a size, with two transposed convolutions, or with one enlargement that is not learnt ("simple").
        size: Height and width of the views, multiples of 16.
    """
    check2017(data)
    recipe = on_coco(
        "vitpose",
        require_top_down(build(f"{network}_{size[0]}x{size[1]}")),
        data,
        epochs=210,
        batch=512,
        augmentation=VIEWS,
        optimizer=Optimizer("adamw", rate=5e-4, decay=0.1, layers=LAYERS[network.split("_")[1]]),
        schedule=MMPOSE_STEPS,
        score=releases()[network].scores.get(AP) if size == (256, 192) else None,
        notes="published for the start --backbone-weights mae_pretrain_vit_*.pth",
    )
    return replace(recipe, clip=1.0)
