"""CSPNeXt (RTMDet, arXiv 2212.07784, section 3.2), the backbone of RTMPose (arXiv 2303.07399) and RTMW (arXiv 2407.08634)."""

from itertools import pairwise
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.conv_unit import ConvUnit, PyramidPool
from poise.nn.csp import CSPLayer, CSPNeXtBlock

CHANNELS = (64, 128, 256, 512, 1024)
"""Of stem and stages at width 1."""

BLOCKS = (3, 6, 6, 3)
"""Blocks of each stage at depth 1."""

STRIDES = (4, 8, 16, 32)
"""Of each stage's map, pixels a cell."""


def stage_blocks(counts: tuple[int, ...], depth: float) -> tuple[int, ...]:
    """Blocks of each stage for a factor on their number, at least one; halves are rounded to even numbers.

    >>> stage_blocks((3, 6, 6, 3), 0.33)
    (1, 2, 2, 1)
    """
    return tuple(max(round(count * depth), 1) for count in counts)


@final
class CSPNeXt(Backbone):
    """A stem of three convolutions, and four stages of a cross stage partial layer each.

    Args:
        width: Factor on all channels.
        depth: Factor on the number of blocks of each stage.
        stages: Numbers of the stages whose maps are the output, 1 to 4, ascending.

    Raises:
        InputError: Factors that leave no channels, or another stage.
    """

    multiple = 32

    def __init__(self, width: float = 1.0, depth: float = 1.0, stages: tuple[int, ...] = (4,)) -> None:
        super().__init__()
        channels = tuple(int(c * width) for c in CHANNELS)
        if min(channels) < 4 or depth <= 0 or not stages or not set(stages) <= {1, 2, 3, 4}:
            raise InputError(f"CSPNeXt: width {width:g}, depth {depth:g} and stages {stages} make no network")
        first = int(CHANNELS[0] * width // 2)
        self.stem = nn.Sequential(ConvUnit(3, first, 3, stride=2), ConvUnit(first, first, 3), ConvUnit(first, channels[0], 3))
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
    around = [PyramidPool(width)] if last else []
    layer = CSPLayer(width, width, blocks, CSPNeXtBlock, shortcut=not last, attention=True)
    return nn.Sequential(ConvUnit(channels, width, 3, stride=2), *around, layer)
