"""Our own small backbone: dense 3x3 convolutions only, wide at low resolution.

CPUs, and GPUs with matrix units, compute dense convolutions near their peak and depthwise ones far below it; so this trains
faster than a mobile network of the same accuracy, and in bfloat16. The stem is two strided 3x3 convolutions in place of a 7x7
and a pooling; the rest are residual blocks of ResNet (arXiv 1512.03385).
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import BasicBlock, conv3x3

Stages = tuple[int, int, int, int]


@final
class PlainNet(Backbone):
    """Four stages at strides 4, 8, 16 and 32.

    Args:
        widths: Channels of each stage; the stem has half of the first.
        blocks: Residual blocks of each stage.

    Raises:
        InputError: A width that is odd or not positive, or a stage without a block.
    """

    multiple = 32
    strides = (4, 8, 16, 32)

    def __init__(self, widths: Stages, blocks: Stages) -> None:
        super().__init__()
        if any(w < 2 or w % 2 for w in widths) or min(blocks) < 1:
            raise InputError(f"every stage needs an even width and at least one block, found widths {widths}, blocks {blocks}")
        self.channels = widths
        half = widths[0] // 2
        self.stem = nn.Sequential(
            conv3x3(3, half, 2),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            conv3x3(half, widths[0], 2),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        before = (widths[0], *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                BasicBlock(before[i], widths[i], 1 if i == 0 else 2),
                *(BasicBlock(widths[i], widths[i]) for _ in range(blocks[i] - 1)),
            )
            for i in range(4)
        )
        for module in self.modules():
            if type(module) is nn.Conv2d:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The outputs of the four stages."""
        x = self.stem(images)
        features: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
