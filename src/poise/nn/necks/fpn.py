"""FPN (arXiv 1612.03144, section 3): coarse feature maps are upsampled and added to finer ones."""

import math
from typing import Literal, TypeAlias, final

from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature
from poise.nn.necks.base import Neck

Ending: TypeAlias = Literal["pool", "c5", "p5"]
"""How a pyramid goes on above its coarsest map.

"pool": by every second cell of it (P6 of Faster R-CNN). "c5" and "p5": by P6 and P7, each by a convolution of stride 2 with a
ReLU between them, P6 read from the backbone's last map (RetinaNet, arXiv 1708.02002; Detectron2, torchvision's second version)
or from the pyramid's (FCOS, arXiv 1904.01355; torchvision's first version).
"""

PyramidNorm: TypeAlias = Literal["group", "batch"]
"""Norm after each convolution of a pyramid; a convolution with one has no bias."""

GROUPS = 32
"""Groups of a GroupNorm (arXiv 1803.08494), or as many as divide the channels."""


@final
class FPN(Neck):
    """A 1x1 convolution on each map, sums from coarse to fine (nearest neighbour), a 3x3 convolution on each sum.

    By default without norms and ReLU, but with biases, as in maskrcnn-benchmark, Detectron2 and torchvision.

    Args:
        channels: Channels of the input maps, finest first.
        strides: Strides of the input maps.
        width: Channels of all output maps.
        extra: Number of extra coarser maps; of the endings "c5" and "p5" 2.
        ending: How the extra maps are made.
        norm: Norm after each of these convolutions.
        relu: Whether a ReLU follows each of them, as maskrcnn-benchmark has it as an option.
        first: Index of the finest input map that takes part: 1 for P3 to P7 of maps of strides 4 to 32. The maps before it keep
            their place in the names of weights.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        width: int = 256,
        *,
        extra: int = 1,
        ending: Ending = "pool",
        norm: PyramidNorm | None = None,
        relu: bool = False,
        first: int = 0,
    ) -> None:
        super().__init__()
        before = [nn.Identity() for _ in range(first)]
        lateral = (conv_unit(c, width, 1, norm=norm, relu=relu) for c in channels[first:])
        self.lateral = nn.ModuleList([*before, *lateral])
        self.output = nn.ModuleList([*before, *(conv_unit(width, width, 3, norm=norm, relu=relu) for _ in channels[first:])])
        self.first, self.ending = first, ending
        self.extra = extra if ending == "pool" else 2
        if ending != "pool":
            self.p6 = nn.Conv2d(channels[-1] if ending == "c5" else width, width, 3, stride=2, padding=1)
            self.p7 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.channels = (width,) * (len(channels) - first + self.extra)
        self.strides = (*strides[first:], *(strides[-1] << step for step in range(1, self.extra + 1)))
        initialise_uniform(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The feature maps for a detector's heads, finest first."""
        lateral, used = list(self.lateral)[self.first :], features[self.first :]
        x: Tensor = lateral[-1](used[-1])
        rising = [x]
        for layer, finer in zip(lateral[-2::-1], used[-2::-1], strict=True):
            x = layer(finer) + functional.interpolate(x, size=finer.shape[-2:], mode="nearest")
            rising.append(x)
        outputs = list(self.output)[self.first :]
        maps: list[Tensor] = [output(sum_) for output, sum_ in zip(outputs, rising[::-1], strict=True)]
        return [*maps, *self._coarser(maps[-1], used[-1])]

    def _coarser(self, last: Feature, deepest: Feature) -> list[Feature]:
        """The extra maps, from the coarsest map of the pyramid and the last one of the backbone."""
        if self.ending == "pool":
            # As pooling, as the releases have it: a slice in a whole detector makes OpenVINO 2026.4 give pyramids of no cells.
            return [functional.max_pool2d(last, 1, stride=2**step) for step in range(1, self.extra + 1)]
        p6 = self.p6(deepest if self.ending == "c5" else last)
        return [p6, self.p7(functional.relu(p6))]


def conv_unit(channels: int, width: int, kernel: int, *, norm: PyramidNorm | None, relu: bool) -> nn.Module:
    """A convolution, with a norm in place of its bias and a ReLU if wanted; alone it is no sequence, as in the releases."""
    conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=norm is None)
    norms: dict[str | None, list[nn.Module]] = {
        None: [],
        "group": [nn.GroupNorm(math.gcd(GROUPS, width), width)],
        "batch": [nn.BatchNorm2d(width)],
    }
    rest = [*norms[norm], *([nn.ReLU()] if relu else [])]
    return nn.Sequential(conv, *rest) if rest else conv


def initialise_uniform(neck: nn.Module) -> None:
    """Initialise the convolutions of a neck as the releases of FPN: He, uniform, by fan-in; biases 0."""
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
