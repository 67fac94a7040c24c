"""OffsetGuided (Li, Xiang, Chen, Wang; arXiv 2107.03098) on COCO, as its release trains it."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.guiding_losses import LabelMaps
from poise.dims import Size
from poise.models.base import PoseModel
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import check2017, on_coco
from poise.recipes.ranges import check_count, check_views
from poise.skeletons import COCO17
from poise.transforms.scene_jitter import SceneAugmentation
from poise.zoo.offset_guided import bottom_up, build_codec

RATE = 1.25e-4
"""Learning rate for batches of 8."""

STEPS = 57_000 // 32
"""Steps of an epoch in batches of 32: about 57,000 images of train2017 have people with labelled keypoints."""


def offset_guided(
    *,
    data: Path,
    network: Literal["hg104", "hg52"] = "hg104",
    limbs: Literal["16", "19", "31", "44"] = "19",
    scale: bool = True,
    kernel: Literal[1, 3] = 1,
    size: tuple[int, int] = (512, 512),
    rate: float = RATE,
    warmup_epochs: int = 0,
    restart: bool = False,
) -> Recipe:
    """OffsetGuided's hourglass on COCO: bottom-up, by heatmaps and offsets from keypoint to keypoint.

    For example:

        poise train offset_guided --data coco --start centernet.safetensors --devices 4 --out runs/offset-guided

    The losses are those of the command on the release's page: focal maps, square roots of offsets over the person's size, and
    scales; `--no-scale` takes the release's defaults (L1 of offsets, weights 1 and 100) instead.

    Expected on COCO val2017: AP 0.661 (long side 640, flip test) after 78 epochs, as the release's page has it, whose network
    starts from a CenterNet hourglass. A practitioner's was after 4 epochs at 0.513 with peaks of upsampled maps and 0.552 with
    peaks of whole cells, without the flip test; with plain squared error, after 25 epochs, at 0.535. The cost: 78 epochs of
    57,000 images, 187.7 million parameters, four GPUs of 8 images.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Two hourglasses or one.
        limbs: Set of limbs (`skeletons.limbs`).
        scale: Learn keypoints' sizes too, with the losses of the release's page.
        kernel: Kernel size of the heads, cells.
        size: Height and width of the views, multiples of 128.
        rate: Learning rate for batches of 8, one GPU's; 1.25e-4 of the command on the release's page, whose code has 2.5e-4.
        warmup_epochs: Epochs over which the rate rises linearly (the release can: 15), at most a tenth of the run.
        restart: Afterwards 32 more epochs from the full rate on, a tenth from 14 and a hundredth from 27 on.

    Raises:
        InputError: A size that is no multiple, or epochs below 0.
    """
    check2017(data)
    check_count("--warmup-epochs", warmup_epochs, minimum=0)
    usual = (network, limbs, scale, kernel, size, rate) == ("hg104", "19", True, 1, (512, 512), RATE)
    recipe = _on_coco(
        "offset_guided",
        bottom_up(network, codec=build_codec(COCO17, which=limbs, maps=LabelMaps(scale=scale)), kernel=kernel),
        data,
        epochs=78,
        size=size,
        rate=rate,
        schedule=Schedule("steps", milestones=(65, 70, 75), factor=0.2, warmup_steps=warmup_epochs * STEPS),
        score=0.661 if usual and not warmup_epochs else None,
    )
    again = replace(recipe, epochs=32, schedule=Schedule("steps", milestones=(14, 27)))
    return replace(recipe, then=(again,)) if restart else recipe


def offset_guided_hrnet(
    *,
    data: Path,
    width: Literal[18, 32, 48] = 48,
    limbs: Literal["16", "19", "31", "44"] = "19",
    size: tuple[int, int] = (512, 512),
    pretrained: bool = True,
    rate: float = RATE,
) -> Recipe:
    """OffsetGuided on HRNet, as the release's branch "develop" trains it: 320 epochs.

    For example:

        poise train offset_guided_hrnet --data coco --devices 4 --out runs/offset-guided-hrnet

    No score is published for this network on COCO; the hourglass is at AP 0.661. A practitioner's hourglass was after 4 epochs
    at 0.513 to 0.552. The cost: 320 epochs of 57,000 images, four GPUs of 8 images.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        width: Channels of the finest branch.
        limbs: Set of limbs (`skeletons.limbs`).
        size: Height and width of the views, multiples of 32.
        pretrained: Start the backbone from ImageNet weights.
        rate: Learning rate for batches of 8, one GPU's.
    """
    check2017(data)
    return _on_coco(
        "offset_guided_hrnet",
        bottom_up(f"hrnet{width}", codec=build_codec(COCO17, which=limbs), pretrained=pretrained),
        data,
        epochs=320,
        size=size,
        rate=rate,
        schedule=Schedule("steps", milestones=(150, 260), warmup_steps=15 * STEPS),
        score=None,
    )


def _on_coco(
    name: str,
    model: PoseModel,
    data: Path,
    *,
    epochs: int,
    size: Size,
    rate: float,
    schedule: Schedule,
    score: float | None,
) -> Recipe:
    check_views(model, size)
    recipe = on_coco(
        name,
        model,
        data,
        epochs=epochs,
        batch=32,
        augmentation=SceneAugmentation(),
        optimizer=Optimizer("adam", rate=rate),
        schedule=schedule,
        score=score,
        notes="8 images on each of 4 GPUs in the release, whose norms share their statistics",
    )
    return replace(recipe, base_batch=8, size=size)
