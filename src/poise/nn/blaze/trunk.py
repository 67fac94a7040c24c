"""The trunk of all official BlazePose networks: strides 2 to 32."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.blaze.layers import InvertedResidual, Maps, depthwise, pointwise

STEM = 24
"""Channels of the first convolution."""

EXPANSION = 6
"""Channels between, by input channels; 4 in the first block."""

KERNELS = (3, 5, 3, 5, 5)
"""Side of the depthwise convolutions of each stage."""

STRIDES = (2, 2, 2, 1, 2)
"""Stride of the first block of each stage."""


@final
@dataclass(frozen=True)
class TrunkSize:
    """How wide and deep a trunk is.

    Attributes:
        widths: Channels at stride 2 and after each of the five stages (strides 4, 8, 16, 16, 32).
        blocks: Blocks of each stage after its first.
        second: Expansion of the second block.
    """

    widths: tuple[int, int, int, int, int, int]
    blocks: tuple[int, int, int, int, int] = (1, 1, 2, 2, 3)
    second: int = EXPANSION

    @property
    def last(self) -> int:
        """Channels of the coarsest maps."""
        return EXPANSION * self.widths[-1]


@final
class BlazeTrunk(nn.Module):
    """Maps of strides 2, 4, 8, 16 and 32 of views.

    Args:
        size: How wide and deep it is.
    """

    def __init__(self, size: TrunkSize) -> None:
        super().__init__()
        first, *rest = size.widths
        self.stem = nn.Conv2d(3, STEM, 3, stride=2, padding=1)
        self.stem_depthwise = depthwise(STEM)
        self.stem_project = pointwise(STEM, first)
        stages, channels = [], first
        for number, width in enumerate(rest):
            stages.append(nn.Sequential(*_stage(size, number, channels, width)))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.expand = pointwise(channels, size.last)
        self.depthwise = depthwise(size.last)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Maps]:
        """The maps, finest first."""
        x: Tensor = self.stem_project(F.relu6(self.stem_depthwise(F.relu6(self.stem(images), True)), True))
        maps = [x]
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in (0, 1, 3):  # the two stages of stride 16 are one
                maps.append(x)
        return [*maps, F.relu6(self.depthwise(F.relu6(self.expand(x), True)), True)]

    @property
    def blocks(self) -> Iterator[InvertedResidual]:
        """The blocks of all stages in turn."""
        return (block for stage in self.stages for block in stage)  # type: ignore[attr-defined]  # stages are sequences


def _stage(size: TrunkSize, number: int, channels: int, width: int) -> list[InvertedResidual]:
    kernel = KERNELS[number]
    first = InvertedResidual(channels, channels * (4 if number == 0 else EXPANSION), width, kernel, stride=STRIDES[number])
    expansions = [size.second if number == 0 and block == 0 else EXPANSION for block in range(size.blocks[number])]
    return [first, *(InvertedResidual(width, width * expansion, width, kernel) for expansion in expansions)]
