"""A piece of a detector's network by itself: nothing that could be trained or run on images, but it has weights and a name."""

from typing import final

from torch import nn

from poise.models.card import Card


@final
class Part(nn.Module):
    """A network and what is known of it.

    Args:
        network: Any module; what it takes and answers is its own affair.
        card: Name, architecture, licence.
    """

    def __init__(self, network: nn.Module, card: Card) -> None:
        super().__init__()
        self.network = network
        self.card = card
