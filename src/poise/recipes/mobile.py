"""Lite-HRNet (arXiv 2104.06403) and MobileNetV2 (arXiv 1801.04381) on COCO, as MMPose trains them."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.models.require import require_top_down
from poise.recipes.base import Optimizer, Recipe
from poise.recipes.coco import AP, MMPOSE_STEPS, check2017, on_coco
from poise.recipes.vitpose import VIEWS
from poise.zoo.find import build, releases


def litehrnet(
    *,
    data: Path,
    network: Literal["litehrnet_18", "litehrnet_30", "mobilenetv2"] = "litehrnet_18",
    size: tuple[int, int] = (256, 192),
) -> Recipe:
    """Lite-HRNet, or MobileNetV2 with transposed convolutions, on COCO: 210 epochs of Adam.

    For example:

        poise train litehrnet --data coco --network litehrnet_18 --out runs/litehrnet

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.642 (Lite-HRNet-18), 0.676 (-30) at 256x192, 0.676 and
    0.700 at 384x288; MobileNetV2, which MMPose starts from ImageNet weights, 0.648 and 0.677. No practitioner's figures are
    known. The cost: eight GPUs of 64 people each; Lite-HRNets start from random weights.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Lite-HRNet-18 or -30, or MobileNetV2.
        size: Height and width of the views, multiples of 32.
    """
    check2017(data)
    release = releases().get(f"{network}_coco17_{size[0]}x{size[1]}")
    recipe = on_coco(
        "litehrnet",
        require_top_down(build(f"{network}_coco17_{size[0]}x{size[1]}")),
        data,
        epochs=210,
        batch=512,
        augmentation=replace(VIEWS, scale=0.25, rotation=60.0, translation=0.0),
        optimizer=Optimizer("adam", rate=5e-4),
        schedule=MMPOSE_STEPS,
        score=release.scores.get(AP) if release is not None and network != "mobilenetv2" else None,
        notes="eight GPUs of 64 people each in the release",
    )
    return replace(recipe, base_batch=512)
