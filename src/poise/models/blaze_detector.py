"""BlazePose's detector as a detector of people's boxes, for other top-down models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.decoding.blaze_boxes import MIN_SCORE
from poise.errors import InputError
from poise.models.base import BoxFinder, ImageModel
from poise.models.blaze_pipeline import circle_boxes, detections, detector_view
from poise.models.card import Card
from poise.models.values import Detections, Image, ImageViews
from poise.nn.blaze.detector import SIDE, DetectorNet
from poise.structures import Normalization


@final
@dataclass(frozen=True)
class BlazeDetecting:
    """How the detector finds people.

    Attributes:
        min_score: Lowest confidence of an anchor that counts; 0.5 in MediaPipe.
    """

    min_score: float = MIN_SCORE

    def __post_init__(self) -> None:
        """Refuse a confidence that none or all anchors have."""
        if not 0 < self.min_score <= 1:
            raise InputError(f"min_score of this detector is a number above 0 up to 1, found {self.min_score}")


@final
class BlazeDetector(BoxFinder, ImageModel):
    """The detector; the box of a person is that of the circle around the body, as far as it lies in the image.

    Args:
        network: `nn.blaze.detector.DetectorNet`.
        preprocess: Not asked: the view is always the official one.
        card: Name, architecture, licence, scores.
        config: How people are found.
    """

    kind = "blaze-detector"
    preprocess_type = Normalization
    finds_boxes: ClassVar[bool] = True
    default_batch: ClassVar[int] = 8
    exact: ClassVar[bool] = True

    def __init__(
        self, network: DetectorNet | nn.Module, preprocess: Normalization, card: Card, config: BlazeDetecting | None = None
    ) -> None:
        super().__init__()
        self.network, self.preprocess, self.card = network, preprocess, card
        self.config = config or BlazeDetecting()

    @property
    def input_text(self) -> str:
        """Size of the view."""
        return f"whole images in the middle of {SIDE} x {SIDE} pixels"

    @property
    def output_text(self) -> str:
        """What it finds, in words."""
        return "boxes of people"

    @property
    def flip(self) -> bool:
        """The release has no flip test."""
        return False

    def check_flip(self) -> None:
        """Refuse the flip test.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.card.name} is used as it was published, without a flip test; leave out --flip (flip=)")

    def settings_text(self) -> dict[str, str]:
        """The lowest score."""
        return {"people found": f"min_score={self.config.min_score}"}

    def views(self, image: Image) -> ImageViews:
        """The whole image."""
        return ImageViews([detector_view(image)], (image.shape[1], image.shape[2]))

    def boxes(
        self, images: Float[Tensor, "b 3 h w"], views: Sequence[tuple[ImageViews, int]], *, flip: bool, masks: bool = False
    ) -> list[Any]:
        """The boxes of each image in its pixels, with their confidences."""
        with torch.autocast(images.device.type, enabled=False):
            boxes, logits = self.network(images.float())
        each = [
            detections(numbers, logit, own.layout, min_score=self.config.min_score)
            for numbers, logit, (own, _) in zip(boxes, logits, views, strict=True)
        ]
        return [(circle_boxes(found, own.layout), found.score) for found, (own, _) in zip(each, views, strict=True)]

    def joined_boxes(self, views: ImageViews, answers: Sequence[Any]) -> Detections:
        """The boxes of an image, highest confidence first."""
        [(boxes, score)] = answers
        return Detections(boxes, score)

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[BlazeDetecting], BlazeDetecting]) -> None:
        """Change how people are found.

        Args:
            codec: Unused: there are no keypoints.
            config: Function from the configuration to the new one.
        """
        self.config = config(self.config)

    def to_plain(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return {"detecting": asdict(self.config)}

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "BlazeDetector":
        """The model that `to_plain` wrote."""
        return cls(network, preprocess, card, BlazeDetecting(**values["detecting"]))
