"""Runs on a user's own COCO-style keypoint files, for every type of model."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch

from poise.data.aligned import AlignedDataset
from poise.data.base import Dataset
from poise.data.naming import naming_of
from poise.data.pasted import with_pasted
from poise.data.subset import hold_out, with_people
from poise.data.whole_images import WholeImages
from poise.errors import InputError
from poise.metrics.measure_names import parse_measures
from poise.models.aligned import AlignedTopDown
from poise.models.base import Model, TrainableModel
from poise.models.require import require_box_finder, require_pose, require_trainable
from poise.models.top_down import TopDown
from poise.recipes.base import ModelOptions, Optimizer, Recipe, Schedule
from poise.recipes.dropping import Dropping, dropping
from poise.recipes.fields import check_codec, set_codec, set_words
from poise.recipes.files import joined, mapped_split, used_by
from poise.recipes.ranges import check_count, check_positive, check_share, check_views
from poise.recipes.scenes import CLIP, PHOTO_VIEWS
from poise.recipes.start import SMALL, start_model
from poise.skeletons import Skeleton
from poise.skeletons.alignment import BodyAxis
from poise.skeletons.mapping import KeypointMap
from poise.training.measured_task import measured
from poise.transforms.aligned_crop import AlignedPreprocess
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.jitter import SUPER, Augmentation
from poise.transforms.scene_jitter import SceneAugmentation


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(ModelOptions):
    """Options for a model of any type.

    Attributes:
        annotations: COCO-style keypoint files, or labels of labelme, YOLO, CVAT, DeepLabCut and others (docs/concepts/data.md).
        images: For each annotation file the folder or zip file of its images, or one for all.
        val_annotations: Files to validate on; by default a part of the training images is kept for that.
        val_images: Folders or zip files of their images.
        skeleton: Names of the keypoints where files have none: of a public data set, such as wflw or coco_wholebody, or a JSON
            or text file with the names.
        fields: Fields of the annotations that hold the keypoints, one after the other, such as keypoints foot_kpts.
        mirror: Pairs of keypoints that a mirror exchanges, where names do not tell: left_paw:right_paw; nose:nose alone where
            it exchanges none.
        map: Keypoints of a model to start from (--start), or of further annotation files, that stand for those of the first
            file: left_wrist:left_front_paw and so on, and `analogies` for those of a person that are like an animal's. With it
            the first file alone says which keypoints there are, and what has no partner in it is left out of the others.
        val_share: Share of the images kept for validation when there are no files for it; 0.1 by default.
        split_seed: Seed of that split; 0 by default.
        model: `poise_t`, `poise_s` (top-down), `poise_scene_t`, `poise_scene_s` (bottom-up), `poise_rcnn_t`, `poise_rcnn_s`,
            `poise_fcos_t`, `poise_fcos_s` (detectors, the last of one stage), or any name of the zoo such as
            `poseresnet_18_coco_256x192`, which has its own size. It decides which flags there are.
        pretrained: Start a backbone of the zoo with ImageNet weights.
        epochs: Epochs.
        repeats: How often each person or image comes in an epoch; by default so often that an epoch has 10 steps, and once
            where it has more.
        pasted: Augmentation: share of the images in which somebody is pasted, who is cut out of another image by their
            segmentation mask; an image gets the same person in every epoch.
        val_every: Epochs from one validation to the next, which always follows the last epoch; by default so many that 50 steps
            lie between two, but at most a tenth of the epochs.
        rate: Learning rate for batches of 32.
        decay: Weight decay (AdamW).
        backbone_rate: Factor on the learning rate of the backbone.
        freeze_epochs: Epochs in which the backbone is frozen.
        average: Decay of the moving average of the weights.
        codec: Another codec than the model's, by the name of its class, such as `UDPOffset`, `Dark` or `SimCC`; bottom-up
            models take none but their own.
        codec_set: Fields of the codec, such as `ohkm=8` or `sigma=3`; of bottom-up models `cost.heat=l2`.
    """

    augmentation_type: ClassVar[type | None] = None
    names: ClassVar[str | None] = None
    """Pattern of names of poise's models of this kind; None where there are none."""

    annotations: list[Path]
    images: list[Path]
    val_annotations: list[Path] | None = None
    val_images: list[Path] | None = None
    skeleton: str | None = None
    fields: list[str] | None = None
    mirror: list[str] | None = None
    map: list[str] | None = None
    val_share: float | None = None
    split_seed: int | None = None
    model: str = "poise_s"
    pretrained: bool = False
    epochs: int = 100
    repeats: int | None = None
    pasted: float = 0.0
    val_every: int | None = None
    rate: float = 1e-3
    decay: float = 0.01
    backbone_rate: float = 1.0
    freeze_epochs: int = 0
    average: float = 0.998
    codec: str | None = None
    codec_set: list[str] | None = None

    @classmethod
    def types(cls) -> tuple[type["FinetuneOptions"], ...]:
        """The options of the types of models that poise has."""
        return TopDownOptions, BottomUpOptions, DetectorOptions

    @classmethod
    def by_name(cls, name: str | None = None) -> type["FinetuneOptions"] | None:
        """The options of a model of poise by its name; None for other names, which only the model itself can tell."""
        return next((kind for kind in cls.types() if re.fullmatch(kind.names or "", name or cls.model)), None)

    @classmethod
    def for_model(cls, name: str | None = None) -> type["FinetuneOptions"]:
        """The options of a model, whose network is built without weights.

        Raises:
            UnknownName: There is no such model.
            InputError: Its name asks for a network that cannot be.
        """
        with torch.device("meta"):
            return options_of(start_model(name or cls.model))

    def recipe(self) -> Recipe:
        """The run, without changes to the views: the common part of all types of models.

        Raises:
            InputError: Numbers of files and folders differ, a field or share that cannot be, or one that the model has not; or
                the model is of another type.
            UnknownName: There is no such model or codec.
        """
        check_count("--freeze-epochs", self.freeze_epochs, minimum=0)
        check_count("--repeats", 1 if self.repeats is None else self.repeats, minimum=1)
        mapping = None if self.map is None else KeypointMap.of(self.map)
        check_count("--val-every", 1 if self.val_every is None else self.val_every, minimum=1)
        train, val = self._data()
        train = with_pasted(train, self.pasted)
        made = require_trainable(self._built(train.skeleton))
        if options_of(made) is not type(self):
            raise InputError(f"{self.model} needs {options_of(made).__name__}, and these are {type(self).__name__}")
        self._set_fields(made)
        one_person = made.takes_boxes
        return Recipe(
            name="finetune",
            model=made,
            train=train,
            val=val,
            epochs=self.epochs,
            batch=32 if one_person else 16,
            base_batch=None if one_person else 32,
            augmentation=None,
            optimizer=Optimizer("adamw", rate=self.rate, decay=self.decay, backbone=self.backbone_rate),
            schedule=Schedule("cosine", warmup_steps=200, over_time=True),
            average=self.average,
            clip=1.0,
            best="pck@0.1" if "pck@0.1" in made.val_scores else made.val_scores[0],
            freeze_epochs=self.freeze_epochs,
            repeats=self.repeats,
            mapping=mapping and used_by(mapping, train),
            val_every=self.val_every,
            notes=f"keypoints of {train.skeleton.name}; OKS sigmas: {train.skeleton.sigma_source}",
        )

    def _built(self, skeleton: Skeleton) -> Model:
        """The model for these keypoints."""
        return start_model(self.model, skeleton=skeleton, pretrained=self.pretrained, codec=self.codec)

    def _set_fields(self, model: TrainableModel) -> None:
        """Change how it learns and is read."""
        set_codec(model, self.codec_set or ())

    def _data(self) -> tuple[Dataset, Dataset]:
        """The images to learn from, and those to validate on."""
        naming = naming_of(self.skeleton, self.fields or (), self.mirror or ())
        mapping = None if self.map is None else KeypointMap.of(self.map)
        if self.val_annotations is None:
            if self.val_images is not None:
                raise InputError(
                    "--val-images are the folders of --val-annotations, which are missing; give those, or leave both out"
                )
            share, seed = 0.1 if self.val_share is None else self.val_share, self.split_seed or 0
            if mapping is not None:
                split = mapped_split(self.annotations, self.images, naming=naming, mapping=mapping, val_share=share, seed=seed)
                return self._with_people(split[0]), split[1]
            return hold_out(self._with_people(joined(self.annotations, self.images, naming=naming)), share=share, seed=seed)
        shares = {"--val-share": self.val_share, "--split-seed": self.split_seed}
        given = [flag for flag, value in shares.items() if value is not None]
        if given:
            raise InputError(
                f"--val-annotations are what the run is checked on, and no image of --annotations is kept for that; leave "
                f"{' and '.join(given)} out"
            )
        train = joined(self.annotations, self.images, naming=naming, mapping=mapping)
        unpaired = naming and replace(naming, mirror=())
        folders = self.val_images or self.images
        val = joined(self.val_annotations, folders, skeleton=train.skeleton, naming=unpaired, mapping=mapping)
        return self._with_people(train), self._with_people(val)

    def _with_people(self, dataset: Dataset) -> Dataset:
        """The images that somebody labelled; the others may be those of an export that nobody has looked at yet."""
        return with_people(dataset)


