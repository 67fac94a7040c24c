"""The head of HRNet (arXiv 1902.09212, section 3): one 1x1 convolution on the finest feature map."""

from typing import final

from torch import Tensor, nn

from poise.nn.base import Feature, Head


@final
class PixelwiseHead(Head):
    """Reads the maps off the finest feature map.

    Args:
        channels: Of the finest feature map.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.final = nn.Conv2d(channels, outputs, 1)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here

    def forward(self, features: list[Feature]) -> Feature:
        """What the codec reads."""
        output: Tensor = self.final(features[0])
        return output
