"""The neck of RTMDet (arXiv 2212.07784) and RTMW: down from the coarsest map and up again, by cross stage partial layers."""

from functools import partial
from itertools import pairwise
from typing import final

import torch
from torch import nn
from torch.nn import functional

from poise.nn.base import Feature
from poise.nn.conv_unit import ConvUnit
from poise.nn.csp import CSPLayer, CSPNeXtBlock, unit


@final
class PAFPN(nn.Module):
    """Each map gets what the coarser ones say, and then what the finer ones say.

    Args:
        channels: Channels of the input maps, finest first; each map has half the cells of the one before.
        blocks: Blocks of each layer.
        width: Channels of all output maps, by a last 3x3 convolution each; None for those of the input maps, without it.
        depthwise: Whether 3x3 convolutions are depthwise ones with their 1x1.
    """

    def __init__(
        self, channels: tuple[int, ...], blocks: int = 2, *, width: int | None = None, depthwise: bool = False
    ) -> None:
        super().__init__()
        steps, conv = list(pairwise(channels)), unit(depthwise)
        down, layer = steps[::-1], partial(_layer, blocks=blocks, depthwise=depthwise)
        self.reduce_layers = nn.ModuleList(ConvUnit(coarse, fine) for fine, coarse in down)
        self.top_down_blocks = nn.ModuleList(layer(2 * fine, fine) for fine, _ in down)
        self.downsamples = nn.ModuleList(conv(fine, fine, 3, stride=2) for fine, _ in steps)
        self.bottom_up_blocks = nn.ModuleList(layer(2 * fine, coarse) for fine, coarse in steps)
        self.out_convs = nn.ModuleList(() if width is None else (conv(own, width, 3) for own in channels))

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The new maps, finest first."""
        reduced = [features[-1]]
        for finer, reduce, layer in zip(features[-2::-1], self.reduce_layers, self.top_down_blocks, strict=True):
            reduced[-1] = reduce(reduced[-1])
            enlarged = functional.interpolate(reduced[-1], scale_factor=2.0, mode="nearest")
            reduced.append(layer(torch.cat((enlarged, finer), dim=1)))
        maps = [reduced.pop()]
        for shrink, layer in zip(self.downsamples, self.bottom_up_blocks, strict=True):
            maps.append(layer(torch.cat((shrink(maps[-1]), reduced.pop()), dim=1)))
        return [conv(x) for conv, x in zip(self.out_convs, maps, strict=True)] if self.out_convs else maps


def _layer(channels: int, width: int, *, blocks: int, depthwise: bool) -> CSPLayer:
    return CSPLayer(channels, width, blocks, partial(CSPNeXtBlock, depthwise=depthwise), shortcut=False)
