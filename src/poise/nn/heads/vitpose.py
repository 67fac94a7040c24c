"""ViTPose's heads (arXiv 2204.12484, section 3.1): two transposed convolutions, or one enlargement and a 3x3 convolution."""

from typing import final

from torch import Tensor, nn

from poise.nn.base import Feature, Head
from poise.nn.heads.heatmap import deconv_layers, final_layer

ENLARGED = 4
"""Factor by which the simple head enlarges a map."""


@final
class ViTPoseHead(Head):
    """The same layers on each of the backbone's maps, of which there is one, or one for each expert.

    Args:
        channels: Channels of a map.
        outputs: Channels of the codec.
        simple: Whether the map is enlarged four times, not learnt, and read by a 3x3 convolution; else two transposed
            convolutions come before a 1x1 convolution.
        enlarged: Factor by which the simple head enlarges a map.
    """

    def __init__(self, channels: int, outputs: int, *, simple: bool, enlarged: int = ENLARGED) -> None:
        super().__init__()
        enlarge = nn.Upsample(scale_factor=enlarged, mode="bilinear", align_corners=False)
        self.layers = nn.Sequential(nn.ReLU(), enlarge) if simple else deconv_layers(channels, (256, 256))
        self.final = final_layer(channels, outputs, 3) if simple else final_layer(256, outputs)

    def forward(self, features: list[Feature]) -> Feature | list[Feature]:
        """The output that the codec decodes; of several maps one each, in their order."""
        outputs: list[Tensor] = [self.final(self.layers(feature)) for feature in features]
        return outputs[0] if len(outputs) == 1 else outputs
