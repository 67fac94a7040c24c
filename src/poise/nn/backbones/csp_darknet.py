"""CSPDarknet (YOLOX, arXiv 2107.08430), the backbone of RTMO (arXiv 2312.07526)."""

from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.backbones.cspnext import CHANNELS, STRIDES, stage_blocks
from poise.nn.base import Backbone, Feature
from poise.nn.conv_unit import ConvUnit, PyramidPool
from poise.nn.csp import CSPLayer, DarknetBlock

BLOCKS = (3, 9, 9, 3)
"""Blocks of each stage at depth 1."""

EPS = 1e-3
"""What batch norms add to variances, as in YOLOX's release."""


@final
class Focus(nn.Module):
    """Four pixels become one cell with four times the channels: left top, left bottom, right top, right bottom.

    Args:
        width: Output channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvUnit(12, width, 3, eps=EPS)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b _ _ _"]:
        """The map of half the resolution."""
        quarters = [images[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        output: Tensor = self.conv(torch.cat(quarters, dim=1))
        return output


@final
class CSPDarknet(Backbone):
    """Pixels in fours, and four stages of a cross stage partial layer each.

    Args:
        width: Factor on all channels.
        depth: Factor on the number of blocks of each stage.
        stages: Numbers of the stages whose maps are the output, 1 to 4, ascending.

    Raises:
        InputError: Factors that leave no channels, or another stage.
    """

    multiple = 32

    def __init__(self, width: float = 1.0, depth: float = 1.0, stages: tuple[int, ...] = (2, 3, 4)) -> None:
        super().__init__()
        channels = tuple(int(c * width) for c in CHANNELS)
        if min(channels) < 4 or depth <= 0 or not stages or not set(stages) <= {1, 2, 3, 4}:
            raise InputError(f"CSPDarknet: width {width:g}, depth {depth:g} and stages {stages} make no network")
        self.stem = Focus(channels[0])
        counts = zip(pairwise(channels), stage_blocks(BLOCKS, depth), strict=True)
        for number, ((before, after), blocks) in enumerate(counts, start=1):
            self.add_module(f"stage{number}", _stage(before, after, blocks, last=number == len(BLOCKS)))
        self.out = tuple(sorted(stages))
        self.channels = tuple(channels[number] for number in self.out)
        self.strides = tuple(STRIDES[number - 1] for number in self.out)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps of the wanted stages, finest first."""
        x, maps = self.stem(images), []
        for number in range(1, self.out[-1] + 1):
            x = self.get_submodule(f"stage{number}")(x)
            if number in self.out:
                maps.append(x)
        return maps


def _stage(channels: int, width: int, blocks: int, *, last: bool) -> nn.Sequential:
    """A convolution of stride 2 and a layer; the last stage looks around first, and its blocks have no shortcut."""
    around = [PyramidPool(width, eps=EPS)] if last else []
    layer = CSPLayer(width, width, blocks, DarknetBlock, shortcut=not last, eps=EPS)
    return nn.Sequential(ConvUnit(channels, width, 3, stride=2, eps=EPS), *around, layer)
