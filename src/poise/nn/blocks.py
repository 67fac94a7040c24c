"""Blocks that several networks share: residual bottlenecks, and convolutions with a batch norm."""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Style = Literal["pytorch", "caffe"]
"""Where a bottleneck strides: at its 3x3 convolution, or at its first 1x1."""


def conv3x3(channels: int, width: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias, padded by one cell."""
    return nn.Conv2d(channels, width, 3, stride=stride, padding=1, groups=groups, bias=False)


def conv1x1(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(channels, width, 1, stride=stride, bias=False)


def _shortcut(channels: int, width: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(conv1x1(channels, width, stride), nn.BatchNorm2d(width))


@final
class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    Args:
        channels: That come in.
        width: Of the convolutions, and channels that leave.
        stride: Of the first convolution.
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        rest = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)).add_(rest)
        answer: Tensor = self.relu(out)
        return answer


@final
class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, and a shortcut; four times `width` channels leave.

    Args:
        channels: That come in.
        width: Of the 3x3 convolution.
        stride: Of the block.
        style: Which convolution strides: "pytorch" the 3x3, "caffe" the first 1x1. The weights have the same names.
        groups: Into which the 3x3 convolution is split (ResNeXt, arXiv 1611.05431).
        group_width: Channels of a group where `width` is 64; wider blocks have wider groups. ResNeXt 32x8d: 8.
    """

    expansion = 4

    def __init__(
        self, channels: int, width: int, stride: int = 1, style: Style = "pytorch", *, groups: int = 1, group_width: int = 64
    ) -> None:
        super().__init__()
        first, middle = (stride, 1) if style == "caffe" else (1, stride)
        inner = width * group_width // 64 * groups
        self.conv1 = conv1x1(channels, inner, first)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, inner, middle, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv1x1(inner, width * self.expansion)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, width * self.expansion, stride)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        rest = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out)).add_(rest)
        answer: Tensor = self.relu(out)
        return answer


@final
class PreBottleneck(nn.Module):
    """Normalise, ReLU and convolve, three times (1x1, 3x3, 1x1), and a shortcut; the convolutions have biases.

    Args:
        channels: That come in.
        width: Of the 3x3 convolution; twice as many channels leave.
    """

    expansion = 2

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        leaving = width * self.expansion
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, leaving, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None if channels == leaving else nn.Sequential(nn.Conv2d(channels, leaving, 1))

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        rest = x if self.downsample is None else self.downsample(x)
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        answer: Tensor = out + rest
        return answer


@final
class ConvBN(nn.Module):
    """A convolution padded to keep its cells, a batch norm, and a ReLU if asked for.

    Args:
        channels: That come in.
        width: That leave.
        kernel: Side of the convolution, odd.
        stride: Of the convolution.
        relu: Whether a ReLU follows.
    """

    def __init__(self, channels: int, width: int, kernel: int, *, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(width)
        self.relu: nn.Module = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The block's answer."""
        answer: Tensor = self.relu(self.bn(self.conv(x)))
        return answer


def resize_maps(x: Float[Tensor, "b c _ _"], cells: tuple[int, int]) -> Float[Tensor, "b c _ _"]:
    """Maps on other `cells` (h, w): bilinear, corners on corners, as CPN and MSPN resize."""
    if x.shape[-2:] == cells:
        return x
    return functional.interpolate(x, size=cells, mode="bilinear", align_corners=True)
