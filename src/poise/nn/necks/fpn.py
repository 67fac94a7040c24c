"""FPN (arXiv 1612.03144, section 3): coarse feature maps are upsampled and added to finer ones."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature
from poise.nn.necks.base import Neck


@final
class FPN(Neck):
    """A 1x1 convolution on each map, sums from coarse to fine (nearest neighbour), a 3x3 convolution on each sum.

    Without norms and ReLU, but with biases, as in maskrcnn-benchmark, Detectron2 and torchvision. Each extra map takes every
    second cell of the coarsest one.

    Args:
        channels: Channels of the input maps, finest first.
        strides: Strides of the input maps.
        width: Channels of all output maps.
        extra: Number of extra coarser maps.
    """

    def __init__(self, channels: tuple[int, ...], strides: tuple[int, ...], width: int = 256, *, extra: int = 1) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.extra = extra
        self.channels = (width,) * (len(channels) + extra)
        self.strides = (*strides, *(strides[-1] << step for step in range(1, extra + 1)))
        initialise_uniform(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The feature maps for a detector's heads, finest first."""
        x: Tensor = self.lateral[-1](features[-1])
        rising = [x]
        for lateral, finer in zip(list(self.lateral)[-2::-1], features[-2::-1], strict=True):
            x = lateral(finer) + functional.interpolate(x, size=finer.shape[-2:], mode="nearest")
            rising.append(x)
        maps: list[Tensor] = [output(sum_) for output, sum_ in zip(self.output, rising[::-1], strict=True)]
        for _ in range(self.extra):
            maps.append(maps[-1][:, :, ::2, ::2])
        return maps


def initialise_uniform(neck: nn.Module) -> None:
    """Initialise the convolutions of a neck as the releases of FPN: He, uniform, by fan-in; biases 0."""
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
