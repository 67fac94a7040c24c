"""MSPN (Li et al.; arXiv 1901.00148): stages whose encoders are ResNet-50s."""

from typing import final

import torch
from torch import Tensor, nn

from poise.nn.backbones.multistage import Encoder, MultiStage
from poise.nn.backbones.resnet import DEPTHS
from poise.nn.base import Feature
from poise.nn.blocks import ConvBN


@final
class ConvBNBottleneck(nn.Module):
    """A bottleneck: a 1x1, a 3x3 with the stride, and a 1x1 convolution, all with biases; and a shortcut.

    Args:
        channels: Input channels.
        width: Output channels.
        stride: Stride of the block.
        narrow: Channels of the 3x3 convolution.
    """

    def __init__(self, channels: int, width: int, stride: int, narrow: int) -> None:
        super().__init__()
        self.conv_bn_relu1 = ConvBN(channels, narrow, 1)
        self.conv_bn_relu2 = ConvBN(narrow, narrow, 3, stride=stride)
        self.conv_bn_relu3 = ConvBN(narrow, width, 1, relu=False)
        self.downsample = shortcut(channels, width, stride)

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.conv_bn_relu3(self.conv_bn_relu2(self.conv_bn_relu1(x)))
        return torch.relu(out + identity)


def shortcut(channels: int, width: int, stride: int) -> ConvBN | None:
    """The layer that makes a block's input fit its output; None if it fits."""
    return None if stride == 1 and channels == width else ConvBN(channels, width, 1, stride=stride, relu=False)


def resnet_bottleneck(channels: int, width: int, stride: int) -> ConvBNBottleneck:
    """ResNet-50's bottleneck: a quarter of the output channels inside."""
    return ConvBNBottleneck(channels, width, stride, width // 4)


def mspn(stages: int) -> MultiStage:
    """MSPN's backbone of `stages` stages (published: 1 to 4).

    Raises:
        InputError: Fewer than one stage.
    """
    return MultiStage(Encoder(resnet_bottleneck, DEPTHS[50], (256, 512, 1024, 2048)), stages)
