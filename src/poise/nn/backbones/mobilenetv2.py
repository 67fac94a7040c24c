"""MobileNetV2 (Sandler et al.; CVPR 2018; arXiv 1801.04381): blocks that widen, filter channel by channel, and narrow again.

The weights are named as in MMPose's checkpoints.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.conv_unit import ConvUnit

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of each stage the widening, output channels, blocks, and stride of the first block (table 2)."""

ENTRY = 32
LAST = 1280


def rounded(channels: float, divisor: int = 8) -> int:
    """Channels as a multiple of eight, never below nine tenths of what was wanted.

    >>> rounded(24.0), rounded(0.35 * 24)
    (24, 8)
    """
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * channels else near + divisor


@final
class InvertedResidual(nn.Module):
    """A 1x1 convolution to more channels, a 3x3 for each channel, a 1x1 to fewer; plus its input where shapes agree.

    Args:
        channels: Input channels.
        width: Output channels.
        stride: Stride of the 3x3 convolution.
        expansion: Channels in between for each input channel; with 1 there is no first convolution.
    """

    def __init__(self, channels: int, width: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        wider = [] if expansion == 1 else [ConvUnit(channels, inner, act=nn.ReLU6)]
        each = ConvUnit(inner, inner, 3, stride=stride, groups=inner, act=nn.ReLU6)
        self.conv = nn.Sequential(*wider, each, ConvUnit(inner, width, act=nn.Identity))
        self.residual = stride == 1 and channels == width

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


@final
class MobileNetV2(Backbone):
    """The network up to its last 1x1 convolution, of stride 32.

    Args:
        width: Factor on the channels of all layers; above 1 on those of the last one too.

    Raises:
        InputError: A factor that is not above 0.
    """

    multiple = 32

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        if not 0 < width <= 16:
            raise InputError(f"the width of MobileNetV2 is a factor on its channels, above 0 and at most 16, not {width}")
        channels = rounded(ENTRY * width)
        self.conv1 = ConvUnit(3, channels, 3, stride=2, act=nn.ReLU6)
        for number, (expansion, wanted, blocks, stride) in enumerate(STAGES, start=1):
            made = rounded(wanted * width)
            first = InvertedResidual(channels, made, stride=stride, expansion=expansion)
            rest = (InvertedResidual(made, made, stride=1, expansion=expansion) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            channels = made
        last = int(LAST * max(width, 1.0))
        self.conv2 = ConvUnit(channels, last, act=nn.ReLU6)
        self.channels = (last,)
        self.strides = (32,)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The last feature map."""
        x: Tensor = self.conv1(images)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return [self.conv2(x)]
