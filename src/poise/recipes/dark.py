"""DARK (Zhang, Zhu, Dai, Ye, Zhu; CVPR 2020; arXiv 1910.06278) on COCO, as its release is configured."""

from pathlib import Path
from typing import Literal

from poise.models.require import require_top_down
from poise.recipes.base import Optimizer, Recipe
from poise.recipes.coco import BASELINE_STEPS, BASELINE_VIEWS, HRNET_STEPS, HRNET_VIEWS, check2017, on_coco
from poise.zoo.find import build, releases

Net = Literal[
    "hrnet_w32", "hrnet_w48", "hourglass4", "hourglass8", "poseresnet_18", "poseresnet_50", "poseresnet_101", "poseresnet_152"
]


def dark(*, data: Path, network: Net = "hrnet_w32", size: tuple[int, int] = (256, 192), pretrained: bool = True) -> Recipe:
    """DARK on COCO, unrounded labels and a Taylor step at the peak: known networks, each on the schedule of its paper.

    For example:

        poise train dark --data coco --network hrnet_w32 --size 128 96 --out runs/dark

    Expected on COCO val2017, detector of person AP 56.4, flip test. HRNet-W32: AP 0.707 (128x96), 0.756 (256x192), 0.766
    (384x288); W48: 0.719, -, 0.768. At 128x96 hourglasses: 0.696 (4 stacks), 0.708 (8); Simple Baselines: 0.626, 0.632,
    0.631 (50, 101, 152). A practitioner found 0.756 (W32, 256x192) and 0.766 (384x288) with the published weights and 0.755
    with his own training. The authors trained HRNet on four GPUs, 210 passes; the others 140.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Name of the network, such as hrnet_w32.
        size: Height and width of the views.
        pretrained: Start the backbone from ImageNet weights, as the authors did; hourglasses have none.
    """
    check2017(data)
    name = f"darkpose_{network}_coco_{size[0]}x{size[1]}"
    hourglass, hrnet = network.startswith("hourglass"), network.startswith("hrnet")
    known = releases().get(name)
    return on_coco(
        "dark",
        require_top_down(build(name, pretrained=pretrained and not hourglass)),
        data,
        epochs=210 if hrnet else 140,
        batch=_batch(network, size),
        augmentation=HRNET_VIEWS if hrnet else BASELINE_VIEWS,
        optimizer=Optimizer("adam", rate=2.5e-4 if hourglass else 1e-3),
        schedule=HRNET_STEPS if hrnet else BASELINE_STEPS,
        score=known.scores["coco-val2017/AP"] if known and (pretrained or hourglass) else None,
        notes="hourglasses start from nothing" if hourglass else "",
    )


def _batch(network: Net, size: tuple[int, int]) -> int:
    """Four GPUs of 32 people, of 18 for the largest; two of 64 at 128x96; one of 8 for hourglasses."""
    if network.startswith("hourglass"):
        return 8
    return 72 if (network, size) == ("hrnet_w48", (384, 288)) else 128
