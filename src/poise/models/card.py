"""What a model file says about its model, and the layers that its architecture adds to a network."""

from dataclasses import dataclass, field
from typing import TypeVar

from torch import nn

from poise.nn.base import Readout
from poise.structures import Architecture


@dataclass(frozen=True)
class Card:
    """What a model file says about its model.

    Attributes:
        name: Of the model.
        architecture: How to build the network again.
        licence: Of the weights.
        scores: Measured figures by name, such as "coco-val/AP".
        notes: Where the weights are from, in words.
    """

    name: str
    architecture: Architecture
    licence: str = "unknown"
    scores: dict[str, float] = field(default_factory=dict)
    notes: str = ""


Whole = TypeVar("Whole", bound=nn.Module)
"""A network; one that reads vectors off its maps is a `Network` or an `RCNN`, which use their `readout`."""


def with_readout(network: Whole, made: Architecture) -> Whole:
    """The network with the layers that read vectors off its maps, where its architecture has them."""
    if made.cells is not None and made.vectors:
        network.readout = Readout(made.cells, made.vectors)
    return network
