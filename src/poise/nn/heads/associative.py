"""The head of HigherHRNet (arXiv 1908.10357): heatmaps and tags at stride 4, then heatmaps at twice the resolution."""

from typing import final

import torch
from torch import Tensor, nn

from poise.nn.base import Feature, Head
from poise.nn.blocks import BasicBlock
from poise.nn.heads.heatmap import final_layer

BLOCKS = 4


@final
class HigherResolutionHead(Head):
    """Heatmaps and one tag for each keypoint from the finest feature map; heatmaps from it and those, enlarged twofold.

    The weights are named as in the official checkpoints.

    Args:
        channels: Channels of the finest feature map.
        keypoints: Number of keypoints.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.final_layers = nn.ModuleList((final_layer(channels, 2 * keypoints), final_layer(channels, keypoints)))
        enlarge = nn.ConvTranspose2d(channels + 2 * keypoints, channels, 4, stride=2, padding=1, bias=False)
        nn.init.normal_(enlarge.weight, std=0.001)
        first = nn.Sequential(enlarge, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        blocks = (nn.Sequential(BasicBlock(channels, channels)) for _ in range(BLOCKS))
        self.deconv_layers = nn.ModuleList((nn.Sequential(first, *blocks),))

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps of stride 4, heatmaps before tags; the heatmaps of stride 2."""
        coarse: Tensor = self.final_layers[0](features[0])
        fine: Tensor = self.final_layers[1](self.deconv_layers[0](torch.cat((features[0], coarse), dim=1)))
        return [coarse, fine]
