"""Networks as their architecture says: the layers that codecs of vectors need behind what a builder makes."""

from typing import TypeVar

from poise.nn.base import Network, Readout
from poise.nn.rcnn import RCNN
from poise.structures import Architecture

Whole = TypeVar("Whole", bound=Network | RCNN)
"""A network that may read vectors off its maps."""


def with_readout(network: Whole, made: Architecture) -> Whole:
    """The network with the layers that read vectors off its maps, where its architecture has them."""
    if made.cells is not None and made.vectors:
        network.readout = Readout(made.cells, made.vectors)
    return network
