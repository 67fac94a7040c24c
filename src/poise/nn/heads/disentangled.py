"""The head of DEKR (arXiv 2104.02300): for each keypoint a branch of adaptive convolutions regresses the offset to it."""

from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from poise.nn.base import Feature, Head
from poise.nn.blocks import BasicBlock, conv1x1, conv3x3
from poise.nn.mixed import in_float32

FILTERS = 15
"""Channels of the branch of a keypoint."""

ADAPTIVE = 2
"""Adaptive blocks of a branch."""

TAPS = ((-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0), (-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0))
"""Where a 3x3 convolution looks: rows (y), columns (x)."""


@final
class AdaptBlock(nn.Module):
    """A 3x3 convolution whose window each cell turns, stretches and moves by itself, and a shortcut (section 3.2).

    Args:
        channels: Channels before and behind.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform_matrix_conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.translation_conv = nn.Conv2d(channels, 2, 3, padding=1)
        self.adapt_conv = conv3x3(channels, channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        out = in_float32(partial(deform_conv2d, padding=1), x, self.window(x), self.adapt_conv.weight)  # none for bfloat16
        output: Tensor = torch.relu(self.bn(out) + x)
        return output

    def window(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 18 h w"]:
        """How far each of the nine taps of each cell is moved, y before x."""
        b, _, h, w = x.shape
        taps = x.new_tensor(TAPS)
        matrix = self.transform_matrix_conv(x).view(b, 2, 2, h, w)
        moved = (matrix[:, :, :, None] * taps[None, None, :, :, None, None]).sum(dim=2) - taps[None, :, :, None, None]
        moved = moved + self.translation_conv(x)[:, :, None]
        flat: Tensor = moved.transpose(1, 2).flatten(1, 2)
        return flat


@final
class DisentangledHead(Head):
    """Heatmaps of the keypoints and of people's centres; for each keypoint the offset from it to each cell.

    The weights are named as in the official checkpoints.

    Args:
        channels: Channels of the feature maps, finest first.
        keypoints: Number of keypoints.
        width: Channels before the heatmaps.
    """

    def __init__(self, channels: tuple[int, ...], keypoints: int, width: int) -> None:
        super().__init__()
        total = sum(channels)
        self.transition_heatmap = _reduced(total, width)
        self.transition_offset = _reduced(total, FILTERS * keypoints)
        self.head_heatmap = nn.Sequential(nn.Sequential(BasicBlock(width, width)), nn.Conv2d(width, keypoints + 1, 1))
        self.offset_feature_layers = nn.ModuleList(
            nn.Sequential(*(AdaptBlock(FILTERS) for _ in range(ADAPTIVE))) for _ in range(keypoints)
        )
        self.offset_final_layer = nn.ModuleList(nn.Conv2d(FILTERS, 2, 1) for _ in range(keypoints))
        _initialise(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Heatmaps, those of centres last; offsets, x before y of each keypoint."""
        cells = features[0].shape[-2:]
        resized = [functional.interpolate(x, size=cells, mode="bilinear", align_corners=False) for x in features[1:]]
        x = torch.cat((features[0], *resized), dim=1)
        heat: Tensor = self.head_heatmap(self.transition_heatmap(x))
        parts = self.transition_offset(x).split(FILTERS, dim=1)
        branches = zip(self.offset_feature_layers, self.offset_final_layer, parts, strict=True)
        return [heat, torch.cat([last(layers(part)) for layers, last, part in branches], dim=1)]


def _reduced(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(conv1x1(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _initialise(head: DisentangledHead) -> None:
    """Small weights, and windows that start as those of a usual convolution."""
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=0.001)
        for module in head.modules():
            if isinstance(module, AdaptBlock):
                module.transform_matrix_conv.bias.copy_(torch.tensor((1.0, 0.0, 0.0, 1.0)))  # type: ignore[union-attr]
