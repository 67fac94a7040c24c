"""LPN's backbone (arXiv 1911.10346, section 3): a ResNet of depthwise bottlenecks that ends at stride 16.

The weights are named as in the official checkpoints.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError, unknown
from poise.nn.attention import GlobalContext, SqueezeExcite
from poise.nn.backbones.resnet import DEPTHS
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import conv1x1

ATTENTIONS = ("gc", "se", "none")
"""Attention of each block: global context, squeeze and excite, none."""

STRIDES = (1, 2, 2, 1)
"""Strides of the four stages; ResNet's last one has 2."""


def attention_block(attention: str, channels: int, pooling: str, fusion: str) -> nn.Module | None:
    """The attention module of one bottleneck.

    Args:
        attention: One of `ATTENTIONS`.
        channels: Channels of the bottleneck.
        pooling: Pooling of "gc".
        fusion: Fusion of "gc".

    Raises:
        UnknownName: There is none of that name.
    """
    if attention == "gc":
        return GlobalContext(channels, pooling, fusion)
    if attention == "se":
        return SqueezeExcite(channels)
    if attention == "none":
        return None
    raise unknown("attention of LPN", attention, ATTENTIONS)


@final
class LightBottleneck(nn.Module):
    """A 1x1, a depthwise 3x3 and a 1x1 convolution, attention, and a shortcut.

    Args:
        channels: Input channels.
        width: Channels of the convolutions and of the output.
        stride: Stride of the depthwise convolution.
        att: Attention before the shortcut is added, or None.
    """

    def __init__(self, channels: int, width: int, stride: int, att: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, width)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            None
            if stride == 1 and channels == width
            else nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width))
        )
        self.att = att

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.att is not None:
            out = self.att(out)
        output: Tensor = self.relu(out + identity)
        return output


@final
class LPN(Backbone):
    """The network up to the feature map of stride 16.

    Args:
        depth: 50, 101 or 152, as the ResNet with the same numbers of blocks.
        attention: Attention of each block, one of `ATTENTIONS`.
        pooling: Pooling of "gc"; "attention" in the release.
        fusion: Fusion of "gc"; "add" in the release.

    Raises:
        InputError: Another depth.
        UnknownName: Another attention, pooling or fusion.
    """

    multiple = 16
    strides = (4, 8, 16, 16)
    channels = (64, 128, 256, 512)

    def __init__(self, depth: int, attention: str = "gc", *, pooling: str = "attention", fusion: str = "add") -> None:
        super().__init__()
        if depth not in (50, 101, 152):
            raise InputError(f"there is no LPN-{depth}; the depths are 50, 101, 152")
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, before = [], 64
        for width, blocks, stride in zip(self.channels, DEPTHS[depth], STRIDES, strict=True):
            row = [
                LightBottleneck(
                    width if i else before,
                    width,
                    1 if i else stride,
                    attention_block(attention, width, pooling, fusion),
                )
                for i in range(blocks)
            ]
            stages.append(nn.Sequential(*row))
            before = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        _initialise(self)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The outputs of the four stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features: list[Tensor] = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


def _initialise(network: nn.Module) -> None:
    """Normal weights with a deviation of 0.001 in every convolution: the release starts without ImageNet weights."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=0.001)
