"""Runs on a user's own COCO-style keypoint files."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from poise.codecs.offset_guided import OffsetGuided
from poise.data.base import Dataset
from poise.data.subset import hold_out
from poise.errors import InputError
from poise.models.base import Model, require_box_finder, require_pose
from poise.nn.heads.roi import MAP_CELLS
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.dropping import Dropping, dropping
from poise.recipes.fields import set_codec, set_words
from poise.recipes.files import joined
from poise.recipes.ranges import check_count, check_share, check_views
from poise.recipes.scenes import CLIP, PHOTO_VIEWS, small_model
from poise.skeletons import Skeleton
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.jitter import Augmentation
from poise.zoo.find import build
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.offset_guided import WIDTHS as SCENE_WIDTHS
from poise.zoo.plain import WIDTHS
from poise.zoo.rcnn.poise_rcnn import WIDTHS as BOX_WIDTHS
from poise.zoo.rcnn.poise_rcnn import small_detector
from poise.zoo.rcnn.roi_codecs import roi_codec

SHORT: Mapping[str, Iterable[str]] = {"poise_": WIDTHS, "poise_rcnn_": BOX_WIDTHS, "poise_scene_": SCENE_WIDTHS}
"""Our own models by what their short names begin with, and the widths at the end."""


def own(
    *,
    annotations: list[Path],
    images: list[Path],
    val_annotations: list[Path] | None = None,
    val_images: list[Path] | None = None,
    val_share: float | None = None,
    split_seed: int | None = None,
    model: str = "poise_s",
    size: tuple[int, int] | None = None,
    pretrained: bool = False,
    epochs: int = 100,
    rate: float = 1e-3,
    decay: float = 0.01,
    backbone_rate: float = 1.0,
    freeze_epochs: int = 0,
    average: float = 0.998,
    scale: float = 0.3,
    rotation: float = 40.0,
    colour: float = 0.2,
    half_body: float = 0.0,
    mosaic: float = 0.0,
    empty: bool = True,
    codec: str | None = None,
    codec_set: list[str] | None = None,
    detecting_set: list[str] | None = None,
    drop: Dropping | None = None,
    drop_from: float | None = None,
) -> Recipe:
    """Train on one or several COCO-style keypoint files, with any keypoints; several are joined by keypoint name.

    For example:

        poise train own --annotations mine.json --images photos --minutes 60 --out runs/mine

    Any network takes any codec and any way to drop information:

        poise train own --annotations mine.json --images photos --model hrnet_w32_coco_256x192 --codec UDPOffset --drop cutout

    A model for whole images is trained on these, and finds people by itself:

        poise train own --annotations mine.json --images photos --model poise_scene_s --minutes 60

    So is a detector, which finds boxes and the keypoints in each:

        poise train own --annotations mine.json --images photos --model poise_rcnn_t --mosaic 0.3 --minutes 60

    A cosine over the epochs, or over --minutes where they are given and end earlier. Score and time depend on the data;
    docs/results.md has those of real people on two CPU cores.

    Args:
        annotations: COCO-style keypoint files.
        images: The folder or zip file of each, or one for all.
        val_annotations: Files to validate on; by default a part of the training images is kept for that.
        val_images: Their folders.
        val_share: Share of the images kept for validation when there are no files for it; 0.1 by default.
        split_seed: Which images those are; 0 by default.
        model: `poise_t`, `poise_s`, `poise_scene_t`, `poise_scene_s`, `poise_rcnn_t`, `poise_rcnn_s`, or any name of the zoo
            such as `poseresnet_18_coco_256x192`, which has its own size.
        size: Height and width of the views, for `poise_t` and `poise_s` (by default 192x160), `poise_scene_t` and
            `poise_scene_s`, `poise_rcnn_t` and `poise_rcnn_s` (320x320). The larger one is the long side of whole images that
            the model is checked and used on.
        pretrained: Start a backbone of the zoo with ImageNet weights.
        epochs: Passes through the data.
        rate: Learning rate for batches of 32.
        decay: Weight decay (AdamW).
        backbone_rate: Factor on the learning rate of the backbone.
        freeze_epochs: Epochs in which the backbone stays as it is.
        average: Decay of the moving average of the weights.
        scale: Augmentation: growth of the frame.
        rotation: Augmentation: degrees, one deviation.
        colour: Augmentation: relative change.
        half_body: Augmentation: probability of half a body; of views of one person.
        mosaic: Augmentation: probability of four images in one view; of detectors.
        empty: Detectors learn from images without people, too, and from those whose people have no labelled keypoints.
        codec: Another codec than the model's, by the name of its class, such as `UDPOffset`, `Dark` or `SimCC`; models that
            find people in whole images by themselves, but for detectors, take none.
        codec_set: Fields of the codec, such as `ohkm=8` or `sigma=3`; of models that find people by themselves `cost.heat=l2`.
        detecting_set: How a detector learns and is read, such as `learning.copies=2` (APDI) or `learning.truth=false`.
        drop: Drop information from views (AID, arXiv 2008.07139), in a second stage from the best weights of a plain one.
        drop_from: Share of the epochs that are plain, half of them by default; 0 drops from the start, in one stage.

    Raises:
        InputError: Numbers of files and folders differ, a field or share that cannot be, or one that the model has not, or a
            flag that would change nothing.
        UnknownName: There is no such model or codec.
    """
    check_share("--scale", scale)
    check_count("--freeze-epochs", freeze_epochs, least=0)
    if drop is None and drop_from is not None:
        raise InputError("--drop-from says when --drop begins, which is missing; give that, or leave both out")
    train, val = _parts(annotations, images, val_annotations, val_images, val_share, split_seed)
    made = require_pose(start_model(model, size=size, skeleton=train.skeleton, pretrained=pretrained, codec=codec))
    recipe = Recipe(
        name="own",
        model=made,
        train=train,
        val=val,
        epochs=epochs,
        batch=32,
        optimizer=Optimizer("adamw", rate=rate, decay=decay, backbone=backbone_rate),
        schedule=Schedule("cosine", warmup_steps=200, over_time=True),
        average=average,
        clip=1.0,
        freeze_epochs=freeze_epochs,
        notes=f"keypoints of {train.skeleton.name}; OKS sigmas: {train.skeleton.sigma_source}",
    )
    if made.finds_boxes:
        set_words(require_box_finder(made), codec=codec_set or (), config=detecting_set or ())
    else:
        if mosaic or detecting_set:
            raise InputError(
                f"{model} is no detector: it has no mosaics, and finds no boxes; leave --mosaic and --detecting-set out"
            )
        if not empty:
            raise InputError(
                f"{model} is no detector, and images without people are nothing special to it; leave --no-empty out"
            )
        set_codec(made, codec_set or ())
    if made.takes_boxes:
        if size not in (None, made.codec.size):
            h, w = made.codec.size
            raise InputError(
                f"{model} has views of {h}x{w} (height x width) by its name; say another size there, and leave --size out"
            )
        views = Augmentation(scale=scale, rotation=rotation, colour=colour, half_body=half_body)
        recipe = replace(recipe, augmentation=views)
    elif half_body:
        raise InputError(f"{model} sees whole images: there are no half bodies to cut out; leave --half-body out")
    elif made.finds_boxes:
        if size is not None and model.removeprefix("poise_rcnn_") not in BOX_WIDTHS:
            raise InputError(f"{model} looks at images as large as its name says, or of any size; leave --size out")
        if size is not None and size[0] != size[1]:
            raise InputError(
                f"{model} is shown images by their long side, and the smaller number of --size {size[0]} {size[1]} would "
                f"change nothing; give --size {max(size)} {max(size)}"
            )
        side = made.preprocess.side
        sides = tuple(round(side * factor) for factor in (1 - scale, 1.0, 1 + scale))
        boxes = DetectorAugmentation(sides=sides, most=2 * side, rotation=rotation, crop=0.3, colour=colour, mosaic=mosaic)
        recipe = replace(recipe, batch=16, base_batch=32, augmentation=boxes, empty=empty, clip=CLIP, best="AP")
    else:
        if size is not None:
            check_views(made, size)
        scenes = replace(PHOTO_VIEWS, scale_range=(1 - scale, 1 + 2 * scale), rotation=rotation, colour=colour)
        recipe = replace(recipe, batch=16, base_batch=32, augmentation=scenes, size=size, clip=CLIP, best="AP")
    return recipe if drop is None else dropping(recipe, drop, plain=0.5 if drop_from is None else drop_from)


def _parts(
    annotations: list[Path],
    images: list[Path],
    val_annotations: list[Path] | None,
    val_images: list[Path] | None,
    val_share: float | None,
    split_seed: int | None,
) -> tuple[Dataset, Dataset]:
    """What to learn from, and what to check on."""
    if val_annotations is None:
        if val_images is not None:
            raise InputError(
                "--val-images are the folders of --val-annotations, which are missing; give those, or leave both out"
            )
        return hold_out(joined(annotations, images), share=0.1 if val_share is None else val_share, seed=split_seed or 0)
    given = [flag for flag, value in (("--val-share", val_share), ("--split-seed", split_seed)) if value is not None]
    if given:
        raise InputError(
            f"--val-annotations are what the run is checked on, and no image of --annotations is kept for that; leave "
            f"{' and '.join(given)} out"
        )
    train = joined(annotations, images)
    return train, joined(val_annotations, val_images or images, skeleton=train.skeleton)


def start_model(
    name: str, *, size: tuple[int, int] | None, skeleton: Skeleton, pretrained: bool = False, codec: str | None = None
) -> Model:
    """A model of the zoo for a skeleton; our own by their short name and a size.

    Raises:
        InputError: ImageNet weights or a codec for a network that takes none, or a size that cannot be.
        UnknownName: There is no such model or codec.
    """
    width = name.removeprefix("poise_")
    short = {f"{kind}{w}" for kind, widths in SHORT.items() for w in widths}
    refuse_pretrained(pretrained and name in short, "poise's own networks")
    if name.startswith("poise_") and width in WIDTHS:
        h, w = size or (192, 160)
        made = build(f"{name}_coco_{h}x{w}", skeleton=skeleton, codec=codec)
        made.card = replace(made.card, name=name)
        return made
    width = name.removeprefix("poise_rcnn_")
    if name.startswith("poise_rcnn_") and width in BOX_WIDTHS:
        boxed = None if codec is None else roi_codec(codec, MAP_CELLS, len(skeleton))
        return small_detector(width, size=size or (320, 320), skeleton=skeleton, codec=boxed)
    width = name.removeprefix("poise_scene_")
    if name.startswith("poise_scene_") and width in SCENE_WIDTHS:
        if codec not in (None, OffsetGuided.__name__):
            raise InputError(
                f"{name} finds people by itself and is read by the codec {OffsetGuided.__name__}; {codec!r} is not for it; "
                "leave --codec out"
            )
        return small_model(width, side=max(size or (320, 320)), skeleton=skeleton)
    return build(name, skeleton=skeleton, pretrained=pretrained, codec=codec)
