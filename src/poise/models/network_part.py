"""A piece of a detector's network by itself: it has weights and a name, but cannot be trained or run on images."""

from typing import Any, final

from torch import nn

from poise.errors import InputError
from poise.models.base import Model
from poise.models.card import Card


@final
class NetworkPart(Model):
    """A network and its card.

    Args:
        network: Any module, with inputs and outputs of any form.
        card: Name, architecture, licence.
        words: Description for messages, such as "a part of a detector".
    """

    kind = "part"

    def __init__(self, network: nn.Module, card: Card, words: str = "a part of a detector") -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.words = words

    @property
    def no_keypoints(self) -> str:
        """Message of the error where a whole model is needed."""
        return (
            f"{self.card.name!r} is {self.words}: it has weights, but cannot be trained, run on images or kept in a model file "
            "by itself; take a whole model"
        )

    def to_plain(self) -> dict[str, Any]:
        """A part cannot be saved.

        Raises:
            InputError: Always; the message says to take a whole model.
        """
        raise InputError(self.no_keypoints)
