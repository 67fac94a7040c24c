"""The head of CPN (arXiv 1711.07319, section 3.2): GlobalNet for the easy keypoints, RefineNet for the hard ones."""

from typing import final

import torch
from torch import Tensor, nn

from poise.nn.base import Feature, Head
from poise.nn.blocks import conv1x1, conv3x3, resize_maps

WIDTH = 256


def _relu(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


@final
class Upsample(nn.Module):
    """A coarse map resized to the next finer resolution, with a 1x1 convolution and a batch norm, without ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv1x1(WIDTH, WIDTH)
        self.bn = nn.BatchNorm2d(WIDTH)

    def forward(self, x: Feature, cells: tuple[int, int]) -> Feature:
        """The map at `cells` (h, w)."""
        output: Tensor = self.bn(self.conv(resize_maps(x, cells)))
        return output


@final
class PredictionLayer(nn.Module):
    """The layer of an output: a 3x3 convolution without bias, resize, batch norm.

    Args:
        outputs: Channels of the codec.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = conv3x3(WIDTH, outputs)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Feature, cells: tuple[int, int]) -> Feature:
        """Maps of `cells` (h, w)."""
        output: Tensor = self.bn(resize_maps(self.conv(x), cells))
        return output


@final
class GlobalNetPredictor(nn.Module):
    """An output of GlobalNet, from one of its maps.

    Args:
        outputs: Channels of the codec.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.before = _relu(conv1x1(WIDTH, WIDTH))
        self.final = PredictionLayer(outputs)

    def forward(self, x: Feature, cells: tuple[int, int]) -> Feature:
        """Maps of `cells` (h, w)."""
        output: Tensor = self.final(self.before(x), cells)
        return output


@final
class RefineBottleneck(nn.Module):
    """RefineNet's bottleneck: half the width inside, and always a convolution on the shortcut.

    Args:
        channels: Input channels; the output has 256.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = WIDTH // 2
        self.conv1 = conv1x1(channels, narrow)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = conv3x3(narrow, narrow)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = conv1x1(narrow, WIDTH)
        self.bn3 = nn.BatchNorm2d(WIDTH)
        self.downsample = nn.Sequential(conv1x1(channels, WIDTH), nn.BatchNorm2d(WIDTH))

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.bn3(self.conv3(out)) + self.downsample(x))


@final
class CascadeHead(Head):
    """GlobalNet and RefineNet. All outputs have the resolution of the finest feature map; RefineNet's, the last, is decoded.

    Args:
        channels: Channels of the feature maps, finest first.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        steps = len(channels)
        self.laterals = nn.ModuleList(_relu(conv1x1(c, WIDTH)) for c in reversed(channels))
        self.upsamples = nn.ModuleList(Upsample() for _ in range(steps - 1))
        self.predict = nn.ModuleList(GlobalNetPredictor(outputs) for _ in range(steps))
        # The coarser a map, the more blocks before it is resized (figure 1).
        self.cascade = nn.ModuleList(
            nn.Sequential(*(RefineBottleneck(WIDTH) for _ in range(steps - 1 - step))) for step in range(steps)
        )
        self.join = RefineBottleneck(steps * WIDTH)
        self.final = PredictionLayer(outputs)
        _initialise(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """GlobalNet's outputs, coarsest first, then RefineNet's."""
        cells = _cells(features[0])
        pyramid = self._pyramid(features[::-1])
        outputs = [reader(x, cells) for reader, x in zip(self.predict, pyramid, strict=True)]
        parts = [resize_maps(blocks(x), cells) for blocks, x in zip(self.cascade, pyramid, strict=True)]
        refined = self.final(self.join(torch.cat(parts, dim=1)), cells)
        return [*outputs, refined]

    def _pyramid(self, features: list[Tensor]) -> list[Tensor]:
        """GlobalNet's feature maps, coarsest first like its input."""
        pyramid: list[Tensor] = [self.laterals[0](features[0])]
        for lateral, rise, x in zip(list(self.laterals)[1:], self.upsamples, features[1:], strict=True):
            pyramid.append(lateral(x) + rise(pyramid[-1], _cells(x)))
        return pyramid


def _cells(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


def _initialise(network: nn.Module) -> None:
    """He initialisation (arXiv 1502.01852) by fan-out."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