@dataclass(frozen=True, kw_only=True)
class ViewOptions(FinetuneOptions, ABC):
    """Options for models whose views are augmented.

    Attributes:
        size: Height and width of the views, for `poise_t` and `poise_s` (by default 192x160), `poise_scene_t` and
            `poise_scene_s`, `poise_rcnn_t` and `poise_rcnn_s` (320x320). The larger one is the long side of whole images that
            the model is validated and used on.
        scale: Augmentation: relative change of the frame's size.
        rotation: Augmentation: degrees, one standard deviation.
        colour: Augmentation: relative change.
        drop: Drop information from views (AID, arXiv 2008.07139), in a second stage from the best weights of a plain one.
        drop_from: Share of the epochs that are plain, half of them by default; 0 drops from the start, in one stage.
    """

    size: tuple[int, int] | None = None
    scale: float = 0.3
    rotation: float = 40.0
    colour: float = 0.2
    drop: Dropping | None = None
    drop_from: float | None = None

    def recipe(self) -> Recipe:
        """The run, in one stage or two.

        Raises:
            InputError: As of all models; or a size or share that cannot be, or a flag that would change nothing.
            UnknownName: There is no such model or codec.
        """
        check_share("--scale", self.scale)
        if self.drop is None and self.drop_from is not None:
            raise InputError("--drop-from says when --drop begins, which is missing; give that, or leave both out")
        recipe = self._augmented(super().recipe())
        if self.drop is None:
            return recipe
        return dropping(recipe, self.drop, plain=0.5 if self.drop_from is None else self.drop_from)

    @abstractmethod
    def _augmented(self, recipe: Recipe) -> Recipe:
        """The recipe with the augmentation of the kind of model."""

    def _built(self, skeleton: Skeleton) -> Model:
        return start_model(self.model, size=self.size, skeleton=skeleton, pretrained=self.pretrained, codec=self.codec)


