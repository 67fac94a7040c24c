"""The pre-activation bottleneck (arXiv 1603.05027, figure 4e) that stacked hourglasses are made of."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn


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
