"""The boxes of two-stage detectors as boxes of people in an image: shared by models with keypoints and without."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from poise.dims import Size
from poise.models.base import BoxFinder
from poise.models.card import Card
from poise.models.postprocess import FlipPass, feature_maps, find_boxes, flip_passes, suppressed
from poise.models.rcnn_config import RCNNConfig
from poise.models.rcnn_masks import with_masks
from poise.models.values import Detections, Image, ImageViews, Part
from poise.nn.base import Feature
from poise.scenes import Canvas
from poise.transforms.canvas import Layout, boxes_to_image, canvas_layout


class RCNNBoxes(BoxFinder):
    """Base of Keypoint R-CNN, Faster R-CNN and Mask R-CNN: preprocessing of images, and detection of boxes.

    Attributes:
        network: An `RCNN`, or an `FCOS`.
        preprocess: How images are resized and normalised.
        config: Thresholds, NMS, and the class of people.
        codec: Codec of the keypoint head, in models with keypoints.
        card: Name, architecture, licence, scores.
    """

    runtime_parts: ClassVar[tuple[Part, ...]] = (
        Part("backbone", free=(2, 3)),
        Part("rpn.head", free=(2, 3)),
        Part("box.head"),
        Part("keypoint.head"),
    )
    network: Any
    preprocess: Canvas
    config: RCNNConfig
    codec: Any
    card: Card

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """Feature maps of normalised views; float32 whatever precision the network computed in."""
        return feature_maps(self.network, images)

    @property
    def input_text(self) -> str:
        """Size and rule of the resize."""
        return self.preprocess.text

    def settings_text(self) -> dict[str, str]:
        """Thresholds, NMS and scores."""
        return {"people found": ", ".join(f"{name}={value}" for name, value in self.config.reading.items())}

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """The whole image, once for each of the canvas' scales."""
        canvas, size = self.preprocess, (image.shape[1], image.shape[2])
        layouts = [canvas_layout(canvas, size, factor) for factor in canvas.scales]
        return ImageViews([layout.render(image, canvas) for layout in layouts], layouts)

    def find(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[Detections]:
        """The boxes of people in each view, highest confidence first; the flip test averages plain and mirrored views.

        Args:
            images: Normalised views; smaller ones are padded at the right and below.
            flip: Whether to average with the mirrored views.
            sizes: Size (h, w) of each view without its padding; boxes end there. The whole view by default.
        """
        return self.found(self.passes(images, flip=flip, sizes=sizes))

    def found(self, both: list[FlipPass]) -> list[Detections]:
        """The boxes of people in each view.

        Args:
            both: The plain views, and for the flip test the mirrored ones.
        """
        return find_boxes(self.network, both, self.config)

    def passes(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[FlipPass]:
        """The views with their feature maps; with the flip test the mirrored ones, too.

        Raises:
            SkeletonMismatch: The flip test is wanted and the skeleton has no mirror pairs.
        """
        if flip:
            self.check_flip()
        return flip_passes(self.network, images, canvas=self.preprocess, flip=flip, sizes=sizes)

    def check_flip(self) -> None:
        """Boxes need no mirror pairs."""

    def boxes(
        self, images: Float[Tensor, "b 3 h w"], views: Sequence[tuple[ImageViews, int]], *, flip: bool, masks: bool = False
    ) -> list[Detections]:
        """The boxes in each view of a batch, in its pixels, perhaps with masks."""
        if not masks or self.network.mask is None:
            return self.find(images, flip=flip, sizes=filled_sizes(views))
        both = self.passes(images, flip=flip, sizes=filled_sizes(views))
        return with_masks(self.network, both, self.found(both), person=self.config.person)

    def joined_boxes(self, views: ImageViews, answers: Sequence[Detections]) -> Detections:
        """The boxes of an image, pixels, highest confidence first, and their confidences; several scales are joined by NMS."""
        layouts: list[Layout] = views.layout
        pairs = list(zip(answers, layouts, strict=True))
        every = torch.cat([boxes_to_image(self.preprocess, own.warp, found.boxes.cpu().float()) for found, own in pairs])
        score = torch.cat([found.score.cpu().float() for found in answers])
        if len(answers) > 1:
            best, score = suppressed(every, score, self.config)
        else:
            score, best = score.sort(descending=True, stable=True)
        masks = [found.masks.cpu().float() for found in answers if found.masks is not None]
        return Detections(every[best], score, torch.cat(masks)[best] if masks else None)

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[RCNNConfig], RCNNConfig]) -> None:
        """Change the configuration; a model with keypoints changes its codec with it.

        Args:
            codec: Function from the codec to the new codec; unused without keypoints.
            config: Function from the configuration to the new configuration.

        Raises:
            InputError: Codec and configuration do not go together.
        """
        self.config = config(self.config)

    def config_to_plain(self) -> dict[str, Any]:
        """The configuration as a model file keeps it."""
        return {"detecting": asdict(self.config)}


def config_from_plain(values: Mapping[str, Any]) -> RCNNConfig:
    """The configuration that `config_to_plain` wrote."""
    return RCNNConfig.of(values["detecting"])


def filled_sizes(views: Sequence[tuple[ImageViews, int]]) -> list[Size]:
    """Sizes (h, w) of some views without padding."""
    return [own.layout[index].filled_size for own, index in views]
