"""HRFPN (arXiv 1908.07919, section 3: HRNetV2p): HRNet's branches joined at the finest resolution, then pooled to a pyramid."""

from typing import Literal, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature
from poise.nn.necks.base import Neck
from poise.nn.necks.fpn import initialise_uniform

Pooling: TypeAlias = Literal["average", "max"]
"""How the joined map is pooled."""


@final
class HRFPN(Neck):
    """All maps are resized to the finest and joined by a 1x1 convolution; the result is pooled by 1, 2, 4 and so on.

    A 3x3 convolution follows on each of the pooled maps; without norms and ReLU, but with biases.

    Args:
        channels: Channels of the input maps, finest first.
        strides: Strides of the input maps.
        width: Channels of all output maps.
        maps: Number of output maps.
        pooling: How the joined map is pooled; "average" in the release.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        width: int = 256,
        *,
        maps: int = 5,
        pooling: Pooling = "average",
    ) -> None:
        super().__init__()
        self.join = nn.Conv2d(sum(channels), width, 1)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(maps))
        self.pooling = pooling
        self.channels = (width,) * maps
        self.strides = tuple(strides[0] << step for step in range(maps))
        initialise_uniform(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The feature maps for a detector's heads, finest first."""
        finest, *coarser = features
        size = finest.shape[-2:]
        risen = [functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in coarser]
        x: Tensor = self.join(torch.cat((finest, *risen), dim=1))
        return [output(self._shrink(x, 1 << step)) for step, output in enumerate(self.output)]

    def _shrink(self, x: Tensor, factor: int) -> Tensor:
        """The map pooled by `factor`; rows and columns that fill no window are left out, unless there are no others."""
        if factor == 1:
            return x
        square = (min(factor, x.shape[-2]), min(factor, x.shape[-1]))
        return functional.max_pool2d(x, square) if self.pooling == "max" else functional.avg_pool2d(x, square)
