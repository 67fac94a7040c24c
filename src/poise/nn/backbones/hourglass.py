"""The stem of stacked hourglasses (arXiv 1603.06937, section 3.2): feature maps of stride 4.

The hourglasses themselves each have an output that the next one reads, so they are a head: `nn/heads/hourglass.py`. The weights
are named as in the releases of pytorch-pose, the synthetic animals and DARK.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import PreBottleneck


@final
class HourglassStem(Backbone):
    """A 7x7 convolution, three residual blocks and a max pooling.

    Initial weights are PyTorch's defaults, as in the releases.

    Args:
        features: Output channels, a multiple of 4. Published: 256.

    Raises:
        InputError: Another number of features.
    """

    multiple = 4
    strides = (4,)

    def __init__(self, features: int = 256) -> None:
        super().__init__()
        if features < 4 or features % 4:
            raise InputError(f"an hourglass needs a positive multiple of 4 as its features, not {features}")
        quarter, half = features // 4, features // 2
        self.conv1 = nn.Conv2d(3, quarter, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(quarter)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(PreBottleneck(quarter, quarter))
        self.layer2 = nn.Sequential(PreBottleneck(half, half))
        self.layer3 = nn.Sequential(PreBottleneck(features, half))
        self.maxpool = nn.MaxPool2d(2, stride=2)
        self.channels = (features,)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature map that the first hourglass reads."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.maxpool(self.layer1(x))
        x = self.layer3(self.layer2(x))
        return [x]
