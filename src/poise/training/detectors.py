"""Training of detectors with keypoints: on whole images with boxes in them, checked by boxes and by keypoints."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import apply, invert
from poise.metrics import coco, coco_format
from poise.metrics.boxes import evaluate_boxes
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.scenes import Canvas, People, SceneBatch, SceneView
from poise.structures import Sample
from poise.training.data import Views
from poise.training.pictures import Picture, detector_picture
from poise.training.recipe import Recipe
from poise.training.scenes import each_among_alike, grown
from poise.training.task import Task, summed
from poise.transforms.canvas import boxes_home
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import DetectorAugmentation

PARTS = ("objectness", "proposals", "classes", "boxes", "keypoints")
"""Of the loss of a detector with keypoints."""

LOOKED_AT = 50
"""Images that are asked whether anybody is outlined."""


@final
class DetectorViews(Views[SceneView, SceneBatch]):
    """Images of a data set as views with boxes, each of its own size; as tested, or random, or four in one.

    Args:
        dataset: Where the images are.
        cutter: Brings them to views.
        seed: Of all chances.
        images: Which of them, by their indices.
        random: Whether the cutter's augmentation is used.
        masks: Whether people's outlines are asked for.
    """

    def __init__(
        self,
        dataset: Dataset,
        cutter: DetectorCrop,
        *,
        seed: int,
        images: Sequence[int],
        random: bool = True,
        masks: bool = False,
    ) -> None:
        super().__init__(dataset, seed=seed)
        self.cutter = cutter
        self.images = images
        self.random = random
        self.masks = masks

    def __len__(self) -> int:
        """How many views an epoch has."""
        return len(self.images)

    def image(self, row: int) -> int:
        """The image in that place."""
        return self.images[row]

    def sample(self, image: int) -> Sample:
        """The image, and where its labels say nothing."""
        return self.dataset.sample_with_masks(image) if self.masks else self.dataset.sample_with_ignore(image)

    def cut(self, sample: Sample, row: int, generator: torch.Generator) -> SceneView:
        """The view of the image in that place; perhaps with three others that chance takes."""
        if not self.random:
            return self.cutter.tested(sample)
        meeting = self.cutter.augmentation.meeting(generator)
        if meeting is None:
            return self.cutter(sample, generator)
        others = torch.randint(len(self), (3,), generator=generator).tolist()
        samples = [sample, *(self.sample(self.image(other)) for other in others)]
        return self.cutter.mosaic(samples, meeting, generator)

    def stack(self, views: list[SceneView]) -> SceneBatch:
        """Views to one batch, whose sides are multiples as the canvas says; smaller ones grow to the right and downwards."""
        multiple = self.cutter.canvas.multiple
        height, width = (-(-max(v.ignore.shape[side] for v in views) // multiple) * multiple for side in (0, 1))
        return SceneBatch.of([grown(view, (height, width)) for view in views])


@final
class DetectorTask(Task[SceneView, SceneBatch, People, Mapping[str, Any]]):
    """How a detector with keypoints is trained.

    The scores of keypoints are named as everywhere, those of boxes "box AP" and so on.
    """

    one = "image"
    unit = "images"
    checked = "whole images"
    scores = ("AP", "AP50", "AR", "box AP", "box AP50")
    told: tuple[str, ...] = PARTS

    def __init__(self, model: KeypointRCNN) -> None:
        self.model: KeypointRCNN = model
        self.masks = model.network.mask is not None and model.detecting.weights.masks > 0
        if self.masks:
            self.told = (*PARTS, "masks")

    def size(self, recipe: Recipe) -> Size:
        """Of square views as large as the short side usually is; views of training have many sizes."""
        multiple = self.model.preprocess.multiple
        side = -(-self.model.preprocess.side // multiple) * multiple
        return side, side

    def train_views(self, recipe: Recipe, *, seed: int) -> DetectorViews:
        """Random views of the images with somebody to learn from, or of all of them."""
        if recipe.select or recipe.size or not isinstance(recipe.augmentation, DetectorAugmentation | None):
            raise InputError(
                f"recipe {recipe.name!r}: {self.model.card.name} looks for boxes in whole images; a DetectorAugmentation "
                f"changes these and says how large they are, not a {type(recipe.augmentation).__name__} or `size`, and no "
                "people are selected"
            )
        every = range(len(recipe.train)) if recipe.empty else list(dict.fromkeys(i for i, _ in recipe.train.people()))
        if not every:
            raise InputError(
                f"none of the {len(recipe.train)} images has a person with a labelled keypoint and a box of positive size; "
                "`poise data check` tells why"
            )
        if self.masks:
            self._check_masks(recipe.train, every)
        cutter, random = self._cutter(recipe.augmentation), recipe.augmentation is not None
        return DetectorViews(recipe.train, cutter, seed=seed, images=every, random=random, masks=self.masks)

    def val_views(self, dataset: Dataset, *, seed: int) -> DetectorViews:
        """All images as the model's canvas says."""
        if not dataset.people():
            raise InputError(f"none of the {len(dataset)} images to check on has a person with a labelled keypoint")
        every = range(len(dataset))
        return DetectorViews(dataset, self._cutter(), seed=seed, images=every, random=False, masks=self.masks)

    def parts(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The model's, by name."""
        return self.model.losses(batch)

    def look(self, batch: SceneBatch) -> tuple[Float[Tensor, ""], list[People]]:
        """The loss of some proposals that chance draws, and the best people of each view in pixels of its image."""
        loss = summed(self.parts(batch))
        people, canvas = self._people(batch), self.model.preprocess
        return loss, [_at_home(own, warp, canvas) for own, warp in zip(people, batch.warps.cpu(), strict=True)]

    def _people(self, batch: SceneBatch) -> list[People]:
        """Those of each view, as inference finds them."""

        def answer(images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[People]:
            return self.model.predict(images, flip=False, sizes=sizes)

        return each_among_alike(batch, self.model.preprocess.multiple, answer)

    def answers(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The trunk's maps: the heads answer for boxes only, of which there may be none."""
        maps: list[Tensor] = self.model(images)
        return maps

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, and the corners of all boxes."""
        scenes = batch.scenes
        return torch.cat((scenes.xy[scenes.visible > 0], scenes.boxes.reshape(-1, 2)))

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """The labels of all images as COCO annotations, the index of an image its id."""
        return coco_format.to_coco_annotations(
            {image: dataset.labels(image) for image in range(len(dataset))}, dataset.skeleton
        )

    def score(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP and AR of keypoints and AP of boxes, by the COCO protocols."""
        poses: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for image in sorted(found):
            people = found[image]
            rating = people.pose_score if people.box_score is None else people.box_score
            categories = torch.ones(len(people), dtype=torch.int64)
            poses += coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=categories)
            boxes += coco_format.to_coco_box_results(people.boxes, rating, image=image, categories=categories.tolist())
        numbers = coco.evaluate(truth, poses, self.model.skeleton).numbers
        numbers |= {f"box {name}": value for name, value in evaluate_boxes(truth, boxes).numbers.items()}
        return {name: numbers[name] for name in self.scores}

    def picture(self, batch: SceneBatch) -> Picture:
        """Labels and boxes as they are and as they are found, with the maps in the labelled boxes."""
        return detector_picture(self.model, batch)

    def _check_masks(self, dataset: Dataset, images: Sequence[int]) -> None:
        """Refuse data without outlines, of which a mask head would learn nothing."""
        some = images[:: -(-len(images) // LOOKED_AT)]
        found = (dataset.masks(image) for image in some)
        if not any(masks is not None and bool(masks.any()) for masks in found):
            raise InputError(
                f"{self.model.card.name} has a mask head, and in {len(some)} images that were looked at nobody is outlined "
                "(`segmentation`); "
                "take files with outlines, or let it not learn: --detecting-set weights.masks=0"
            )

    def _cutter(self, augmentation: DetectorAugmentation | None = None) -> DetectorCrop:
        return DetectorCrop(self.model.preprocess, self.model.skeleton, augmentation or DetectorAugmentation())


def _at_home(people: People, warp: Float[Tensor, "3 3"], canvas: Canvas) -> People:
    """In pixels of the image, on the processor."""
    xy, score, rating, boxes = (part.float().cpu() for part in (people.xy, people.score, people.pose_score, people.boxes))
    sure = rating if people.box_score is None else people.box_score.float().cpu()
    return People(apply(invert(warp), xy.to(warp.dtype)).float(), score, rating, boxes_home(canvas, warp, boxes), sure)
