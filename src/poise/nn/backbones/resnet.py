"""ResNet (arXiv 1512.03385) as Simple Baselines and detectors use it: four stages of strides 4 to 32.

The weights are named as in torchvision.
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
    """A ResNet or ResNeXt without its classifier.

    Args:
        depth: 18, 34, 50, 101 or 152.
        style: Convolution of a bottleneck that has the stride; "caffe" exists from depth 50 on.
        stages: Number of stages, 1 to 4; detectors of the C4 form use the last one in their heads.
        groups: Groups of ResNeXt's 3x3 convolutions (arXiv 1611.05431); 1 for ResNet.
        group_width: Channels of a group in the first stage; 64 for ResNet.

    Raises:
        InputError: Another depth, "caffe" or groups without bottlenecks, not 1 to 4 stages.
    """

    multiple = 32

    def __init__(
        self, depth: int, style: Style = "pytorch", *, stages: int = 4, groups: int = 1, group_width: int = 64
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"there is no ResNet-{depth}; the depths are {', '.join(map(str, DEPTHS))}")
        if style == "caffe" and depth < 50:
            raise InputError(
                f"ResNet-{depth} has no bottlenecks, so there is no caffe style of it; take 'pytorch', or depth 50 up"
            )
        if (groups, group_width) != (1, 64) and depth < 50:
            raise InputError(f"ResNet-{depth} has no bottlenecks, so there is no ResNeXt of it; take depth 50 up")
        if not 1 <= stages <= 4:
            raise InputError(f"a ResNet has 1 to 4 stages, not {stages}")
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.groups = groups
        self._stages = tuple(f"layer{number}" for number in range(1, stages + 1))
        for number, name in enumerate(self._stages, 1):
            self.add_module(name, stage(depth, number, style, groups=groups, group_width=group_width))
        gain = 1 if depth < 50 else Bottleneck.expansion
        self.channels = tuple(gain * width for width in (64, 128, 256, 512)[:stages])
        self.strides = (4, 8, 16, 32)[:stages]
        _initialise(self)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The outputs of the stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = []
        for name in self._stages:
            x = getattr(self, name)(x)
            features.append(x)
        return features


def dilate(backbone: ResNet, stages: int = 2) -> ResNet:
    """Replace the strides of the last stages by dilation (arXiv 1606.00915, section 3.1), in place; weights stay usable.

    Args:
        backbone: A ResNet; its maps get larger.
        stages: Number of last stages without stride: 2 for an output stride of 8.

    Raises:
        InputError: Not 1 to 3 stages.
    """
    if not 1 <= stages <= 3:
        raise InputError(f"1 to 3 stages of a ResNet can be dilated, not {stages}")
    dilation = 1
    for name in backbone._stages[-stages:]:
        for number, block in enumerate(getattr(backbone, name)):
            own = dilation if number == 0 else 2 * dilation  # the first block continues on the cells of the stage before
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.stride = (1, 1)
                    if layer.kernel_size == (3, 3):
                        layer.dilation = layer.padding = (own, own)
        dilation *= 2
    kept = backbone.strides[: len(backbone.strides) - stages]
    backbone.strides = (*kept, *(kept[-1:] * stages))
    return backbone


def stage(depth: int, number: int, style: Style, *, groups: int = 1, group_width: int = 64) -> nn.Sequential:
    """The blocks of one stage of a ResNet.

    Args:
        depth: 18, 34, 50, 101 or 152.
        number: Number of the stage, 1 to 4.
        style: Convolution of a bottleneck that has the stride: "pytorch" the 3x3, "caffe" the first 1x1.
        groups: Groups of the 3x3 convolutions.
        group_width: Channels of a group in the first stage.
    """
    width, stride = 32 << number, 1 if number == 1 else 2
    blocks = DEPTHS[depth][number - 1]
    if depth < 50:
        channels = 64 if number == 1 else width // 2
        return nn.Sequential(BasicBlock(channels, width, stride), *(BasicBlock(width, width) for _ in range(blocks - 1)))
    channels, out_channels = 64 if number == 1 else width // 2 * Bottleneck.expansion, width * Bottleneck.expansion

    def block(in_channels: int, stride: int) -> Bottleneck:
        return Bottleneck(in_channels, width, stride, style, groups=groups, group_width=group_width)

    return nn.Sequential(block(channels, stride), *(block(out_channels, 1) for _ in range(blocks - 1)))


def _initialise(network: nn.Module) -> None:
    """He initialisation (arXiv 1502.01852) by fan-out, as in torchvision."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