@dataclass(frozen=True, kw_only=True)
class TopDownOptions(ViewOptions):
    """Options for top-down models, which see one person at a time.

    Attributes:
        pck: Also measure PCK by these thresholds and units after each epoch, such as 0.05:map (on heatmaps, as the releases of
            animals do) or 0.2:torso; units are box, torso and map.
        half_body: Augmentation: probability of showing half a body.
        super_augmentation: The views of Learning from Synthetic Animals instead, for drawn or rendered data: half of them
            rotated, stretched and sheared with a random grey outside, half each with noise, blur, another contrast.
        padding: Factor on the box that a view shows, or on the circle of an aligned one; the model's own by default (1.25).
        whole_image: Each image shows one person or animal, who is learnt in the whole image: `poise predict` then needs neither
            boxes nor a detector. The views have no padding, and the best epoch is chosen by AP.
        align: Aligned views as of BlazePose: `circle` cuts them around the circle of the body, `rotated` also turns the body
            upright. The pose of a prediction is read in a second view, which the first one tells.
        alignment_keypoints: Learn and predict the circle's centre and top beside the body's keypoints; without them hips and
            shoulders tell the alignment.
        missing: Treatment of people whose labels do not give the alignment: `mask` leaves their alignment keypoints out
            of the loss, `keep` takes these from the box, `drop` does not train on them.
        axis_centre: Keypoints whose mean is the centre of the circle; the hips by default.
        axis_top: Keypoints whose mean lies above it when the body is upright; the shoulders by default.
    """

    kind: ClassVar[str] = "top-down models"
    augmentation_type: ClassVar[type | None] = Augmentation
    names: ClassVar[str | None] = (
        r"poise_[ts]|(poise_[ts](?![a-z])|(darkpose_|udp_|deeplabcut3_)?(hrnet|poseresnet|hourglass)|cpn|lpn|mspn|rsn|timm)"
        r"(?!.*rcnn).*_\d+x\d+|(litehrnet|mobilenetv2).*_\d+x\d+"
        r"|blazepose_(?!detector).*|(rtmpose|dwpose|rtmw|vitpose|grmi)_.*"
    )

    pck: list[str] | None = None
    half_body: float = 0.0
    super_augmentation: bool = False
    padding: float | None = None
    whole_image: bool = False
    align: Literal["circle", "rotated"] | None = None
    alignment_keypoints: bool = True
    missing: Literal["keep", "mask", "drop"] | None = None
    axis_centre: tuple[str, ...] = ()
    axis_top: tuple[str, ...] = ()

    def _data(self) -> tuple[Dataset, Dataset]:
        train, val = super()._data()
        if self.align is None:
            self._refuse_alignment()
            if self.whole_image:
                return WholeImages(train), WholeImages(val)
            return train, val
        if self.whole_image:
            raise InputError("--align cuts views around bodies, and --whole-image takes all of an image; leave one of them out")
        axis, missing, keypoints = self._axis, self.missing or "mask", self.alignment_keypoints
        learnt = AlignedDataset(train, axis=axis, missing=missing, keypoints=keypoints)
        return learnt, AlignedDataset(val, axis=axis, missing=missing, keypoints=keypoints)

    @property
    def _axis(self) -> BodyAxis:
        return BodyAxis(self.axis_centre or BodyAxis.centre, self.axis_top or BodyAxis.top)

    def _refuse_alignment(self) -> None:
        own = {f.name: f.default for f in fields(TopDownOptions)}
        names = ("missing", "axis_centre", "axis_top", "alignment_keypoints")
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) != own[name]]
        if given:
            raise InputError(f"{' and '.join(given)} change nothing without --align; give that, or leave them out")

    def _built(self, skeleton: Skeleton) -> Model:
        model = super()._built(skeleton)
        if type(model) is not TopDown:
            return self._of_other_kind(model)
        if self.padding is not None:
            check_positive("--padding", self.padding)
            model.preprocess = replace(model.preprocess, padding=self.padding)
        if self.whole_image:
            model.card = replace(model.card, whole_image=True)
            model.preprocess = replace(model.preprocess, padding=self.padding or 1.0)
        if self.align is None:
            return model
        views = AlignedPreprocess(
            padding=model.preprocess.padding,
            rotate=self.align == "rotated",
            axis_centre=self._axis.centre,
            axis_top=self._axis.top,
        )
        return AlignedTopDown.of(model, views)

    def _refuse_amounts(self) -> None:
        own = {f.name: f.default for f in fields(TopDownOptions)}
        names = ("scale", "rotation", "colour", "half_body")
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) != own[name]]
        if given:
            raise InputError(f"--super-augmentation has amounts of its own; leave {' and '.join(given)} out")

    def _of_other_kind(self, model: Model) -> Model:
        flags = {"--align": self.align, "--padding": self.padding, "--whole-image": self.whole_image or None}
        given = [flag for flag, value in flags.items() if value is not None]
        if given:
            raise InputError(
                f"{' and '.join(given)} change how views are cut out of boxes, and {self.model} cuts its own; leave them out"
            )
        return model

    def _augmented(self, recipe: Recipe) -> Recipe:
        if self.size not in (None, recipe.model.codec.size):
            h, w = recipe.model.codec.size
            raise InputError(
                f"{self.model} has views of {h}x{w} (height x width) by its name; say another size there, and leave --size out"
            )
        views = Augmentation(scale=self.scale, rotation=self.rotation, colour=self.colour, half_body=self.half_body)
        if self.super_augmentation:
            self._refuse_amounts()
            views = SUPER
        measures = parse_measures(self.pck or ())
        best = "AP" if self.whole_image else recipe.best  # PCK by the box would be by the size of the image
        return replace(recipe, augmentation=views, task=measured(measures) if measures else recipe.task, best=best)


