"""A piece of a detector's network by itself: it has weights and a name, but cannot be trained or run on images."""

from typing import Any, final

from torch import nn

from poise.errors import InputError
from poise.models.card import Card

LACKS = ("codec", "deep", "preprocess", "skeleton", "loss", "losses", "compare", "outputs", "answer", "read", "predict")
"""What whole models have."""


@final
class Part(nn.Module):
    """A network and what is known of it; whoever asks it for more is refused with an InputError.

    Args:
        network: Any module; what it takes and answers is its own affair.
        card: Name, architecture, licence.
        words: What it is.
    """

    def __init__(self, network: nn.Module, card: Card, words: str = "a part of a detector") -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.words = words

    @property
    def lack(self) -> str:
        """What to say to whoever needs more than this is."""
        return (
            f"{self.card.name!r} is {self.words}: it has weights, but cannot be trained, run on images or kept in a model file "
            "by itself; take a whole model"
        )

    def __getattr__(self, name: str) -> Any:
        """What torch keeps of this module."""
        if name in LACKS:
            raise InputError(self.lack)
        return super().__getattr__(name)
