"""ResNet (arXiv 1512.03385) as Simple Baselines uses it: four stages of strides 4 to 32.

The weights are named as torchvision names them.
"""

from collections.abc import Mapping
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import BasicBlock, Bottleneck, Style

DEPTHS: Mapping[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks of each stage (table 1); from depth 50 on they are bottlenecks."""


@final
class ResNet(Backbone):
    """A ResNet without its classifier.

    Args:
        depth: 18, 34, 50, 101 or 152.
        style: Where the bottlenecks stride; "caffe" exists from depth 50 on.

    Raises:
        InputError: Another depth, or "caffe" where there are no bottlenecks.
    """

    multiple = 32
    strides = (4, 8, 16, 32)

    def __init__(self, depth: int, style: Style = "pytorch") -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"there is no ResNet-{depth}; the depths are {', '.join(map(str, DEPTHS))}")
        if style == "caffe" and depth < 50:
            raise InputError(
                f"ResNet-{depth} has no bottlenecks, so there is no caffe style of it; take 'pytorch', or depth 50 up"
            )
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, channels, leaving = [], 64, []
        for number, blocks in enumerate(DEPTHS[depth]):
            stage = _stage(channels, 64 << number, blocks, stride=1 if number == 0 else 2, style=None if depth < 50 else style)
            stages.append(stage)
            channels = (64 << number) * (1 if depth < 50 else Bottleneck.expansion)
            leaving.append(channels)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = tuple(leaving)
        _initialise(self)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The answers of the four stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


def _stage(channels: int, width: int, blocks: int, *, stride: int, style: Style | None) -> nn.Sequential:
    """One stage: basic blocks where `style` is None, else bottlenecks."""
    if style is None:
        return nn.Sequential(BasicBlock(channels, width, stride), *(BasicBlock(width, width) for _ in range(blocks - 1)))
    leaving = width * Bottleneck.expansion
    return nn.Sequential(
        Bottleneck(channels, width, stride, style), *(Bottleneck(leaving, width, 1, style) for _ in range(blocks - 1))
    )


def _initialise(network: nn.Module) -> None:
    """He's initial weights (arXiv 1502.01852), by the channels that leave, as torchvision sets them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
