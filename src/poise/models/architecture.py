"""Networks as their architecture says: the layers that codecs of vectors need behind what a builder makes."""

from typing import TypeVar

from torch import nn

from poise.nn.base import Readout
from poise.structures import Architecture

Whole = TypeVar("Whole", bound=nn.Module)
"""A network; one that reads vectors off its maps is a `Network` or an `RCNN`, which use their `readout`."""


def with_readout(network: Whole, made: Architecture) -> Whole:
    """The network with the layers that read vectors off its maps, where its architecture has them."""
    if made.cells is not None and made.vectors:
        network.readout = Readout(made.cells, made.vectors)
    return network