@dataclass(frozen=True, kw_only=True)
class BottomUpOptions(ViewOptions):
    """Options for bottom-up models, which see whole images and group keypoints into people."""

    kind: ClassVar[str] = "bottom-up models"
    augmentation_type: ClassVar[type | None] = SceneAugmentation
    names: ClassVar[str | None] = (
        r"poise_scene_[ts]|(poise_scene_[ts]|offsetguided_).*_\d+x\d+|(rtmo_[tsml]|higherhrnet_w\d+|dekr_w\d+)(_.*)?"
    )

    def _augmented(self, recipe: Recipe) -> Recipe:
        if self.size is not None:
            check_views(require_pose(recipe.model), self.size)
        scale_range = (1 - self.scale, 1 + 2 * self.scale)
        views = replace(PHOTO_VIEWS, scale_range=scale_range, rotation=self.rotation, colour=self.colour)
        return replace(recipe, augmentation=views, size=self.size, clip=CLIP)


@dataclass(frozen=True, kw_only=True)
class DetectorOptions(ViewOptions):
    """Options for detectors, which find boxes in whole images, and the keypoints in each, or masks, or boxes alone.

    Attributes:
        mosaic: Augmentation: probability of four images in one view.
        empty: Train on images without people too, and on those whose people have no labelled keypoints; for files in which
            somebody has looked through all images.
        detecting_set: Fields of the detector's configuration, such as `learning.copies=2` (APDI as we read it) or
            `learning.truth=false`.
    """

    kind: ClassVar[str] = "detectors"
    augmentation_type: ClassVar[type | None] = DetectorAugmentation
    names: ClassVar[str | None] = (
        r"poise_(rcnn|fcos)_[ts]|poise_(rcnn|fcos)_[ts]_.*_\d+x\d+|((maskrcnn|maskrcnn_hr|torchvision|detectron2)_)?"
        r"(keypoint_rcnn|keypoint_mask_rcnn|mask_rcnn|faster_rcnn)_.*"
        r"|keypoint_fcos_.*"
    )

    mosaic: float = 0.0
    empty: bool = False
    detecting_set: list[str] | None = None

    def _built(self, skeleton: Skeleton) -> Model:
        with torch.device("meta"):
            alone = not start_model(self.model).finds_keypoints
        if alone:
            return start_model(self.model, pretrained=self.pretrained, codec=self.codec)
        return super()._built(skeleton)

    def _with_people(self, dataset: Dataset) -> Dataset:
        return dataset if self.empty else with_people(dataset, hint="; --empty learns that nobody is there")

    def _set_fields(self, model: TrainableModel) -> None:
        if self.codec_set:
            check_codec(model, "--codec-set")
        set_words(require_box_finder(model), codec=self.codec_set or (), config=self.detecting_set or ())

    def _augmented(self, recipe: Recipe) -> Recipe:
        self._check_size()
        side = recipe.model.preprocess.side
        views = DetectorAugmentation(
            sides=tuple(round(side * factor) for factor in (1 - self.scale, 1.0, 1 + self.scale)),
            max_side=2 * side,
            rotation=self.rotation,
            crop=0.3,
            colour=self.colour,
            mosaic=self.mosaic,
        )
        return replace(recipe, augmentation=views, empty=self.empty, clip=CLIP)

    def _check_size(self) -> None:
        if self.size is None:
            return
        if self.model not in SMALL:
            raise InputError(f"{self.model} looks at images as large as its name says, or of any size; leave --size out")
        if self.size[0] != self.size[1]:
            raise InputError(
                f"{self.model} is shown images by their long side, and the smaller number of --size {self.size[0]} "
                f"{self.size[1]} would change nothing; give --size {max(self.size)} {max(self.size)}"
            )


