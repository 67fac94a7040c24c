"""Layers of the official BlazePose networks; the batch norms of their training are folded into the convolutions."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "b _ _ _"]
"""Feature maps of a batch; every map has its own number of channels and cells."""


def depthwise(channels: int, kernel: int = 3, *, stride: int = 1) -> nn.Conv2d:
    """A depthwise convolution with bias, padded by half its kernel on all sides."""
    return nn.Conv2d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels)


def pointwise(channels: int, width: int) -> nn.Conv2d:
    """A 1x1 convolution with bias."""
    return nn.Conv2d(channels, width, 1)


def doubled(maps: Maps) -> Maps:
    """Maps of twice the height and width, bilinear; the corners of the images lie on each other."""
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


@final
class InvertedResidual(nn.Module):
    """A block of MobileNetV2 (arXiv 1801.04381, figure 4d); the skip where the shape stays.

    Args:
        channels: Input channels.
        inner: Channels between.
        width: Output channels.
        kernel: Side of the depthwise convolution.
        stride: Of the depthwise convolution, which is padded alike on all sides.
    """

    def __init__(self, channels: int, inner: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.expand = pointwise(channels, inner)
        self.depthwise = depthwise(inner, kernel, stride=stride)
        self.project = pointwise(inner, width)
        self.skips = stride == 1 and channels == width
        self.stride = stride

    def forward(self, x: Maps) -> Maps:
        """The output of the block."""
        out: Tensor = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x), True)), True))
        return out + x if self.skips else out


@final
class BlazeUnit(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution; what was put in is added where the number of channels stays, or the stride is 2.

    With stride 2 the depthwise convolution is padded on the right and below alone (TensorFlow's SAME), and what is added is the
    maximum of 2x2 cells, with channels of zeros at the end where there are more channels after it.

    Args:
        channels: Input channels.
        width: Output channels.
        stride: 1 or 2.
        active: Whether the depthwise convolution has a ReLU6; the detector's have none.
    """

    def __init__(self, channels: int, width: int, *, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride=stride, padding=2 - stride, groups=channels)
        self.pointwise = pointwise(channels, width)
        self.stride, self.active = stride, active
        self.more = width - channels

    def forward(self, x: Maps) -> Maps:
        """The output of the unit."""
        inner = self.depthwise(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)
        out: Tensor = self.pointwise(F.relu6(inner, True) if self.active else inner)
        if self.stride == 2:
            out = out + F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
        elif self.more == 0:
            out = out + x
        return F.relu6(out, True)


def units(count: int, width: int, *, active: bool = True) -> list[BlazeUnit]:
    """Units one after another, of as many channels."""
    return [BlazeUnit(width, width, active=active) for _ in range(count)]


def convolutions(module: nn.Module, *, without: nn.Module | None = None) -> list[nn.Conv2d]:
    """The convolutions of a module in their order, but for those of a part of it."""
    left_out = set() if without is None else set(without.modules())
    return [part for part in module.modules() if isinstance(part, nn.Conv2d) and part not in left_out]
