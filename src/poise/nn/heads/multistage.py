"""The head of MSPN (arXiv 1901.00148, section 3): an output for every resolution of every stage's decoder."""

from typing import final

from torch import Tensor, nn

from poise.nn.base import Feature, Head
from poise.nn.blocks import ConvBN, resize_maps


@final
class StepPredictor(nn.Module):
    """An output from one feature map.

    Args:
        channels: Channels of the feature map.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.before = ConvBN(channels, channels, 1)
        self.final = ConvBN(channels, outputs, 3, relu=False)

    def forward(self, feature: Feature, cells: tuple[int, int]) -> Feature:
        """Maps of `cells` (h, w)."""
        return resize_maps(self.final(self.before(feature)), cells)


@final
class MultiStageHead(Head):
    """Outputs of all feature maps at the resolution of the finest; that of the first feature map comes last and is decoded.

    Args:
        channels: Channels of the feature maps, in the backbone's order.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.readers = nn.ModuleList(StepPredictor(width, outputs) for width in reversed(channels))

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The outputs, from the first stage's coarsest resolution to the last stage's finest."""
        cells = (features[0].shape[-2], features[0].shape[-1])
        outputs: list[Tensor] = [reader(x, cells) for reader, x in zip(self.readers, reversed(features), strict=True)]
        return outputs