def finetune(options: FinetuneOptions) -> Recipe:
    """Train on one or several COCO-style keypoint files, with any keypoints; several are joined by keypoint name.

    For example:

        poise train finetune --annotations mine.json --images photos --minutes 60 --out runs/mine

    A top-down network takes any codec:

        poise train finetune --annotations mine.json --images photos --model hrnet_w32_coco_256x192 --codec UDPOffset

    A bottom-up model is trained on whole images, and finds people by itself:

        poise train finetune --annotations mine.json --images photos --model poise_scene_s --minutes 60

    So is a detector, which finds boxes and the keypoints in each:

        poise train finetune --annotations mine.json --images photos --model poise_rcnn_t --mosaic 0.3 --minutes 60

    The flags are those of the type of model: `poise train finetune --model poise_rcnn_t --help` shows those of detectors. The
    older name `poise train own` does the same. A cosine over the epochs, or over --minutes where they are given and end
    earlier. Score and time depend on the data; docs/results.md has those of real people on two CPU cores.

    Args:
        options: Options for the type of the model.

    Raises:
        InputError: Numbers of files and folders differ, a field or share that cannot be, or one that the model has not, or a
            flag that would change nothing.
        UnknownName: There is no such model or codec.
    """
    return options.recipe()


def options_of(model: Model) -> type[FinetuneOptions]:
    """The options of a type of model: those of its augmentation; for a user's own type those of all models.

    Args:
        model: Model, with or without weights.
    """
    views = getattr(model, "augmentation_type", None)
    found = [options for options in FinetuneOptions.types() if views is not None and views is options.augmentation_type]
    return found[0] if found else FinetuneOptions
