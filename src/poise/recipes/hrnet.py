"""HRNet (Sun, Xiao, Liu, Wang; CVPR 2019; arXiv 1902.09212) on COCO, as its release is configured."""

from pathlib import Path
from typing import Literal

from poise.recipes.base import Recipe
from poise.recipes.coco import HRNET_STEPS, HRNET_VIEWS, check2017, codec_for, on_coco
from poise.zoo.hrnet import hrnet as build

AP = {(32, (256, 192)): 0.744, (32, (384, 288)): 0.758, (48, (256, 192)): 0.751, (48, (384, 288)): 0.763}
"""Published AP on COCO val2017 with a detector's boxes (person AP 56.4) and the flip test, from the release's page."""


def hrnet(
    *,
    data: Path,
    width: Literal[32, 48] = 32,
    size: tuple[int, int] = (256, 192),
    pretrained: bool = True,
    select: bool = False,
    codec: str | None = None,
) -> Recipe:
    """HRNet on COCO: 210 epochs of Adam, half bodies among the views.

    For example:

        poise train hrnet --data coco --width 32 --out runs/hrnet_w32

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.744 (W32) and 0.751 (W48) at 256x192, 0.758 and 0.763
    at 384x288. A practitioner found, W32 at 256x192, 0.744 and with ground-truth boxes 0.765 with the published weights, 0.745
    and 0.767 with his own training. The authors trained on four GPUs, 31 million views. The scores while training are with
    ground-truth boxes and without the flip test, so they are others.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        width: Channels of the finest branch.
        size: Height and width of the views.
        pretrained: Start the backbone from ImageNet weights, as the authors did.
        select: Leave out people whose keypoints lie off the middle of their box; off in the release's settings.
        codec: Another codec than the paper's, by the name of its class (`UDPOffset`).
    """
    check2017(data)
    batch = 4 * (24 if (width, size[0]) == (48, 384) else 32)
    return on_coco(
        "hrnet",
        build(width, size=size, codec=codec_for(codec, size), pretrained=pretrained),
        data,
        epochs=210,
        batch=batch,
        augmentation=HRNET_VIEWS,
        schedule=HRNET_STEPS,  # Adam; the release's weight decay reaches SGD only
        select=select,
        score=AP.get((width, size)) if codec is None and pretrained and not select else None,
        notes=f"4 GPUs of {batch // 4} people each in the release",
    )
