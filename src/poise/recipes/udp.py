"""UDP (Huang, Zhu, Guo, Huang; CVPR 2020; arXiv 1911.07524) on COCO, and AID (Huang, Zhu, Huang, Du; arXiv 2008.07139)."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.udp_offset import UDPOffset
from poise.models.require import require_top_down
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import HRNET_STEPS, HRNET_VIEWS, MMPOSE_STEPS, STRIDE, check2017, on_coco
from poise.recipes.dropping import Dropping, dropped
from poise.skeletons import COCO17
from poise.zoo.find import build, releases
from poise.zoo.hrnet import hrnet

Net = Literal["hrnet_w32", "hrnet_w48", "poseresnet18", "poseresnet50", "poseresnet152"]


def udp(
    *,
    data: Path,
    network: Net = "hrnet_w32",
    target: Literal["gaussian", "offset"] = "offset",
    size: tuple[int, int] = (256, 192),
    pretrained: bool = True,
) -> Recipe:
    """UDP (unbiased data processing) on COCO: HRNet with wider last sums, or Simple Baselines; 210 epochs of Adam.

    For example:

        poise train udp --data coco --network hrnet_w32 --target offset --out runs/udp

    Expected on COCO val2017, detector of person AP 65.1, flip test, with offsets. HRNet-W32: AP 0.768 (256x192), 0.778
    (384x288); W48: 0.772, 0.778. ResNet-50: 0.729, 0.740; ResNet-152: 0.743, 0.762. Of a practitioner only notes on the
    paper's ablation are known: without the flip test the encoding gives 0.011, encoding and transform 0.012. The authors
    trained as HRNet's did: four GPUs of 32 people.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Name of the network, such as hrnet_w32.
        target: Labels: Gaussians, or disks and offsets.
        size: Height and width of the views.
        pretrained: Start the backbone from ImageNet weights, as the authors did.
    """
    check2017(data)
    name = f"udp_{network}_{target}_coco_{size[0]}x{size[1]}"
    known = releases().get(name)
    return on_coco(
        "udp",
        require_top_down(build(name, pretrained=pretrained)),
        data,
        epochs=210,
        batch=128,
        augmentation=HRNET_VIEWS,
        schedule=HRNET_STEPS,
        score=known.scores.get("coco-val2017/AP") if known and pretrained else None,
        notes="4 GPUs of 32 people each, as HRNet's release",
    )


def udp_aid(
    *,
    data: Path,
    width: Literal[18, 32, 48] = 32,
    size: tuple[int, int] = (256, 192),
    drop: Dropping = "cutout",
    pretrained: bool = True,
) -> Recipe:
    """UDPv1, then information dropping: 210 plain epochs, and 150 more from the best of them with dropped views.

    For example:

        poise train udp_aid --data coco --width 32 --out runs/udp_aid

    Two stages in one run, each with its learning rate from the start, as AID's second schedule says (its first one only
    doubles the epochs). Expected on COCO val2017, detector of person AP 65.1, flip test, W32 at 256x192: AP 0.772 after the
    first stage, 0.779 after the second. No practitioner's figures are known. The authors trained on eight GPUs of 48 people.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        width: Channels of HRNet's finest branch: 18, 32 or 48; scores are published for 32 and 48.
        size: Height and width of the views.
        drop: How information is dropped in the second stage; Cutout in the release.
        pretrained: Start the backbone from ImageNet weights, as the authors did.
    """
    check2017(data)
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    radius = 0.0546875 * cells[0]
    codec = UDPOffset(size, cells, len(COCO17), radius=radius, everywhere=True, heat_blur=23, offset_blur=1)
    plain = on_coco(
        "udp_aid",
        hrnet(width, size=size, codec=codec, pretrained=pretrained),
        data,
        epochs=210,
        batch=384,
        augmentation=HRNET_VIEWS,
        optimizer=Optimizer("adam", rate=3e-3),
        schedule=MMPOSE_STEPS,
        score=0.779 if (width, size, drop, pretrained) == (32, (256, 192), "cutout", True) else None,
        notes="8 GPUs of 48 people each in the release",
    )
    refine = Schedule("steps", milestones=(100, 140), warmup_steps=500, warmup_start=0.001)
    second = replace(plain, epochs=150, schedule=refine, augmentation=dropped(HRNET_VIEWS, drop))
    return replace(plain, then=(second,))
