"""A backbone with a neck: itself a backbone, whose feature maps all have the same number of channels."""

from abc import ABC, abstractmethod
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature


class Neck(nn.Module, ABC):
    """Makes feature maps with one number of channels, finest first.

    Attributes:
        channels: Channels of each output map.
        strides: Stride of each output map, pixels of the view per cell.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, features: list[Feature]) -> list[Feature]:
        """The feature maps for a detector's heads, finest first."""


@final
class BackboneWithNeck(Backbone):
    """The backbone of a detector.

    Args:
        body: The backbone.
        neck: The neck on the maps of `keep`; None if the heads read those directly.
        keep: Indices of the body's maps that are used, finest first; by default all.

    Raises:
        InputError: Without a neck, maps with different numbers of channels: a detector applies the same layers to all of them.
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
        """The feature maps for a detector's heads, finest first."""
        features: list[Tensor] = self.body(images)
        features = [features[level] for level in self.keep]
        if self.neck is None:
            return features
        wide: list[Tensor] = self.neck(features)
        return wide


def pyramid_levels(strides: tuple[int, ...]) -> tuple[int, ...]:
    """Indices of the backbone's maps for a pyramid: of each stride from 4 on the deepest; else the last map alone.

    >>> pyramid_levels((2, 4, 8, 16, 32)), pyramid_levels((14, 14, 14))
    ((1, 2, 3, 4), (2,))
    """
    deepest = {stride: level for level, stride in enumerate(strides)}
    return tuple(level for stride, level in sorted(deepest.items()) if stride >= 4) or (len(strides) - 1,)
