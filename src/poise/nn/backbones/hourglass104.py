"""Hourglass-104 (CornerNet, arXiv 1808.01244, section 3.4; CenterNet, arXiv 1904.07850): stacked residual hourglasses.

Strided residual blocks replace pooling, and the second hourglass reads the features of the first, not its outputs. The weights
are named as in the checkpoints of CornerNet, CenterNet and OffsetGuided.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import conv1x1, conv3x3

WIDTHS = (256, 256, 384, 384, 384, 512)
"""Channels of each level, finest first."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks at each place of a level, finest first; the last number is that of the bottom."""

STEM = 128
"""Channels of the first convolution."""


def _shortcut(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width))


@final
class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut: `blocks.BasicBlock` under CornerNet's names.

    Args:
        channels: Input channels.
        width: Output channels.
        stride: Stride of the first convolution.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.skip = None if stride == 1 and channels == width else _shortcut(channels, width, stride)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        identity = x if self.skip is None else self.skip(x)
        out = functional.relu_(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)).add_(identity)
        output: Tensor = functional.relu_(out)
        return output


@final
class ConvRelu(nn.Module):
    """A convolution without bias, a batch norm and a ReLU.

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Side of the convolution, odd.
        stride: Stride of the convolution.
    """

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        output: Tensor = functional.relu_(self.bn(self.conv(x)))
        return output


@final
class HourglassLevel(nn.Module):
    """One level of an hourglass and all coarser ones: a skip, and a path down to half the resolution and up again.

    Args:
        widths: Channels of this level and of the coarser ones, two or more.
        blocks: Residual blocks at each place of each level.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        here, below = widths[0], widths[1]
        self.up1 = _residuals(here, blocks[0])
        self.low1 = nn.Sequential(Residual(here, below, 2), *_residuals(below, blocks[0] - 1))
        self.low2 = HourglassLevel(widths[1:], blocks[1:]) if len(widths) > 2 else _residuals(below, blocks[1])
        self.low3 = nn.Sequential(*_residuals(below, blocks[0] - 1), Residual(below, here))

    def forward(self, x: Float[Tensor, "b c _ _"]) -> Float[Tensor, "b c _ _"]:
        """The sum of skip and path."""
        low = self.low3(self.low2(self.low1(x)))
        output: Tensor = self.up1(x) + functional.interpolate(low, scale_factor=2.0, mode="nearest")
        return output


def _residuals(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width, width) for _ in range(blocks)))


@final
class Hourglass104(Backbone):
    """A stem of stride 4 and hourglasses, each of which has one feature map.

    Weights are initialised with a deviation of 0.001, as OffsetGuided's release initialises those that no checkpoint gives.

    Args:
        stacks: Number of hourglasses. Published: 2 (104 layers); the release names one of 1 too.
        widths: Channels of each level, finest first; the first is also that of the feature maps.
        blocks: Residual blocks at each place of each level.

    Raises:
        InputError: No hourglass, fewer than two levels, or numbers below 1.
    """

    def __init__(self, stacks: int = 2, widths: tuple[int, ...] = WIDTHS, blocks: tuple[int, ...] = BLOCKS) -> None:
        super().__init__()
        if stacks < 1 or len(widths) < 2 or len(blocks) != len(widths) or min(*widths, *blocks) < 1:
            raise InputError(
                "residual hourglasses need 1 and more stacks and at least two levels, each with channels and blocks; found "
                f"{stacks} stacks, channels {widths} and blocks {blocks}"
            )
        width = widths[0]
        self.multiple = 4 * 2 ** (len(widths) - 1)
        self.strides = (4,) * stacks
        self.channels = (width,) * stacks
        self.pre = nn.Sequential(ConvRelu(3, STEM, 7, 2), Residual(STEM, width, 2))
        self.kps = nn.ModuleList(HourglassLevel(widths, blocks) for _ in range(stacks))
        self.cnvs = nn.ModuleList(ConvRelu(width, width, 3) for _ in range(stacks))
        self.inters = nn.ModuleList(Residual(width, width) for _ in range(stacks - 1))
        self.inters_ = nn.ModuleList(_shortcut(width, width) for _ in range(stacks - 1))
        self.cnvs_ = nn.ModuleList(_shortcut(width, width) for _ in range(stacks - 1))
        for module in self.modules():
            if type(module) is nn.Conv2d:
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature map of each hourglass, in their order."""
        x = self.pre(images)
        features: list[Tensor] = []
        for stack, (hourglass, after) in enumerate(zip(self.kps, self.cnvs, strict=True)):
            features.append(after(hourglass(x)))
            if stack < len(self.kps) - 1:
                x = functional.relu_(self.inters_[stack](x) + self.cnvs_[stack](features[-1]))
                x = self.inters[stack](x)
        return features
