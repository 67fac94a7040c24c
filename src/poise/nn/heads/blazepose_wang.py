"""The heads of a third party's BlazePose: heatmaps ("lite"), or small maps that vectors are read off ("full")."""

from typing import final

import torch
from torch import Tensor, nn

from poise.nn.backbones.blazepose_wang import DepthSeparable, MobileBottleneck
from poise.nn.base import Feature, Head
from poise.nn.blocks import conv3x3, resize_maps

WIDTH = 32
"""Channels of the pyramid."""


class PyramidHead(Head):
    """Maps of stride 4: those of the trunk, and the coarser ones added from coarse to fine."""

    def __init__(self) -> None:
        super().__init__()
        self.conv7_, self.conv8_, self.conv9_ = (
            nn.Sequential(conv3x3(channels, WIDTH), nn.BatchNorm2d(WIDTH), nn.Hardswish()) for channels in (192, 128, 64)
        )

    def pyramid(self, features: list[Feature]) -> Feature:
        """The maps."""
        s4, s8, s16, s32 = features
        x: Tensor = self.conv7_(s32)
        x = resize_maps(x, _cells(s16)) + self.conv8_(s16)
        x = resize_maps(x, _cells(s8)) + self.conv9_(s8)
        return resize_maps(x, _cells(s4)) + s4


@final
class HeatmapHead(PyramidHead):
    """Heatmaps of stride 4 (lite).

    Args:
        outputs: Channels of the codec.
        bounded: Whether they go through a sigmoid, as heatmaps do; offsets beside them must not.
    """

    def __init__(self, outputs: int, *, bounded: bool = True) -> None:
        super().__init__()
        self.final = nn.Conv2d(WIDTH, outputs, 1, bias=False)
        self.bounded = bounded

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.final(self.pyramid(features))
        return output.sigmoid() if self.bounded else output


class RegressionHead(PyramidHead):
    """The pyramid's maps, brought down to stride 32 again with the trunk's maps added on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv12_a1 = MobileBottleneck(32, 120, 5, squeeze=True, relu=True)
        self.conv13_a1 = MobileBottleneck(64, 200, 3, squeeze=False, relu=False)
        self.conv13_a2 = MobileBottleneck(64, 184, 3, squeeze=False, relu=False)
        self.conv14_a1 = MobileBottleneck(128, 480, 3, squeeze=True, relu=False)
        self.conv14_a2 = MobileBottleneck(128, 672, 3, squeeze=True, relu=False)
        self.conv15_a1 = MobileBottleneck(192, 960, 5, squeeze=True, relu=False)
        self.conv12 = DepthSeparable(32, 64)
        self.conv13 = DepthSeparable(64, 128)
        self.conv14 = DepthSeparable(128, 192)

    def regressed(self, pyramid: Feature, features: list[Feature]) -> Feature:
        """The maps of stride 32, 192 channels."""
        s4, s8, s16, s32 = features
        x = self.conv12(self.conv12_a1(pyramid + s4)) + s8
        x = self.conv13(self.conv13_a2(self.conv13_a1(x))) + s16
        x = self.conv14(self.conv14_a2(self.conv14_a1(x))) + s32
        maps: Tensor = self.conv15_a1(x)
        return maps


@final
class KeypointMaps(nn.Module):
    """The map of each keypoint.

    Args:
        channels: Input channels.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.final = nn.Conv2d(channels, outputs, 1, bias=False)

    def forward(self, x: Feature) -> Feature:
        """The maps."""
        maps: Tensor = self.final(x)
        return maps


@final
class VectorHead(RegressionHead):
    """Maps of stride 32, which a readout makes vectors of (full).

    Args:
        outputs: Channels of the codec.
        detached: Whether the loss does not reach trunk and pyramid, which come from a network with heatmaps.
    """

    def __init__(self, outputs: int, *, detached: bool = True) -> None:
        super().__init__()
        self.vectors = KeypointMaps(192, outputs)
        self.detached = detached

    def forward(self, features: list[Feature]) -> Feature:
        """The maps that the readout reads, 0 to 1."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.detached):
            pyramid = self.pyramid(features)
        maps = [part.detach() if self.detached else part for part in features]
        output: Tensor = self.vectors(self.regressed(pyramid, maps))
        return output.sigmoid()


def _cells(maps: Feature) -> tuple[int, int]:
    return maps.shape[2], maps.shape[3]
