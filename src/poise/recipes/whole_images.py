"""RTMO, DEKR and HigherHRNet on COCO: everybody in whole images, without a detector, as MMPose trains them."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.dynamic_bins import RTMOBins
from poise.models.base import PoseModel
from poise.models.one_stage import OneStage
from poise.models.require import require_pose
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import AP, check2017, on_coco
from poise.recipes.ranges import check_views
from poise.training.recipe import LastPart
from poise.transforms.scene_jitter import SceneAugmentation
from poise.zoo.find import build, releases

IMAGES = 57_000
"""About so many images of train2017 have people with labelled keypoints."""

VIEWS = SceneAugmentation(
    scale_range=(0.75, 1.5),
    scale_of="view",
    rotation=30.0,
    stretch=0.0,
    translation=0.2,
    min_area=0.0,
    shake_probability=0.0,
    grey=0.0,
    hsv_probability=0.0,
)
"""MMPose's usual views of whole images (DEKR, associative embedding)."""

RTMO_VIEWS = SceneAugmentation(
    scale_range=(0.5, 1.25),
    scale_of="view",
    rotation=10.0,
    stretch=0.0,
    translation=0.1,
    min_area=0.0,
    small="ignore",
    shake_probability=0.0,
    grey=0.0,
    hsv=(5, 30, 30),
    hsv_probability=1.0,
)
"""Views of RTMO but for its last 20 epochs."""

FIRST, SECOND, LAST = 280, 320, 20
"""Epochs of RTMO's two halves, and of the last part of the second."""


