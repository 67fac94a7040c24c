"""Blocks that several networks share: residual blocks, and convolutions with a batch norm.

The residual blocks are those of ResNet (arXiv 1512.03385, figures 2 and 5), which HRNet uses too, and the pre-activation
bottleneck of stacked hourglasses (arXiv 1603.05027, figure 4e).
"""

from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Style = Literal["pytorch", "caffe"]
"""Convolution of a bottleneck that has the stride: "pytorch" the 3x3, "caffe" the first 1x1."""


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
        channels: Input channels.
        width: Channels of the convolutions and of the output.
        stride: Stride of the first convolution.
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
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)).add_(identity)
        output: Tensor = self.relu(out)
        return output


@final
class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, and a shortcut; the output has four times `width` channels.

    Args:
        channels: Input channels.
        width: Channels of the 3x3 convolution.
        stride: Stride of the block.
        style: Convolution that has the stride: "pytorch" the 3x3, "caffe" the first 1x1. The weights have the same names.
        groups: Groups of the 3x3 convolution (ResNeXt, arXiv 1611.05431).
        group_width: Channels of a group where `width` is 64; wider blocks have wider groups. 8 in ResNeXt 32x8d.
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
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out)).add_(identity)
        output: Tensor = self.relu(out)
        return output


@final
class PreBottleneck(nn.Module):
    """Batch norm, ReLU and convolution, three times (1x1, 3x3, 1x1), and a shortcut; the convolutions have biases.

    Args:
        channels: Input channels.
        width: Channels of the 3x3 convolution; the output has twice as many.
    """

    expansion = 2

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None if channels == out_channels else nn.Sequential(nn.Conv2d(channels, out_channels, 1))

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        output: Tensor = out + identity
        return output


@final
class ConvBN(nn.Module):
    """A convolution with bias, padded to keep its cells, a batch norm, and a ReLU if asked for (MSPN, RSN).

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Side of the convolution, odd.
        stride: Stride of the convolution.
        relu: Whether a ReLU follows.
        groups: Groups of the convolution.
    """

    def __init__(self, channels: int, width: int, kernel: int, *, stride: int = 1, relu: bool = True, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, groups=groups)
        self.bn = nn.BatchNorm2d(width)
        self.relu: nn.Module = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        output: Tensor = self.relu(self.bn(self.conv(x)))
        return output


def resize_maps(x: Float[Tensor, "b c _ _"], cells: tuple[int, int]) -> Float[Tensor, "b c _ _"]:
    """Maps resized to `cells` (h, w): bilinear, corner cells aligned, as CPN and MSPN resize."""
    if x.shape[-2:] == cells:
        return x
    return functional.interpolate(x, size=cells, mode="bilinear", align_corners=True)
