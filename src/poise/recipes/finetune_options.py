"""Options of runs on a user's own files that all types of models have."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch

from poise.data.base import Dataset
from poise.data.naming import naming_of
from poise.data.pasted import with_pasted
from poise.data.subset import hold_out, with_people
from poise.errors import InputError
from poise.models.base import Model, TrainableModel
from poise.models.require import require_trainable
from poise.recipes.base import ModelOptions, Optimizer, Recipe, Schedule
from poise.recipes.dropping import Dropping, dropping
from poise.recipes.fields import set_codec
from poise.recipes.files import joined, mapped_split, used_by
from poise.recipes.ranges import check_count, check_share
from poise.recipes.start import start_model
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap

_TYPES: list[type["FinetuneOptions"]] = []
"""Options of the types of models, in the order in which they are defined."""


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
        """The options of the types of models that poise has: every class that says its augmentation."""
        return tuple(_TYPES)

    def __init_subclass__(cls) -> None:
        """List the options of a type of models."""
        if "augmentation_type" in vars(cls):
            _TYPES.append(cls)

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


def options_of(model: Model) -> type[FinetuneOptions]:
    """The options of a type of model: those of its augmentation; for a user's own type those of all models.

    Args:
        model: Model, with or without weights.
    """
    views = getattr(model, "augmentation_type", None)
    found = [options for options in FinetuneOptions.types() if views is not None and views is options.augmentation_type]
    return found[0] if found else FinetuneOptions
