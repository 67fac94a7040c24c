"""CSPNeXt (RTMDet, arXiv 2212.07784, section 3.2), the backbone of RTMPose (arXiv 2303.07399) and RTMW (arXiv 2407.08634)."""

from functools import partial
from typing import final

from torch import nn

from poise.nn.conv_unit import ConvUnit, PyramidPool
from poise.nn.csp import CSPLayer, CSPNeXtBlock, unit
from poise.nn.csp_stages import CHANNELS, CSPStages

BLOCKS = (3, 6, 6, 3)
"""Blocks of each stage at depth 1."""


@final
class CSPNeXt(CSPStages):
    """A stem of three convolutions, and four stages of a cross stage partial layer each.

    Args:
        width: Factor on all channels.
        depth: Factor on the number of blocks of each stage.
        stages: Numbers of the stages whose maps are the output, 1 to 4, ascending.
        depthwise: Whether the 3x3 convolutions behind the stem are depthwise ones with their 1x1, as in the smallest RTMDet.

    Raises:
        InputError: Factors that leave no channels, or another stage.
    """

    def __init__(
        self, width: float = 1.0, depth: float = 1.0, stages: tuple[int, ...] = (4,), *, depthwise: bool = False
    ) -> None:
        super().__init__("CSPNeXt", width=width, depth=depth, stages=stages, blocks=BLOCKS, depthwise=depthwise)

    def build_stem(self, channels: int, width: float) -> nn.Module:
        """Three convolutions, the first of stride 2."""
        first = int(CHANNELS[0] * width // 2)
        return nn.Sequential(ConvUnit(3, first, 3, stride=2), ConvUnit(first, first, 3), ConvUnit(first, channels, 3))

    def build_stage(self, before: int, after: int, blocks: int, *, last: bool) -> nn.Module:
        """A convolution of stride 2 and a layer; the last stage looks around first, and its blocks have no shortcut."""
        around = [PyramidPool(after)] if last else []
        block = partial(CSPNeXtBlock, depthwise=self.depthwise)
        layer = CSPLayer(after, after, blocks, block, shortcut=not last, attention=True)
        return nn.Sequential(unit(self.depthwise)(before, after, 3, stride=2), *around, layer)
