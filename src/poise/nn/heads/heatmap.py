"""Heads with one output: transposed convolutions (Simple Baselines, LPN), or one 1x1 convolution (HRNet, DeepLabCut, G-RMI)."""

from itertools import product
from math import gcd
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature, Head
from poise.nn.blocks import conv1x1


@final
class DeconvHead(Head):
    """Doubles the resolution of the last feature map a few times (Simple Baselines, arXiv 1804.06208, section 2).

    Args:
        channels: Channels of the last feature map.
        outputs: Channels of the codec.
        widths: Channels of the transposed convolutions, each of which doubles the resolution.
    """

    def __init__(self, channels: int, outputs: int, widths: tuple[int, ...] = (256, 256, 256)) -> None:
        super().__init__()
        self.layers = deconv_layers(channels, widths)
        self.final = final_layer(widths[-1] if widths else channels, outputs)

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.final(self.layers(features[-1]))
        return output


@final
class LightDeconvHead(Head):
    """Grouped transposed convolutions, each followed by a 1x1 convolution (LPN, arXiv 1911.10346, section 3.2).

    Args:
        channels: Channels of the last feature map.
        outputs: Channels of the codec.
        widths: Channels of the transposed convolutions, each of which doubles the resolution; they have as many groups as
            divide both input and output channels.
    """

    def __init__(self, channels: int, outputs: int, widths: tuple[int, ...] = (256, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            groups = gcd(channels, width)
            deconv = GroupedDeconv(channels, width, groups)
            mix = conv1x1(width, width)
            nn.init.normal_(deconv.weight, std=0.001)
            nn.init.normal_(mix.weight, std=0.001)
            layers += [deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers += [mix, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        self.layers = nn.Sequential(*layers)
        self.final = final_layer(channels, outputs)

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.final(self.layers(features[-1]))
        return output


@final
class GroupedDeconv(nn.ConvTranspose2d):
    """A transposed convolution with 4x4 cells in groups, which doubles the resolution.

    Args:
        channels: Channels of its input.
        width: Channels of its output.
        groups: Groups, which divide both.
    """

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__(channels, width, 4, stride=2, padding=1, groups=groups, bias=False)

    def as_graph(self, runtime: str) -> nn.Module:
        """The same function as a runtime runs it fastest (`runtimes.parts.graph_form`).

        OpenVINO takes two to five times as long in bfloat16 for a transposed convolution in groups as for `SubPixelDeconv`.
        """
        return SubPixelDeconv(self) if runtime == "openvino" else self


@final
class SubPixelDeconv(nn.Module):
    """A `GroupedDeconv` as a sub-pixel convolution (arXiv 1609.05158): 3x3 cells, four outputs for each, then pixel shuffle.

    Args:
        deconv: Whose weights it takes.
    """

    def __init__(self, deconv: GroupedDeconv) -> None:
        super().__init__()
        groups, outputs = deconv.groups, deconv.out_channels
        grouped = deconv.weight.detach().reshape(groups, -1, outputs // groups, 4, 4)
        kernels = grouped.transpose(1, 2).flatten(0, 1)  # out, in / groups, 4, 4
        self.phases = nn.Conv2d(deconv.in_channels, 4 * outputs, 3, padding=1, groups=groups, bias=False)
        weight = torch.zeros(outputs, 2, 2, kernels.shape[1], 3, 3)
        for row, column in product(range(2), range(2)):
            # an even output sees cells 3 and 1 of the kernel, at the input before and its own; an odd one sees 2 and 0
            part = kernels[:, :, [[3, 1], [2, 0]][row]][..., [[3, 1], [2, 0]][column]]
            weight[:, row, column, :, row : row + 2, column : column + 2] = part
        self.phases.load_state_dict({"weight": weight.flatten(0, 2)})

    def forward(self, x: Tensor) -> Tensor:
        """The output."""
        return functional.pixel_shuffle(self.phases(x), 2)


@final
class PixelwiseHead(Head):
    """One 1x1 convolution on the finest feature map (HRNet, arXiv 1902.09212, section 3).

    Args:
        channels: Channels of the finest feature map.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.final = final_layer(channels, outputs)

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.final(features[0])
        return output


@final
class UpsampledHead(Head):
    """One 1x1 convolution on the last feature map, resized bilinearly (G-RMI, arXiv 1701.01779, section 3.2).

    Args:
        channels: Channels of the last feature map.
        outputs: Channels of the codec.
        factor: Factor of the resolution; corner cells stay corner cells, so n cells become (n - 1) factor + 1.
    """

    def __init__(self, channels: int, outputs: int, factor: int = 8) -> None:
        super().__init__()
        self.final = final_layer(channels, outputs)
        self.factor = factor

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        maps: Tensor = self.final(features[-1])
        height, width = maps.shape[-2:]
        size = ((height - 1) * self.factor + 1, (width - 1) * self.factor + 1)
        return maps if self.factor == 1 else functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)


@final
class TransposedHead(Head):
    """One transposed 1x1 convolution on the finest feature map, as DeepLabCut has it; the weights are (in, out, 1, 1).

    Args:
        channels: Channels of the finest feature map.
        outputs: Channels of the codec.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.final = nn.ConvTranspose2d(channels, outputs, 1)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]  # a layer's bias may be None; not here

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.final(features[0])
        return output


def deconv_layers(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Transposed convolutions, each of which doubles the resolution, with batch norm and ReLU.

    Args:
        channels: Input channels.
        widths: Channels of the convolutions.
    """
    layers: list[nn.Module] = []
    for width in widths:
        deconv = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False)
        nn.init.normal_(deconv.weight, std=0.001)
        layers += [deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        channels = width
    return nn.Sequential(*layers)


def final_layer(channels: int, outputs: int, kernel: int = 1) -> nn.Conv2d:
    """The convolution that makes heatmaps, with the small first weights of Simple Baselines' release.

    Args:
        channels: Input channels.
        outputs: Output channels, those of the codec.
        kernel: Side of the convolution, odd.
    """
    layer = nn.Conv2d(channels, outputs, kernel, padding=kernel // 2)
    nn.init.normal_(layer.weight, std=0.001)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here
    return layer
