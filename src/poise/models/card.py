"""The description of a model in its file, and the layers that its architecture adds to a network."""

from dataclasses import dataclass, field
from typing import TypeVar

from torch import nn

from poise.nn.adaptation import AdaptationLayer
from poise.nn.base import Readout
from poise.structures import Architecture

WHOLE_IMAGE = 0.5
"""Share of an image from which on a box is no tight one: people are then seen at most 1.4 times smaller than in training."""


@dataclass(frozen=True)
class Card:
    """The description of a model in its file.

    Attributes:
        name: Name of the model.
        architecture: Builder of the network and its arguments.
        licence: Licence of the weights.
        scores: Measured figures by name, such as "coco-val/AP".
        notes: Where the weights are from, in words.
        box_share: Share of its image that the box of a person covered in training, the median; None where nobody knows.
        whole_image: Whether it looks for the one person or animal of each image in the whole image, in place of a box.
    """

    name: str
    architecture: Architecture
    licence: str = "unknown"
    scores: dict[str, float] = field(default_factory=dict)
    notes: str = ""
    box_share: float | None = None
    whole_image: bool = False

    @property
    def learnt_whole_images(self) -> bool:
        """Whether the boxes it was trained on were most of their images."""
        return self.box_share is not None and self.box_share >= WHOLE_IMAGE


Whole = TypeVar("Whole", bound=nn.Module)
"""A network; one that reads vectors off its maps is a `Network` or an `RCNN`, which use their `readout`."""


def with_readout(network: Whole, made: Architecture) -> Whole:
    """The network with the layers that its architecture adds: those that read vectors off its maps, and domain adaptation."""
    if made.cells is not None and made.vectors:
        network.readout = Readout(made.cells, made.vectors)
    if made.adaptation:
        network.adaptation = AdaptationLayer(made.adaptation)
    return network
