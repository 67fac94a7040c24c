"""Backbones of four stages of cross stage partial layers: what CSPDarknet and CSPNeXt have in common."""

from abc import abstractmethod
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature

CHANNELS = (64, 128, 256, 512, 1024)
"""Channels of stem and stages at width 1."""

STRIDES = (4, 8, 16, 32)
"""Stride of each stage's map, pixels a cell."""


def stage_blocks(counts: tuple[int, ...], depth: float) -> tuple[int, ...]:
    """Blocks of each stage for a factor on their number, at least one; halves are rounded to even numbers.

    >>> stage_blocks((3, 6, 6, 3), 0.33)
    (1, 2, 2, 1)
    """
    return tuple(max(round(count * depth), 1) for count in counts)


class CSPStages(Backbone):
    """A stem of stride 2, and four stages, each of stride 2.

    Args:
        name: Name for messages.
        width: Factor on all channels.
        depth: Factor on the number of blocks of each stage.
        stages: Numbers of the stages whose maps are the output, 1 to 4, ascending.
        blocks: Blocks of each stage at depth 1.
        depthwise: Whether the stages' 3x3 convolutions are depthwise ones with their 1x1.

    Raises:
        InputError: Factors that leave no channels, or another stage.
    """

    multiple = 32

    def __init__(
        self,
        name: str,
        *,
        width: float,
        depth: float,
        stages: tuple[int, ...],
        blocks: tuple[int, ...],
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.depthwise = depthwise
        channels = tuple(int(c * width) for c in CHANNELS)
        if min(channels) < 4 or depth <= 0 or not stages or not set(stages) <= {1, 2, 3, 4}:
            raise InputError(f"{name}: width {width:g}, depth {depth:g} and stages {stages} make no network")
        self.stem = self.build_stem(channels[0], width)
        counts = zip(pairwise(channels), stage_blocks(blocks, depth), strict=True)
        for number, ((before, after), count) in enumerate(counts, start=1):
            self.add_module(f"stage{number}", self.build_stage(before, after, count, last=number == len(blocks)))
        self.out = tuple(sorted(stages))
        self.channels = tuple(channels[number] for number in self.out)
        self.strides = tuple(STRIDES[number - 1] for number in self.out)

    @abstractmethod
    def build_stem(self, channels: int, width: float) -> nn.Module:
        """The stem.

        Args:
            channels: Output channels.
            width: Factor on all channels.
        """

    @abstractmethod
    def build_stage(self, before: int, after: int, blocks: int, *, last: bool) -> nn.Module:
        """A stage of stride 2.

        Args:
            before: Input channels.
            after: Output channels.
            blocks: Number of its blocks.
            last: Whether it is the last stage.
        """

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps of the wanted stages, finest first."""
        x, maps = self.stem(images), []
        for number in range(1, self.out[-1] + 1):
            x = self.get_submodule(f"stage{number}")(x)
            if number in self.out:
                maps.append(x)
        return maps
