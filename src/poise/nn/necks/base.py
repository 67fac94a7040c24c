"""A backbone and the neck on it: itself a backbone, whose feature maps all have one width."""

from abc import ABC, abstractmethod
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature


class Neck(nn.Module, ABC):
    """Feature maps in, feature maps of one width out, finest first.

    Attributes:
        channels: Of each map that leaves.
        strides: Pixels of the view per cell, of each map that leaves.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps a detector reads."""


@final
class BackboneWithNeck(Backbone):
    """What a detector's heads read.

    Args:
        body: The backbone.
        neck: On the maps of `keep`; None where those are read as they are.
        keep: Which maps of the body are used, finest first; all of them by default.

    Raises:
        InputError: Without a neck, maps of different widths: a detector reads all of them with the same layers.
    """

    def __init__(self, body: Backbone, neck: Neck | None = None, *, keep: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.body = body
        self.neck = neck
        self.keep = tuple(range(len(body.channels))) if keep is None else keep
        self.multiple = body.multiple
        self.channels = neck.channels if neck else tuple(body.channels[level] for level in self.keep)
        self.strides = neck.strides if neck else tuple(body.strides[level] for level in self.keep)
        if len(set(self.channels)) != 1:
            raise InputError(
                f"a detector's maps have one width, and these have {self.channels} channels; put a neck on them, or keep one"
            )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps a detector reads."""
        features: list[Tensor] = self.body(images)
        features = [features[level] for level in self.keep]
        if self.neck is None:
            return features
        wide: list[Tensor] = self.neck(features)
        return wide


def pyramid_levels(strides: tuple[int, ...]) -> tuple[int, ...]:
    """Which maps of a backbone a pyramid stands on: of each stride from 4 on the deepest; else the last map alone.

    >>> levels((2, 4, 8, 16, 32)), levels((14, 14, 14))
    ((1, 2, 3, 4), (2,))
    """
    deepest = {stride: level for level, stride in enumerate(strides)}
    return tuple(level for stride, level in sorted(deepest.items()) if stride >= 4) or (len(strides) - 1,)
