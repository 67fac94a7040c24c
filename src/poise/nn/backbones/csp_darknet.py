"""CSPDarknet (YOLOX, arXiv 2107.08430), the backbone of RTMO (arXiv 2312.07526)."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.conv_unit import ConvUnit, PyramidPool
from poise.nn.csp import CSPLayer, DarknetBlock
from poise.nn.csp_stages import CSPStages

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
class CSPDarknet(CSPStages):
    """Pixels in fours, and four stages of a cross stage partial layer each.

    Args:
        width: Factor on all channels.
        depth: Factor on the number of blocks of each stage.
        stages: Numbers of the stages whose maps are the output, 1 to 4, ascending.

    Raises:
        InputError: Factors that leave no channels, or another stage.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, stages: tuple[int, ...] = (2, 3, 4)) -> None:
        super().__init__("CSPDarknet", width=width, depth=depth, stages=stages, blocks=BLOCKS)

    def build_stem(self, channels: int, width: float) -> nn.Module:
        """Pixels in fours."""
        return Focus(channels)

    def build_stage(self, before: int, after: int, blocks: int, *, last: bool) -> nn.Module:
        """A convolution of stride 2 and a layer; the last stage looks around first, and its blocks have no shortcut."""
        around = [PyramidPool(after, eps=EPS)] if last else []
        layer = CSPLayer(after, after, blocks, DarknetBlock, shortcut=not last, eps=EPS)
        return nn.Sequential(ConvUnit(before, after, 3, stride=2, eps=EPS), *around, layer)
