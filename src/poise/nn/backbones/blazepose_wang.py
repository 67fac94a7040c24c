"""The trunk of a third party's BlazePose (github.com/WangChyanhassth-2say/BlazePose_torch): blocks of BlazeFace, MobileNetV3.

The weights are named as in its checkpoints.
"""

from collections.abc import Callable
from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.base import Backbone, Feature


@final
class DepthSeparable(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution, and what was put in added to them (BlazeFace, arXiv 1907.05047, figure 1).

    With stride 2 the depthwise convolution is padded by two cells on the right and below, and the maximum of 2x2 cells is
    added, with channels of zeros at the end.

    Args:
        channels: Input channels.
        width: Output channels, at least as many.
        stride: 1 or 2.
    """

    def __init__(self, channels: int, width: int, stride: int = 2) -> None:
        super().__init__()
        self.depth_conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=2 - stride, groups=channels)
        self.pointwise_conv = nn.Conv2d(channels, width, 1)
        self.stride, self.more = stride, width - channels

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        wide = F.pad(x, (0, 2, 0, 2)) if self.stride == 2 else x
        kept = F.max_pool2d(x, 2) if self.stride == 2 else x
        out: Tensor = self.pointwise_conv(self.depth_conv(wide)) + F.pad(kept, (0, 0, 0, 0, 0, self.more))
        return F.relu6(out)


@final
class SqueezeGate(nn.Module):
    """Each channel times a number between 0 and 1 that depends on the means of all of them (arXiv 1905.02244, section 5.3).

    Args:
        channels: Input channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 4, channels, bias=False),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The channels, weighed."""
        weighed: Tensor = x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]
        return weighed


@final
class MobileBottleneck(nn.Module):
    """A block of MobileNetV3 (arXiv 1905.02244, figure 4) whose output has the shape of its input, added to it.

    Args:
        channels: Input and output channels.
        inner: Channels between.
        kernel: Side of the depthwise convolution.
        squeeze: Whether channels are weighed.
        relu: Whether the activation is a ReLU6; else hard swish.
    """

    def __init__(self, channels: int, inner: int, kernel: int, *, squeeze: bool, relu: bool) -> None:
        super().__init__()
        active: Callable[[], nn.Module] = nn.ReLU6 if relu else nn.Hardswish
        self.conv = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            active(),
            nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            SqueezeGate(inner) if squeeze else nn.Identity(),
            active(),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        out: Tensor = self.conv(x)
        return x + out


@final
class WangTrunk(Backbone):
    """Maps of strides 4, 8, 16 and 32."""

    channels = (32, 64, 128, 192)
    strides = (4, 8, 16, 32)
    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.conv2_b1 = MobileBottleneck(16, 72, 3, squeeze=False, relu=True)
        self.conv3_b1 = MobileBottleneck(32, 120, 5, squeeze=True, relu=True)
        self.conv4_b1 = MobileBottleneck(64, 200, 3, squeeze=False, relu=False)
        self.conv4_b2 = MobileBottleneck(64, 184, 3, squeeze=False, relu=False)
        self.conv5_b1 = MobileBottleneck(128, 480, 3, squeeze=True, relu=False)
        self.conv5_b2 = MobileBottleneck(128, 672, 3, squeeze=True, relu=False)
        self.conv6_b1 = MobileBottleneck(192, 960, 5, squeeze=True, relu=False)
        self.conv2 = DepthSeparable(16, 16, stride=1)
        self.conv3 = DepthSeparable(16, 32)
        self.conv4 = DepthSeparable(32, 64)
        self.conv5 = DepthSeparable(64, 128)
        self.conv6 = DepthSeparable(128, 192)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps, finest first."""
        x = self.conv2_b1(self.conv2(self.conv1(images)))
        s4 = self.conv3_b1(self.conv3(x))
        s8 = self.conv4_b2(self.conv4_b1(self.conv4(s4)))
        s16 = self.conv5_b2(self.conv5_b1(self.conv5(s8)))
        return [s4, s8, s16, self.conv6_b1(self.conv6(s16))]
