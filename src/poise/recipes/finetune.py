"""Runs on a user's own COCO-style keypoint files, for every type of model."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from poise.data.base import Dataset
from poise.data.subset import with_people
from poise.errors import InputError
from poise.models.base import Model, TrainableModel
from poise.models.require import require_box_finder, require_pose
from poise.recipes.base import Recipe
from poise.recipes.fields import check_codec, set_words
from poise.recipes.finetune_options import FinetuneOptions, ViewOptions
from poise.recipes.finetune_top_down import TopDownOptions
from poise.recipes.ranges import check_views
from poise.recipes.scenes import CLIP, PHOTO_VIEWS
from poise.recipes.start import SMALL, start_model
from poise.skeletons import Skeleton
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.scene_jitter import SceneAugmentation

__all__ = ["BottomUpOptions", "DetectorOptions", "FinetuneOptions", "TopDownOptions", "finetune"]


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
