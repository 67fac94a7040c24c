"""Detectors without keypoints: Faster R-CNN (arXiv 1506.01497), or Mask R-CNN (arXiv 1703.06870)."""

from collections.abc import Mapping
from typing import Any

from poise.errors import InputError
from poise.models.base import ImageModel
from poise.models.card import Card
from poise.models.rcnn_boxes import RCNNBoxes, config_from_plain
from poise.models.rcnn_config import RCNNConfig
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas


class BoxDetector(RCNNBoxes, ImageModel):
    """Network, preprocessing, and how the answers are made boxes of people.

    Args:
        network: Backbone, region proposals and a box head; a mask head runs where masks are asked for.
        preprocess: How images are resized and normalised.
        card: Name, architecture, licence, scores.
        config: Thresholds, and which class people are; what it says of keypoints and of learning does not matter.

    Raises:
        InputError: The network has no box head.
    """

    kind = "box-detector"
    preprocess_type = Canvas
    finds_boxes = True
    default_batch = 2

    def __init__(self, network: RCNN, preprocess: Canvas, card: Card, config: RCNNConfig | None = None) -> None:
        super().__init__()
        if network.box is None:
            raise InputError(f"{card.name!r} has no box head, so it finds no boxes of people; build a detector that has one")
        self.network = network
        self.preprocess = preprocess
        self.card = card
        self.config = config or RCNNConfig()

    @property
    def output_text(self) -> str:
        """What the model finds, as text."""
        return "boxes of people" if self.network.mask is None else "boxes and masks of people"

    def to_plain(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return self.config_to_plain()

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "BoxDetector":
        """The model that `to_plain` wrote."""
        return cls(network, preprocess, card, config_from_plain(values))
