"""What a model file says about its model."""

from dataclasses import dataclass, field

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
