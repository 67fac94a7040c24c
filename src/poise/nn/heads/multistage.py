"""The head of MSPN (arXiv 1901.00148, section 3): every step of every stage's way up answers for itself."""

from typing import final

from torch import Tensor, nn

from poise.nn.base import Feature, Head
from poise.nn.blocks import ConvBN, resize_maps


@final
class StepPredictor(nn.Module):
    """Reads maps off one feature map.

    Args:
        channels: Of the feature map.
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
    """Answers of all feature maps, on the cells of the finest; the first feature map's comes last and is read.

    Args:
        channels: Of the feature maps, in the backbone's order.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.readers = nn.ModuleList(StepPredictor(width, outputs) for width in reversed(channels))

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The answers, from the first stage's coarsest step to the last stage's finest."""
        cells = (features[0].shape[-2], features[0].shape[-1])
        answers: list[Tensor] = [reader(x, cells) for reader, x in zip(self.readers, reversed(features), strict=True)]
        return answers
