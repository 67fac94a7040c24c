"""Training of two-stage detectors, with keypoints or without: views, boxes and masks of a validation, and their scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp
from poise.metrics import coco_format
from poise.metrics.boxes import evaluate_boxes
from poise.metrics.masks import evaluate_masks
from poise.models.base import TrainableModel
from poise.models.rcnn_losses import RCNNLosses
from poise.models.rcnn_masks import labelled_masks, mask_rows, pasted_lengths
from poise.models.values import Detections
from poise.models.views.base import TrainData
from poise.models.views.detector import DetectorViews
from poise.scenes import Canvas, SceneBatch
from poise.skeletons import Skeleton
from poise.transforms.canvas import boxes_to_image
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import DetectorAugmentation

MASK_SAMPLE = 50
"""Images that are checked for masks before a mask head is trained."""

CATEGORY = 1
"""Category id of people in the labels of a validation."""


class DetectorTraining(RCNNLosses, TrainableModel):
    """Base of the detectors that are trained: views of whole images, boxes and masks that are validated."""

    augmentation_type = DetectorAugmentation

    @property
    def learns_masks(self) -> bool:
        """Whether there is a mask head and its loss counts."""
        return self.network.mask is not None and self.config.weights.masks > 0

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        keypoints = () if self.codec is None else ("keypoints",)
        masks = ("masks",) if self.learns_masks else ()
        return ("objectness", "proposals", "classes", "boxes", *keypoints, *masks)

    @property
    def mask_scores(self) -> tuple[str, ...]:
        """Names of the scores of masks, where they are learnt."""
        return ("mask AP", "mask AP50") if self.learns_masks else ()

    def train_size(self, data: TrainData) -> Size:
        """A typical size of training views (h, w), for the cost: a square of the usual short side. Views have many sizes."""
        multiple = self.preprocess.multiple
        side = -(-self.preprocess.side // multiple) * multiple
        return side, side

    def train_views(self, data: TrainData, *, seed: int) -> DetectorViews:
        """Random views of the images with labelled people; of all images with `TrainData.empty`."""
        if data.select or data.size or not isinstance(data.augmentation, DetectorAugmentation | None):
            raise InputError(
                f"recipe {data.name!r}: {self.card.name} looks for boxes in whole images; a DetectorAugmentation "
                f"changes these and says how large they are, not a {type(data.augmentation).__name__} or `size`, and no "
                "people are selected"
            )
        every = range(len(data.dataset)) if data.empty else self._images(data.dataset)
        if not every:
            raise InputError(data.no_people_message())
        if self.learns_masks:
            self._check_masks(data.dataset, every)
        crop, random = self._crop(data.dataset, data.augmentation), data.augmentation is not None
        return DetectorViews(data.dataset, crop, seed=seed, images=every, random=random, masks=self.learns_masks)

    def val_views(self, dataset: Dataset, *, seed: int) -> DetectorViews:
        """All images, resized as in inference."""
        if not self._images(dataset):
            what = "a person" if self.codec is None else "a person with a labelled keypoint"
            raise InputError(f"none of the {len(dataset)} images to check on has {what}")
        every = range(len(dataset))
        return DetectorViews(dataset, self._crop(dataset), seed=seed, images=every, random=False, masks=self.learns_masks)

    def _images(self, dataset: Dataset) -> Sequence[int]:
        """The images with somebody to learn from: with a labelled keypoint, or without keypoints with a box."""
        if self.codec is not None:
            return list(dict.fromkeys(i for i, _ in dataset.people()))
        return [i for i in range(len(dataset)) if not bool(dataset.labels(i).crowd.all())]

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The feature maps; the heads have outputs only where there are proposals."""
        maps: list[Tensor] = self(images)
        return maps

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """The labels of all images as COCO annotations, the index of an image its id; "masks" are those with a mask."""
        labels = {image: dataset.labels(image) for image in range(len(dataset))}
        whole = coco_format.to_coco_annotations(labels, dataset.skeleton)
        if not self.learns_masks:
            return whole
        sizes = {image: dataset.masks(image) for image in labels}
        images = [
            {"id": image} | ({} if masks is None else {"height": masks.shape[1], "width": masks.shape[2]})
            for image, masks in sizes.items()
        ]
        return whole | {"images": images, "masks": labelled_masks(dataset, list(labels), category=CATEGORY)}

    def box_and_mask_scores(self, truth: Mapping[str, Any], found: Mapping[int, Detections]) -> dict[str, float]:
        """AP and AR of boxes and masks by the COCO protocols, by name such as "box AP"; masks -1 where nobody has one.

        Args:
            truth: What `truth` gave.
            found: Boxes of each image, pixels of the image, perhaps with masks.
        """
        boxes: list[dict[str, Any]] = []
        masks: list[dict[str, Any]] = []
        sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"] if "height" in image}
        for image, own in sorted(found.items()):
            categories = [CATEGORY] * len(own.boxes)
            boxes += coco_format.to_coco_box_results(own.boxes, own.score, image=image, categories=categories)
            if self.learns_masks and own.masks is not None and image in sizes:
                lengths = pasted_lengths(own.masks, own.boxes, sizes[image])
                masks += mask_rows(lengths, own.score, image=image, categories=categories)
        numbers = {f"box {name}": value for name, value in evaluate_boxes(truth, boxes).numbers.items()}
        if not self.learns_masks:
            return numbers
        if not truth["masks"]:
            return numbers | dict.fromkeys(self.mask_scores, -1.0)
        scored = evaluate_masks({**truth, "annotations": truth["masks"]}, masks)
        return numbers | {f"mask {name}": value for name, value in scored.numbers.items()}

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, and the corners of all boxes."""
        scenes = batch.scenes
        return torch.cat((scenes.xy[scenes.visible > 0], scenes.boxes.reshape(-1, 2)))

    def _check_masks(self, dataset: Dataset, images: Sequence[int]) -> None:
        """Refuse data without masks where a mask head learns."""
        sample = images[:: -(-len(images) // MASK_SAMPLE)]
        found = (dataset.masks(image) for image in sample)
        if not any(masks is not None and bool(masks.any()) for masks in found):
            raise InputError(
                f"{self.card.name} has a mask head, and none of the {len(sample)} images checked has a mask (`segmentation`); "
                "take files with masks, or switch the loss off: --detecting-set weights.masks=0"
            )

    def _crop(self, dataset: Dataset, augmentation: DetectorAugmentation | None = None) -> DetectorCrop:
        skeleton: Skeleton = self.skeleton or dataset.skeleton
        return DetectorCrop(self.preprocess, skeleton, augmentation or DetectorAugmentation())


def detections_to_image(found: Detections, warp: Warp, canvas: Canvas) -> Detections:
    """Detections of a view in pixels of its image, on the CPU.

    Args:
        found: Boxes, pixels of the view.
        warp: Affine map from image to view (3 3).
        canvas: Canvas of the model, which says the pixel convention of boxes.
    """
    masks = None if found.masks is None else found.masks.float().cpu()
    return Detections(boxes_to_image(canvas, warp, found.boxes.float().cpu()), found.score.float().cpu(), masks)
