"""Detectors without keypoints: Faster R-CNN (arXiv 1506.01497), or Mask R-CNN (arXiv 1703.06870)."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.models.card import Card
from poise.models.detector_training import DetectorTraining, detections_to_image
from poise.models.pictures import IMAGES, Picture, boxes_picture
from poise.models.rcnn_boxes import config_from_plain
from poise.models.rcnn_config import RCNNConfig
from poise.models.rcnn_masks import with_masks
from poise.models.values import Detections
from poise.models.views.scene import answered_alike
from poise.scenes import Canvas, SceneBatch


class BoxDetector(DetectorTraining):
    """Network, preprocessing, how the answers are made boxes of people, and how boxes and masks are learnt.

    Args:
        network: An `RCNN` with a box head; a mask head runs where masks are asked for.
        preprocess: How images are resized and normalised.
        card: Name, architecture, licence, scores.
        config: Thresholds, which class people are, sampling of proposals, loss weights; what it says of keypoints does not
            matter.

    Raises:
        InputError: The network has no box head.
    """

    kind = "box-detector"
    preprocess_type = Canvas
    finds_boxes = True
    default_batch = 2

    def __init__(self, network: Any, preprocess: Canvas, card: Card, config: RCNNConfig | None = None) -> None:
        super().__init__()
        self.check_heads(network, card.name)
        self.network = network
        self.preprocess = preprocess
        self.card = card
        self.config = config or RCNNConfig()

    @staticmethod
    def check_heads(network: Any, name: str) -> None:
        """Refuse a network without a box head.

        Raises:
            InputError: It has none.
        """
        if network.box is None:
            raise InputError(f"{name!r} has no box head, so it finds no boxes of people; build a detector that has one")

    @property
    def output_text(self) -> str:
        """What the model finds, as text."""
        return "boxes of people" if self.network.mask is None else "boxes and masks of people"

    # training

    @property
    def val_scores(self) -> tuple[str, ...]:
        """AP and AR of boxes, and AP of masks where they are learnt."""
        return ("box AP", "box AP50", "box AR100", *self.mask_scores)

    def validate(self, batch: SceneBatch) -> tuple[dict[str, Float[Tensor, ""]], list[Detections]]:
        """The loss of sampled proposals, and the boxes found in each view, with masks where they are learnt; of its image."""
        losses = self.losses(batch)
        found = answered_alike(batch, self.preprocess.multiple, self._detect)
        return losses, [
            detections_to_image(own, warp, self.preprocess) for own, warp in zip(found, batch.warps.cpu(), strict=True)
        ]

    def _detect(self, images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[Detections]:
        """The boxes in views of one size."""
        both = self.passes(images, flip=False, sizes=sizes)
        found = self.found(both)
        return with_masks(self.network, both, found, person=self.config.person) if self.learns_masks else found

    def score(self, truth: Mapping[str, Any], found: Mapping[int, Detections]) -> dict[str, float]:
        """AP and AR of boxes and masks, by the COCO protocols."""
        numbers = self.box_and_mask_scores(truth, found)
        return {name: numbers[name] for name in self.val_scores}

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """Labelled and predicted boxes and masks."""
        batch = batch.first(IMAGES)
        found = self._detect(batch.images, list(batch.content_size))
        return boxes_picture(batch, found, canvas=self.preprocess, min_score=self.config.score)

    # files

    def to_plain(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return self.config_to_plain()

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "BoxDetector":
        """The model that `to_plain` wrote."""
        return cls(network, preprocess, card, config_from_plain(values))
