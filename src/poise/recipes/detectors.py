"""Runs of our own small detector with keypoints, on drawn figures and on any COCO-style files."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.one_hot import OneHot
from poise.codecs.roi import RoICodec
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset
from poise.data.naming import naming_of
from poise.errors import InputError
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.nn.backbones.plain import PlainNet
from poise.nn.heads.roi import MAP_CELLS
from poise.recipes.base import Recipe
from poise.recipes.dropping import Dropping, dropped
from poise.recipes.fields import set_config
from poise.recipes.files import mixture
from poise.recipes.ranges import check_run
from poise.recipes.scenes import CROWD
from poise.recipes.short import short_run
from poise.skeletons import COCO17
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.zoo.rcnn.keypoint_fcos import slim_fcos
from poise.zoo.rcnn.poise_rcnn import PYRAMID_FROM, small_detector
from poise.zoo.rcnn.roi_codecs import gaussian_roi_codec, roi_codec

CLIP = 20.0
"""Norm of the gradient that is reached only where something is odd, but by heads whose losses are weighted too much."""

Width = Literal["t", "s"]

WIDTH: Width = "t"
IMAGES = 3000
EPOCHS = 30
SIDE = 320
MOSAIC = 0.15
"""Settings of the run on drawings, with which the expected scores were measured."""

RATE = 3e-3
"""Learning rate for batches of 16: with a third of it the loss falls half as fast in the first minutes."""

SCALES = (0.7, 0.8, 0.9, 1.0, 1.1)
"""Short sides of views, in shares of the side that is evaluated; a batch takes the time of its largest view."""


def detector_drawn(
    *,
    images: int = IMAGES,
    checked: int = 200,
    epochs: int = EPOCHS,
    seed: int = 0,
    side: int = SIDE,
    width: Width = WIDTH,
    trunk: str | None = None,
    one_stage: bool = False,
    finest: int = 4,
    head: str = "gaussian",
    weight: float | None = None,
    height: float | None = None,
    sigma: float | None = None,
    mosaic: float = MOSAIC,
    drop: Dropping | None = None,
    detecting_set: list[str] | None = None,
    rate: float = RATE,
) -> Recipe:
    """A small Keypoint R-CNN on drawings of 1 to 8 overlapping people: their boxes, and keypoints in each.

    For example:

        poise train detector_drawn --minutes 40 --out runs/detector
        poise train detector_drawn --head one_hot --minutes 40 --out runs/detector-cells

    No score is published for drawings; expected here are box AP 0.61 to 0.65 and keypoint AP 0.48 to 0.52 on unseen ones
    with either head, without the flip test, and 0.02 to 0.03 more with it. On COCO a practitioner's HRNet was with one cell
    by cross-entropy at box AP 0.295 and keypoint AP 0.343, with Gaussians weighted 1000, 2000, 3000 and 10000 times at 0.277
    and 0.329, 0.286 and 0.372, 0.289 and 0.390, 0.211 and 0.330. The cost: 40 minutes on two CPU cores.

    Args:
        images: Drawings to train on.
        checked: Drawings to validate on after each epoch.
        epochs: Epochs; with --minutes the learning rate falls over the given time if that ends earlier.
        seed: Seed of the drawings.
        side: Side of the drawings, pixels, a multiple of 32.
        width: "t" (2.5 million parameters) or "s" (4.9 million).
        trunk: Another backbone with its neck under the same slim heads, such as r18_fpn, hrnet_w8_hrfpn or timm_NAME_fpn, from
            random weights.
        one_stage: Find boxes in one stage, by FCOS, and keypoints by a branch with spatial attention (CenterMask2's manner).
        finest: Stride of the finest map of the pyramid that a network of one stage finds boxes on: with 8 in place of 4 it
            takes less than half of the time, and learns nobody who is smaller than about 16 pixels of a view.
        head: Codec of the keypoints in a box: "gaussian", a Gaussian for each keypoint; "one_hot", the cell of it by
            cross-entropy; or the class of another codec, such as `UDPGaussian`.
        weight: Factor of the mean squared error of Gaussians, 2000 by default, or of another codec's loss, by default such that
            it begins as large as that of one_hot, about 8.
        height: Height of the Gaussians; 1 by default.
        sigma: Sigma of the Gaussians, cells of a 56x56 map; by default that of the codec, 2 for "gaussian".
        mosaic: Probability of four drawings in one view.
        drop: Drop information from views (AID).
        detecting_set: Fields of the detector's configuration, such as `learning.copies=2` (APDI as we read it) or
            `learning.truth=false`.
        rate: Learning rate for batches of 16.

    Raises:
        InputError: A weight, height or field that cannot be.
        UnknownName: There is no such codec, or no such field.
    """
    check_run(epochs=epochs, rate=rate)
    codec = head_codec(head, weight=weight, height=height, sigma=sigma)
    model = _network(width, one_stage=one_stage, finest=finest, trunk=trunk, side=side, codec=codec)
    set_config(model, detecting_set or ())
    views = DetectorAugmentation(
        sides=_sides(side), max_side=None, rotation=10.0, crop=0.25, crop_share=0.6, mosaic=mosaic, colour=0.1
    )
    usual = (images, epochs, side, width, mosaic, rate) == (IMAGES, EPOCHS, SIDE, WIDTH, MOSAIC, RATE)
    plain = head in ("gaussian", "one_hot") and (weight, height, sigma, drop, trunk) == (None,) * 5 and not detecting_set
    return short_run(
        "detector_drawn",
        model,
        CachedDataset(FigureDataset(images, size=(side, side), per_image=CROWD, seed=seed)),
        CachedDataset(FigureDataset(checked, size=(side, side), per_image=CROWD, seed=seed + 1)),
        epochs=epochs,
        rate=rate,
        clip=CLIP,
        augmentation=dropped(views, drop),
        expected={"AP": 0.48, "box AP": 0.6} if usual and plain and not one_stage else None,
    )


def detector_mixed(
    *,
    annotations: list[Path],
    images: list[Path],
    complete: list[bool] | None = None,
    copies: list[int] | None = None,
    skeleton: str | None = None,
    fields: list[str] | None = None,
    drawn: int = 2000,
    val_share: float = 0.15,
    split_seed: int = 0,
    epochs: int = EPOCHS,
    seed: int = 0,
    side: int = SIDE,
    width: Width = WIDTH,
    trunk: str | None = None,
    freeze: int = 0,
    one_stage: bool = False,
    finest: int = 4,
    head: str = "gaussian",
    weight: float | None = None,
    height: float | None = None,
    sigma: float | None = None,
    mosaic: float = 0.3,
    drop: Dropping | None = None,
    empty: bool = True,
    detecting_set: list[str] | None = None,
    rate: float = RATE,
) -> Recipe:
    """A small Keypoint R-CNN on photographs and on drawings together: boxes of people, and COCO's keypoints in each.

    For example:

        poise train detector_mixed --annotations coco.json lsp.json --images coco lsp --complete True False --copies 10 1 \
            --start runs/detector/model.safetensors --minutes 30 --out runs/mixed

    Keypoints that a file does not label are learnt from the others. The run is validated on images of the first file that are
    not trained on. In images of files where not all people are labelled only the boxes of labelled people give a loss.

    No score is published for such a mixture; Keypoint R-CNN on all of COCO is at box AP 0.537 and keypoint AP 0.643, a
    practitioner's on HRNet was at 0.295 and 0.343, and a few hundred photographs cannot give that. The cost: half an hour on
    two CPU cores.

    Args:
        annotations: COCO-style keypoint files; keypoints are joined to COCO's by name.
        images: For each annotation file the folder or zip file of its images, or one for all.
        complete: For each file, whether all people in its images are labelled; true by default.
        copies: For each file, how often its images are shown in an epoch; once by default.
        skeleton: Names of the keypoints where files have none: of a public data set, such as coco_wholebody, or a JSON or text
            file with the names.
        fields: Fields of the annotations that hold the keypoints, one after the other, such as keypoints foot_kpts.
        drawn: Drawings of 1 to 8 people to train on as well; 0 for none.
        val_share: Share of the first file's images kept for validation.
        split_seed: Seed of that split.
        epochs: Epochs; with --minutes the learning rate falls over the given time if that ends earlier.
        seed: Seed of the drawings.
        side: Side of the views, pixels, a multiple of 32.
        width: "t" (2.5 million parameters) or "s" (4.9 million).
        trunk: Another backbone with its neck under the same slim heads, such as r18_fpn, hrnet_w8_hrfpn or timm_NAME_fpn, from
            random weights.
        freeze: Parts of a plain trunk that stay as they are, its stem first, then its four stages; for one with weights of
            another model (`--trunk poise_t_fpn --backbone-weights poise_people.safetensors`).
        one_stage: Find boxes in one stage, by FCOS, and keypoints by a branch with spatial attention (CenterMask2's manner).
        finest: Stride of the finest map of the pyramid that a network of one stage finds boxes on: with 8 in place of 4 it
            takes less than half of the time, and learns nobody who is smaller than about 16 pixels of a view.
        head: Codec of the keypoints in a box: "gaussian", "one_hot", or the class of another codec.
        weight: Factor of the mean squared error of Gaussians, 2000 by default, or of another codec's loss, by default such that
            it begins as large as that of one_hot, about 8.
        height: Height of the Gaussians; 1 by default.
        sigma: Sigma of the Gaussians, cells of a 56x56 map; by default that of the codec, 2 for "gaussian".
        mosaic: Probability of four images in one view.
        drop: Drop information from views (AID).
        empty: Train on images without people too, and on those whose people have no labelled keypoints. In files where not
            all people are labelled only their boxes give a loss.
        detecting_set: Fields of the detector's configuration, such as `learning.copies=2` (APDI as we read it).
        rate: Learning rate for batches of 16.

    Raises:
        InputError: Numbers of files, folders, statements and copies differ, or a value that cannot be.
        SkeletonMismatch: A file has none of COCO's keypoints, or the names do not fit it.
        UnknownName: There is no such codec, or no such field.
    """
    check_run(epochs=epochs, rate=rate)
    codec = head_codec(head, weight=weight, height=height, sigma=sigma)
    model = _network(width, one_stage=one_stage, finest=finest, trunk=trunk, side=side, codec=codec)
    set_config(model, detecting_set or ())
    views = DetectorAugmentation(
        sides=_sides(side), max_side=2 * side, rotation=20.0, crop=0.5, crop_share=0.4, mosaic=mosaic, colour=0.2, grey=0.02
    )
    train, val = mixture(
        annotations,
        images,
        complete=complete,
        copies=copies,
        more=lambda: [CachedDataset(FigureDataset(drawn, size=(side, side), per_image=CROWD, seed=seed))] if drawn else [],
        skeleton=COCO17,
        val_share=val_share,
        split_seed=split_seed,
        naming=naming_of(skeleton, fields or ()),
    )
    run = short_run(
        "detector_mixed",
        model,
        train,
        val,
        epochs=epochs,
        rate=rate,
        clip=CLIP,
        empty=empty,
        augmentation=dropped(views, drop),
    )
    return replace(run, still=_still(model, freeze))


def _still(model: KeypointRCNN, parts: int) -> tuple[str, ...]:
    """Names of the first parts of a plain trunk, which are frozen."""
    if not parts:
        return ()
    body = model.network.get_submodule("backbone.body")
    if not isinstance(body, PlainNet) or not 0 < parts <= 1 + len(body.stages):
        raise InputError(f"--freeze {parts}: 0 to 5 parts of a plain trunk, such as poise_t_fpn, can be frozen, its stem first")
    return ("backbone.body.stem", *(f"backbone.body.stages.{stage}" for stage in range(parts - 1)))


def _network(width: Width, *, one_stage: bool, finest: int, trunk: str | None, side: int, codec: RoICodec) -> KeypointRCNN:
    if one_stage:
        return slim_fcos(width, trunk=trunk, finest=finest, size=(side, side), codec=codec)
    if finest != PYRAMID_FROM:
        raise InputError(f"--finest {finest} is for --one-stage; a Keypoint R-CNN's pyramid begins at stride {PYRAMID_FROM}")
    return small_detector(width, trunk=trunk, size=(side, side), codec=codec)


def head_codec(head: str, *, weight: float | None = None, height: float | None = None, sigma: float | None = None) -> RoICodec:
    """The codec of a keypoint head with maps of 56x56 for COCO's keypoints.

    Args:
        head: "gaussian", "one_hot", or the class of another codec.
        weight: Factor of the loss, as for `roi_codec`.
        height: Height of Gaussians; 1 by default.
        sigma: Standard deviation of Gaussians, cells; that of the codec by default.

    Raises:
        InputError: A number that makes no loss, or one that the codec does not take.
        UnknownName: There is no such codec.
    """
    if head == "gaussian":
        return gaussian_roi_codec(MAP_CELLS, len(COCO17), weight=weight, height=height, sigma=sigma)
    name = OneHot.__name__ if head == "one_hot" else head
    return roi_codec(name, MAP_CELLS, len(COCO17), weight=weight, height=height, sigma=sigma)


def _sides(side: int) -> tuple[int, ...]:
    return tuple(round(side * scale) for scale in SCALES)
