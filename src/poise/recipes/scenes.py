"""Runs of our own small networks that find people by themselves, on drawn figures and on any COCO-style files."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.codecs.guiding_losses import Costs, LabelMaps
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset
from poise.data.naming import naming_of
from poise.decoding.grouping_config import PRACTITIONER_CONFIG
from poise.models.base import PoseModel
from poise.nn.backbones.plain import PlainNet
from poise.nn.base import check_size
from poise.recipes.base import Recipe
from poise.recipes.files import mixture
from poise.recipes.ranges import check_run
from poise.recipes.short import short_run
from poise.scenes import Canvas
from poise.skeletons import COCO17, Skeleton
from poise.transforms.scene_jitter import SceneAugmentation
from poise.zoo.offset_guided import bottom_up, build_codec

Width = Literal["t", "s"]

WIDTH: Width = "s"
IMAGES = 3000
EPOCHS = 60
SIDE = 320
RATE = 2e-3
"""Settings of the run on drawings, with which the expected score was measured."""

CROWD = (1, 8)
"""Minimum and maximum number of people in a drawing."""

MAPS = LabelMaps(sigma=4.0, fill=5)
"""Narrower than the release's, for in images of 320 pixels the smallest people are 60 pixels high: perfect outputs decode to AP
0.99, those of Gaussians of 7 pixels to 0.977."""

COSTS = Costs(weights=(0.04, 0.0, 0.0, 20.0, 0.0))
"""With these weights both losses give gradients of similar size: with Gaussians of 6 pixels heatmaps of 0 have a loss of about
300 for a view and 3,000 times the gradient of the mean of offsets, 1,000 times halfway through training, and half that with
Gaussians of 4; the release's weights are 1 and 100."""

CLIP = 20.0
"""Largest norm of the gradient; with these costs it is exceeded only in outliers."""

DRAWN_VIEWS = SceneAugmentation(
    scale_range=(0.7, 1.4),
    scale_of="view",
    rotation=15.0,
    translation=0.15,
    min_area=0.0,
    shake_probability=0.0,
    colour=0.1,
)
"""Augmentation of drawings; validation images are drawn like those of training, but a few thousand would be overfitted."""

PHOTO_VIEWS = SceneAugmentation(
    scale_range=(0.6, 1.8), scale_of="view", rotation=30.0, translation=0.2, small="ignore", shake_probability=0.0, colour=0.2
)
"""Augmentation of photographs of people."""


def small_model(width: str, *, side: int, skeleton: Skeleton = COCO17) -> PoseModel:
    """One of our own networks with this folder's maps and costs.

    Args:
        width: "t" or "s".
        side: Side of the views, pixels.
        skeleton: The keypoints.

    Raises:
        InputError: The side is no multiple of 32.
    """
    check_size((side, side), PlainNet.multiple, f"poise_scene_{width}")
    codec = replace(build_codec(skeleton, maps=MAPS, reading=PRACTITIONER_CONFIG), cost=COSTS)
    return bottom_up(width, skeleton=skeleton, codec=codec, canvas=Canvas(side=side, multiple=PlainNet.multiple))


def scenes_drawn(
    *,
    images: int = IMAGES,
    checked: int = 200,
    epochs: int = EPOCHS,
    seed: int = 0,
    side: int = SIDE,
    width: Width = WIDTH,
    rate: float = RATE,
) -> Recipe:
    """A small bottom-up network on drawings of 1 to 8 overlapping people.

    For example:

        poise train scenes_drawn --minutes 40 --out runs/scenes

    No score is published for drawings; expected here is AP 0.5 or more on 200 unseen drawings, without the flip test, and a
    practitioner's OffsetGuided, four epochs into COCO, was at AP 0.51 to 0.55. The cost: 40 minutes on two CPU cores, of which
    the drawings take one or two.

    Args:
        images: Drawings to train on.
        checked: Drawings to validate on after each epoch.
        epochs: Epochs; with --minutes the learning rate falls over the given time if that ends earlier.
        seed: Seed of the drawings.
        side: Side of the drawings and of the views, pixels, a multiple of 32.
        width: "t" (1.8 million parameters) or "s" (2.7 million).
        rate: Learning rate for batches of 16.

    Raises:
        InputError: The side is no multiple of 32.
    """
    check_run(epochs=epochs, rate=rate)
    usual = (images, epochs, side, width, rate) == (IMAGES, EPOCHS, SIDE, WIDTH, RATE)
    return short_run(
        "scenes_drawn",
        small_model(width, side=side),
        CachedDataset(FigureDataset(images, size=(side, side), per_image=CROWD, seed=seed)),
        CachedDataset(FigureDataset(checked, size=(side, side), per_image=CROWD, seed=seed + 1)),
        epochs=epochs,
        rate=rate,
        clip=CLIP,
        augmentation=DRAWN_VIEWS,
        expected={"AP": 0.5} if usual else None,
    )


def scenes_mixed(
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
    rate: float = RATE,
) -> Recipe:
    """A small bottom-up network on photographs and on drawings together: COCO's keypoints in whole images.

    For example:

        poise train scenes_mixed --annotations coco.json lsp.json --images coco lsp --complete True False --copies 10 1 \
            --minutes 60 --out runs/mixed

    Keypoints that a file does not label are learnt from the others. The run is validated on images of the first file that are
    not trained on.

    No score is published for such a mixture; a practitioner's OffsetGuided, four epochs into all of COCO, was at AP 0.51 to
    0.55, which a few hundred photographs cannot give. The cost: an hour on two CPU cores.

    Args:
        annotations: COCO-style keypoint files; keypoints are joined to COCO's by name.
        images: For each annotation file the folder or zip file of its images, or one for all.
        complete: For each file, whether all people in its images are labelled; true by default. Where not, only cells in
            the boxes of labelled people give a loss.
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
        width: "t" (1.8 million parameters) or "s" (2.7 million).
        rate: Learning rate for batches of 16.

    Raises:
        InputError: Numbers of files, folders, statements and copies differ, a share that leaves a part empty, or a side
            that is no multiple of 32.
        SkeletonMismatch: A file has none of COCO's keypoints, or the names do not fit it.
    """
    check_run(epochs=epochs, rate=rate)
    model = small_model(width, side=side)
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
    return short_run(
        "scenes_mixed",
        model,
        train,
        val,
        epochs=epochs,
        rate=rate,
        clip=CLIP,
        augmentation=PHOTO_VIEWS,
    )