def rtmo(
    *, data: Path, network: Literal["rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l"] = "rtmo_s", size: tuple[int, int] | None = None
) -> Recipe:
    """RTMO on COCO: 280 epochs of AdamW, then 320 in which classified keypoints teach the scores; the last 20 with mild views.

    For example:

        poise train rtmo --data coco --network rtmo_s --out runs/rtmo

    Expected on COCO val2017, whole images, no flip test: AP 0.673 (s), 0.709 (m), 0.724 (l), published for backbones that
    YOLOX had trained to detect COCO's objects; from random weights nothing was published (`--start rtmo_s_coco` goes on from
    the release itself). No practitioner's figures are known. The cost: 600 epochs of 57,000 images, eight GPUs of 32 images (s)
    or sixteen of 16 (m, l).

    Rate 4e-3 for 256 images and a cosine down to a twentieth, then 5e-4 and a cosine to two fifths; decay 0.05 but for norms
    and biases; gradients at most 0.1 long; an average of the weights. What differs from the release: it joins four images in a
    view (mosaic) and mixes two, in whose place images come at half their size too; all its views of a step have a side drawn
    from 480 to 800 pixels; the rate of its encoder is a twentieth; its warm-up is quadratic; its last 20 epochs keep the rate.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: RTMO-t, -s, -m or -l.
        size: Height and width of the views, multiples of 32; by default 640 (t: 416).
    """
    check2017(data)
    made = _built(network, size)
    recipe = _on_coco(
        "rtmo",
        made,
        data,
        epochs=FIRST,
        batch=256,
        size=size,
        views=RTMO_VIEWS,
        optimizer=Optimizer("adamw", rate=4e-3, decay=0.05),
        schedule=Schedule("cosine", floor=0.05, warmup_steps=5 * IMAGES // 256),
        release=f"{network}_coco",
    )
    recipe = replace(recipe, average=0.9998, clip=0.1)
    second = replace(
        recipe,
        model=_with_proxy(_built(network, size)),
        epochs=SECOND,
        optimizer=Optimizer("adamw", rate=5e-4, decay=0.05),
        schedule=Schedule("cosine", floor=0.4),
        last=LastPart(LAST / SECOND, replace(RTMO_VIEWS, scale_range=(1.0, 1.0), rotation=0.0, translation=0.0)),
    )
    return replace(recipe, then=(second,))


def dekr(
    *,
    data: Path,
    network: Literal["dekr_w32", "dekr_w48"] = "dekr_w32",
    size: tuple[int, int] | None = None,
    pretrained: bool = True,
) -> Recipe:
    """DEKR on COCO: 140 epochs of Adam on whole images, the rate a tenth from epoch 90 and a hundredth from 120.

    For example:

        poise train dekr --data coco --network dekr_w32 --out runs/dekr

    Expected on COCO val2017, whole images, flip test: AP 0.686 (W32, 512 pixels), 0.714 (W48, 640), with MMPose's network that
    rescores poses. No practitioner's figures are known. The cost: 140 epochs of 57,000 images, eight GPUs of 10 images.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: DEKR on HRNet-W32 or -W48.
        size: Height and width of the views, multiples of 32; by default 512 (W48: 640).
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    return _on_coco(
        "dekr",
        _built(network, size, pretrained=pretrained),
        data,
        epochs=140,
        batch=80,
        size=size,
        views=VIEWS,
        optimizer=Optimizer("adam", rate=1e-3),
        schedule=Schedule("steps", milestones=(90, 120), warmup_steps=500),
        release=f"{network}_coco17_{'512x512' if network == 'dekr_w32' else '640x640'}" if pretrained else "",
    )


def higherhrnet(
    *,
    data: Path,
    network: Literal["higherhrnet_w32", "higherhrnet_w48"] = "higherhrnet_w32",
    size: tuple[int, int] = (512, 512),
    pretrained: bool = True,
) -> Recipe:
    """HigherHRNet on COCO: 300 epochs of Adam on whole images, the rate a tenth from epoch 200 and a hundredth from 260.

    For example:

        poise train higherhrnet --data coco --network higherhrnet_w32 --out runs/higherhrnet

    Expected on COCO val2017, whole images, flip test: AP 0.677 (W32, 512 pixels), 0.686 (W32, 640; W48, 512). No practitioner's
    figures are known. The cost: 300 epochs of 57,000 images, eight GPUs of 24 images.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: HigherHRNet on HRNet-W32 or -W48.
        size: Height and width of the views, multiples of 32.
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    return _on_coco(
        "higherhrnet",
        _built(network, size, pretrained=pretrained),
        data,
        epochs=300,
        batch=192,
        size=size,
        views=replace(VIEWS, translation=40 / 512),
        optimizer=Optimizer("adam", rate=1.5e-3),
        schedule=Schedule("steps", milestones=(200, 260), warmup_steps=500),
        release=f"{network}_coco17_{size[0]}x{size[1]}" if pretrained else "",
    )


def _built(network: str, size: tuple[int, int] | None, *, pretrained: bool = False) -> PoseModel:
    """A model of COCO's keypoints for views of a size."""
    made = require_pose(build(network if size is None else f"{network}_{size[0]}x{size[1]}", pretrained=pretrained))
    if size is not None:
        check_views(made, size)
    return made


def _with_proxy(model: PoseModel) -> PoseModel:
    """The same RTMO, whose scores and regressed keypoints are taught by the classified ones."""
    assert isinstance(model, OneStage)
    assert isinstance(model.codec, RTMOBins)
    model.codec = replace(model.codec, proxy=True)
    return model


def _on_coco(
    name: str,
    model: PoseModel,
    data: Path,
    *,
    epochs: int,
    batch: int,
    size: tuple[int, int] | None,
    views: SceneAugmentation,
    optimizer: Optimizer,
    schedule: Schedule,
    release: str,
) -> Recipe:
    published = releases().get(release)
    usual = name != "rtmo" or size is None or size == (640, 640)
    recipe = on_coco(
        name,
        model,
        data,
        epochs=epochs,
        batch=batch,
        augmentation=views,
        optimizer=optimizer,
        schedule=schedule,
        score=published.scores.get(AP) if published is not None and usual else None,
        notes="the score is that of whole images",
    )
    return replace(recipe, base_batch=batch, size=size)
