"""RSN (Cai et al.; arXiv 2003.04030): MSPN's backbone with residual steps blocks, and the plain encoder it is compared with."""

from typing import final

import torch
from torch import Tensor, nn

from poise.nn.attention import SqueezeExcite
from poise.nn.backbones.mspn import ConvBNBottleneck, shortcut
from poise.nn.backbones.multistage import Encoder, MultiStage
from poise.nn.backbones.resnet import DEPTHS
from poise.nn.base import Feature
from poise.nn.blocks import ConvBN

CHANNELS = (64, 128, 256, 512)

BRANCHES = 4

REDUCTION = 8
"""Channels of a block for each channel between the layers of its attention (UDP's RSN)."""


@final
class ResidualStepsBlock(nn.Module):
    """A residual steps block (section 3.2, figure 3).

    A 1x1 convolution is split into four branches of one to four 3x3 convolutions. From the second branch on, each convolution
    also gets the output of the branch before at the same step, if that branch has such a step; so features of many receptive
    fields are added within one block.

    Args:
        channels: Input channels; a branch has 26/64 of them.
        width: Output channels.
        stride: Stride of the first convolution.
        attention: Whether the channels of its output are scaled by their means (`SqueezeExcite`).
        wide: Whether a branch has 26/64 of the output channels, as in UDP's release.
    """

    def __init__(self, channels: int, width: int, stride: int, *, attention: bool = False, wide: bool = False) -> None:
        super().__init__()
        self.branch = (width if wide else channels) * 26 // 64
        self.conv_bn_relu1 = ConvBN(channels, BRANCHES * self.branch, 1, stride=stride)
        for row in range(1, BRANCHES + 1):
            for step in range(1, row + 1):
                self.add_module(_name(row, step), ConvBN(self.branch, self.branch, 3))
        self.conv_bn_relu3 = ConvBN(BRANCHES * self.branch, width, 1, relu=False)
        self.se = SqueezeExcite(width, width // REDUCTION) if attention else None
        self.downsample = shortcut(channels, width, stride)

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        before: list[Tensor] = []
        ends = []
        for row, part in enumerate(self.conv_bn_relu1(x).split(self.branch, dim=1), start=1):
            before = self._row(row, part, before)
            ends.append(before[-1])
        out: Tensor = self.conv_bn_relu3(torch.cat(ends, dim=1))
        out = out if self.se is None else self.se(out)
        return torch.relu(out + identity)

    def _row(self, row: int, x: Tensor, before: list[Tensor]) -> list[Tensor]:
        """The outputs of the steps of one branch."""
        outputs: list[Tensor] = []
        for step in range(1, row + 1):
            x = x + before[step - 1] if step <= len(before) else x
            x = self.get_submodule(_name(row, step))(x)
            outputs.append(x)
        return outputs


def _name(row: int, step: int) -> str:
    return f"conv_bn_relu2_{row}_{step}"


def wide_block(channels: int, width: int, stride: int) -> ResidualStepsBlock:
    """A residual steps block of UDP's RSN."""
    return ResidualStepsBlock(channels, width, stride, wide=True)


def attentive_block(channels: int, width: int, stride: int) -> ResidualStepsBlock:
    """A residual steps block of UDP's RSN with attention to channels."""
    return ResidualStepsBlock(channels, width, stride, wide=True, attention=True)


def plain_bottleneck(channels: int, width: int, stride: int) -> ConvBNBottleneck:
    """A bottleneck with as many channels inside as it outputs, of which the release's Res-18 consists."""
    return ConvBNBottleneck(channels, width, stride, width)


def rsn18(stages: int) -> MultiStage:
    """RSN-18's backbone of `stages` stages; 4xRSN-18 has 4."""
    return MultiStage(Encoder(ResidualStepsBlock, DEPTHS[18], CHANNELS), stages)


def udp_rsn18(stages: int, *, attention: bool, refined: bool) -> MultiStage:
    """RSN-18's backbone as UDP's release changes it: a stem of three convolutions, attention, a pose refine machine."""
    encoder = Encoder(attentive_block if attention else wide_block, DEPTHS[18], CHANNELS)
    return MultiStage(encoder, stages, deep_stem=True, refined=refined)


def res18(stages: int) -> MultiStage:
    """The backbone of the release's Res-18, with plain bottlenecks."""
    return MultiStage(Encoder(plain_bottleneck, DEPTHS[18], CHANNELS), stages)
