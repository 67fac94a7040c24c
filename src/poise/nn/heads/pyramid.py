"""A light head: coarse feature maps are added to finer ones on the way up (FPN, arXiv 1612.03144, section 3)."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature, Head
from poise.nn.blocks import conv1x1, conv3x3


class Pyramid(nn.Module):
    """Up to the finest feature map, one addition per stride, a 3x3 convolution after each.

    Args:
        channels: Of the feature maps, finest first.
        width: Channels on the way up.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Sequential(conv1x1(c, width), nn.BatchNorm2d(width)) for c in channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(conv3x3(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)) for _ in channels[:-1]
        )

    def forward(self, features: list[Feature]) -> Feature:
        """One feature map, at the finest one's cells."""
        x: Tensor = self.lateral[-1](features[-1])
        for level in reversed(range(len(features) - 1)):
            finer = features[level]
            x = functional.interpolate(x, size=finer.shape[-2:], mode="nearest")
            x = self.smooth[level](functional.relu(x + self.lateral[level](finer)))
        return x


@final
class PyramidHead(Pyramid, Head):
    """Up to the finest feature map, then the maps.

    Args:
        channels: Of the feature maps, finest first.
        width: Channels on the way up.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__(channels, width)
        self.final = nn.Conv2d(width, outputs, 1)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here

    def forward(self, features: list[Feature]) -> Feature:
        """What the codec reads, at the finest feature map's cells."""
        output: Tensor = self.final(super().forward(features))
        return output
