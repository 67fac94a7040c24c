"""Hourglass-104 (CornerNet, arXiv 1808.01244, section 3.4; CenterNet, arXiv 1904.07850): residual hourglasses in a row.

Strided residual blocks take the place of pooling, and the second hourglass sees the first one's features, not its maps. The
weights are named as CornerNet's, CenterNet's and OffsetGuided's checkpoints name them.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import conv1x1, conv3x3

WIDTHS = (256, 256, 384, 384, 384, 512)
"""Channels at each level, the finest first."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks at every place of a level; the last number is of the bottom."""

STEM = 128
"""Channels of the first convolution."""


def _shortcut(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width))


@final
class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut: the block of `nn/blocks.py` under CornerNet's names.

    Args:
        channels: That come in.
        width: That leave.
        stride: Of the first convolution.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.skip = None if stride == 1 and channels == width else _shortcut(channels, width, stride)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        rest = x if self.skip is None else self.skip(x)
        out = functional.relu_(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)).add_(rest)
        answer: Tensor = functional.relu_(out)
        return answer


@final
class ConvRelu(nn.Module):
    """A convolution without bias, a batch norm and a ReLU.

    Args:
        channels: That come in.
        width: That leave.
        kernel: Side of the convolution, odd.
        stride: Of the convolution.
    """

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        answer: Tensor = functional.relu_(self.bn(self.conv(x)))
        return answer


@final
class HourglassLevel(nn.Module):
    """One level of an hourglass and all below it: a way past, and a way down to half the cells and up again.

    Args:
        widths: Channels of this level and of those below, two and more.
        blocks: Residual blocks at every place of each.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        here, below = widths[0], widths[1]
        self.up1 = _residuals(here, blocks[0])
        self.low1 = nn.Sequential(Residual(here, below, 2), *_residuals(below, blocks[0] - 1))
        self.low2 = HourglassLevel(widths[1:], blocks[1:]) if len(widths) > 2 else _residuals(below, blocks[1])
        self.low3 = nn.Sequential(*_residuals(below, blocks[0] - 1), Residual(below, here))

    def forward(self, x: Float[Tensor, "b c _ _"]) -> Float[Tensor, "b c _ _"]:
        """What is seen here and below."""
        low = self.low3(self.low2(self.low1(x)))
        answer: Tensor = self.up1(x) + functional.interpolate(low, scale_factor=2.0, mode="nearest")
        return answer


def _residuals(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width, width) for _ in range(blocks)))


@final
class Hourglass104(Backbone):
    """A stem down to stride 4 and hourglasses; the features of each leave.

    Weights start with a deviation of 0.001, as OffsetGuided's release starts what no checkpoint gives.

    Args:
        stacks: How many hourglasses. Published: 2 (it has 104 layers); the release names one of 1 too.
        widths: Channels at each level, the finest first, which is also what leaves.
        blocks: Residual blocks at every place of each.

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
