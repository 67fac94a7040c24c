"""Options of runs of top-down models on a user's own files."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

from poise.data.aligned import AlignedDataset
from poise.data.base import Dataset
from poise.data.whole_images import WholeImages
from poise.errors import InputError
from poise.metrics.measure_names import parse_measures
from poise.models.aligned import AlignedTopDown
from poise.models.base import Model
from poise.models.top_down import TopDown
from poise.recipes.base import Recipe
from poise.recipes.finetune_options import ViewOptions
from poise.recipes.ranges import check_positive
from poise.skeletons import Skeleton
from poise.skeletons.alignment import BodyAxis
from poise.training.measured_task import measured
from poise.transforms.aligned_crop import AlignedPreprocess
from poise.transforms.jitter import SUPER, Augmentation


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
