"""A convolution, a batch norm and SiLU: the unit that CSPNeXt, CSPDarknet and their necks are made of."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPS = 1e-5
"""What batch norms add to variances by default, as in RTMPose's releases; YOLOX's, and with it RTMO's, is 1e-3."""


@final
class ConvUnit(nn.Module):
    """A convolution without bias, a batch norm, and SiLU unless another layer or none is wanted.

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Side of the convolution, odd; its padding keeps the cells.
        stride: Stride of the convolution.
        groups: Groups of the convolution.
        eps: What the batch norm adds to variances.
        act: The layer behind; `nn.Identity` for none.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        eps: float = EPS,
        act: type[nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=eps)
        self.act = act()

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the unit."""
        output: Tensor = self.act(self.bn(self.conv(x)))
        return output


@final
class PyramidPool(nn.Module):
    """Adds to each cell the maxima of 5, 9 and 13 cells around it (SPP, arXiv 1406.4729, as YOLOX has it).

    Args:
        channels: Channels of the map, before and behind.
        eps: What the batch norms add to variances.
    """

    def __init__(self, channels: int, *, eps: float = EPS) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, channels // 2, eps=eps)
        self.conv2 = ConvUnit(channels // 2 * 4, channels, eps=eps)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map with what is around each cell."""
        x = self.conv1(x)
        around = [nn.functional.max_pool2d(x, side, stride=1, padding=side // 2) for side in (5, 9, 13)]
        output: Tensor = self.conv2(torch.cat([x, *around], dim=1))
        return output
