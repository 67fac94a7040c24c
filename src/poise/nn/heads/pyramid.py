"""A light head: coarse feature maps are upsampled and added to finer ones (FPN, arXiv 1612.03144, section 3)."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature, Head
from poise.nn.blocks import conv1x1, conv3x3


class Pyramid(nn.Module):
    """Adds up feature maps from coarse to fine, with a 3x3 convolution after each addition.

    Args:
        channels: Channels of the feature maps, finest first.
        width: Channels of the sums.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Sequential(conv1x1(c, width), nn.BatchNorm2d(width)) for c in channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(conv3x3(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)) for _ in channels[:-1]
        )

    def forward(self, features: list[Feature]) -> Feature:
        """One feature map, at the resolution of the finest."""
        x: Tensor = self.lateral[-1](features[-1])
        for level in reversed(range(len(features) - 1)):
            finer = features[level]
            x = functional.interpolate(x, size=finer.shape[-2:], mode="nearest")
            x = self.smooth[level](functional.relu(x + self.lateral[level](finer)))
        return x


@final
class PyramidHead(Pyramid, Head):
    """A `Pyramid`, then a 1x1 convolution.

    Args:
        channels: Channels of the feature maps, finest first.
        width: Channels of the sums.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__(channels, width)
        self.final = nn.Conv2d(width, outputs, 1)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes, at the resolution of the finest feature map."""
        output: Tensor = self.final(super().forward(features))
        return output
