"""A detector without keypoints: Faster R-CNN (arXiv 1506.01497), or Mask R-CNN of which the boxes alone are asked."""

from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError
from poise.models.card import Card
from poise.models.network_part import LACKS
from poise.models.postprocess import Found, features_of, find_boxes, show
from poise.models.rcnn_config import RCNNConfig
from poise.nn.base import Feature
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas

POSED = tuple(name for name in LACKS if name != "preprocess")
"""What models with keypoints have beside what this has."""


@final
class BoxDetector(nn.Module):
    """Network, preprocessing, and how the answers are made boxes of people; whoever asks for keypoints gets an InputError.

    Args:
        network: Trunk, region proposals and a box head; a mask head is kept, and never asked.
        preprocess: How images are brought to the size of views and normalised.
        card: Name, architecture, licence, scores.
        detecting: Thresholds, and which class people are; what it says of keypoints and of learning does not matter.

    Raises:
        InputError: The network has no box head.
    """

    def __init__(self, network: RCNN, preprocess: Canvas, card: Card, detecting: RCNNConfig | None = None) -> None:
        super().__init__()
        if network.box is None:
            raise InputError(f"{card.name!r} has no box head, so it finds no boxes of people; build a detector that has one")
        self.network = network
        self.preprocess = preprocess
        self.card = card
        self.detecting = detecting or RCNNConfig()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps that everything else reads, for normalised views."""
        return features_of(self.network, images)

    def find(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[Found]:
        """The boxes of people in each view, the surest first; with the flip test the mean of both answers is read.

        Args:
            images: Normalised views; smaller ones are filled up at the right and below.
            flip: Whether to look at the mirrored views, too.
            sizes: Of each view without what fills it up (h, w); boxes end there. The whole view by default.
        """
        both = show(self.network, images, canvas=self.preprocess, flip=flip, sizes=sizes)
        return find_boxes(self.network, both, self.detecting)

    @property
    def lack(self) -> str:
        """What to say to whoever needs more than this is."""
        return (
            f"{self.card.name!r} finds boxes of people and no keypoints, which are needed here; take a model with keypoints, "
            "and this one as its --detector (`poise detect` and `poise evaluate` take it by itself)"
        )

    def __getattr__(self, name: str) -> Any:
        """What torch keeps of this module.

        Raises:
            InputError: It is what only models with keypoints have.
        """
        if name in POSED:
            raise InputError(self.lack)
        return super().__getattr__(name)
