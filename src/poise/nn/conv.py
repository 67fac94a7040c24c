"""A convolution and its batch norm, as the multi-stage networks use them: with a bias although a norm follows."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


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
