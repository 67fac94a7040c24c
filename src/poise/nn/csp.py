"""Cross stage partial layers (CSP, arXiv 1911.11929): half of the channels goes through blocks, the other half past them.

CSPNeXt (RTMDet, arXiv 2212.07784, section 3.2) has blocks with a depthwise 5x5 convolution and attention over channels,
CSPDarknet (YOLOX, arXiv 2107.08430) plain bottlenecks. The weights are named as in their releases.
"""

from collections.abc import Callable
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.conv_unit import EPS, ConvUnit

Block: TypeAlias = Callable[[int, bool, float], nn.Module]
"""Makes a block of a number of channels, with a shortcut or without, with that `eps` of its batch norms."""


@final
class DepthwiseUnit(nn.Module):
    """A depthwise convolution and a 1x1 convolution, each with batch norm and SiLU.

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Side of the depthwise convolution, odd.
        stride: Its stride.
        eps: What the batch norms add to variances.
    """

    def __init__(self, channels: int, width: int, kernel: int, *, stride: int = 1, eps: float = EPS) -> None:
        super().__init__()
        self.depthwise_conv = ConvUnit(channels, channels, kernel, stride=stride, groups=channels, eps=eps)
        self.pointwise_conv = ConvUnit(channels, width, eps=eps)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the unit."""
        output: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return output


def unit(depthwise: bool) -> type[ConvUnit] | type[DepthwiseUnit]:
    """The type of a layer: a plain convolution, or a depthwise one with its 1x1 as the smallest RTMDet has it."""
    return DepthwiseUnit if depthwise else ConvUnit


@final
class CSPNeXtBlock(nn.Module):
    """A 3x3 convolution and a depthwise 5x5 one with its 1x1 (RTMDet, figure 3b).

    Args:
        channels: Channels, before and behind.
        shortcut: Whether the input is added.
        eps: What the batch norms add to variances.
        depthwise: Whether the 3x3 convolution is a depthwise one with its 1x1, too.
    """

    def __init__(self, channels: int, shortcut: bool = True, eps: float = EPS, *, depthwise: bool = False) -> None:
        super().__init__()
        self.conv1 = unit(depthwise)(channels, channels, 3, eps=eps)
        self.conv2 = DepthwiseUnit(channels, channels, 5, eps=eps)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The output of the block."""
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.shortcut else out


@final
class DarknetBlock(nn.Module):
    """A 1x1 and a 3x3 convolution (YOLOX's bottleneck, all channels wide).

    Args:
        channels: Channels, before and behind.
        shortcut: Whether the input is added.
        eps: What the batch norms add to variances.
    """

    def __init__(self, channels: int, shortcut: bool = True, eps: float = EPS) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, channels, eps=eps)
        self.conv2 = ConvUnit(channels, channels, 3, eps=eps)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The output of the block."""
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.shortcut else out


@final
class HardAttention(nn.Module):
    """Scales each channel by 0..1, from the means of all channels by one linear layer and a hard sigmoid (RTMDet's).

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map with scaled channels."""
        return x * nn.functional.hardsigmoid(self.fc(x.mean(dim=(2, 3), keepdim=True)))


@final
class CSPLayer(nn.Module):
    """Half of the channels through blocks, the other half past them; both are joined by a 1x1 convolution.

    Args:
        channels: Input channels.
        width: Output channels.
        blocks: Number of blocks.
        block: Makes one of them.
        shortcut: Whether each block adds its input.
        attention: Whether the joined channels are scaled by their means.
        eps: What the batch norms add to variances.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        block: Block,
        *,
        shortcut: bool = True,
        attention: bool = False,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        half = width // 2
        self.main_conv = ConvUnit(channels, half, eps=eps)
        self.short_conv = ConvUnit(channels, half, eps=eps)
        self.final_conv = ConvUnit(2 * half, width, eps=eps)
        self.blocks = nn.Sequential(*(block(half, shortcut, eps) for _ in range(blocks)))
        self.attention = HardAttention(2 * half) if attention else None

    def forward(self, x: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b _ h w"]:
        """The output of the layer."""
        joined = torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), dim=1)
        output: Tensor = self.final_conv(joined if self.attention is None else self.attention(joined))
        return output
