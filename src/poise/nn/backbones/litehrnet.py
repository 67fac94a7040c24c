"""Lite-HRNet (Yu et al.; CVPR 2021; arXiv 2104.06403): HRNet's branches with conditional channel weighting in place of 1x1s.

The weights are named as in MMPose's checkpoints. `Fusion` computes what the release computes, see there.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import conv1x1, resize_maps
from poise.nn.conv_unit import ConvUnit

MODULES = {18: (2, 4, 2), 30: (3, 8, 3)}
"""Modules of stages 2, 3 and 4, by the depth in the network's name."""

WIDTHS = (40, 80, 160, 320)
ENTRY = 32
BLOCKS = 2
ACROSS = 8
"""Channels of all resolutions together for each channel between the layers of their common attention."""

WITHIN = 4
"""Channels of a resolution for each channel between the layers of its own attention."""


def shuffled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Channels of two halves in turn (ShuffleNet, arXiv 1707.01083)."""
    _, channels, high, wide = map(int, x.shape)  # the batch alone is of any size in a traced graph
    return x.reshape(x.shape[0], 2, channels // 2, high, wide).transpose(1, 2).reshape(x.shape[0], channels, high, wide)


def depthwise(channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution of each channel by itself, without bias."""
    return nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False)


def separable(channels: int, width: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """A depthwise convolution, a 1x1 convolution, a batch norm behind each."""
    layers = (depthwise(channels, stride), nn.BatchNorm2d(channels), conv1x1(channels, width), nn.BatchNorm2d(width))
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


@final
class LiteStem(nn.Module):
    """Maps of stride 4 from views: a convolution, then a shuffle block of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        half = ENTRY // 2
        self.conv1 = ConvUnit(3, ENTRY, 3, stride=2, act=nn.ReLU)
        self.branch1 = nn.Sequential(
            ConvUnit(half, half, 3, stride=2, groups=half, act=nn.Identity), ConvUnit(half, half, act=nn.ReLU)
        )
        self.expand_conv = ConvUnit(half, ENTRY, act=nn.ReLU)
        self.depthwise_conv = ConvUnit(ENTRY, ENTRY, 3, stride=2, groups=ENTRY, act=nn.Identity)
        self.linear_conv = ConvUnit(ENTRY, half, act=nn.ReLU)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Feature:
        """The map of stride 4."""
        one, other = self.conv1(images).chunk(2, dim=1)
        other = self.linear_conv(self.depthwise_conv(self.expand_conv(other)))
        return shuffled(torch.cat((self.branch1(one), other), dim=1))


@final
class CrossResolutionWeighting(nn.Module):
    """Scales each channel of each cell, depending on all resolutions there (section 3.2).

    Args:
        widths: Channels of each resolution, finest first.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        total = sum(widths)
        self.conv1 = ConvUnit(total, total // ACROSS, act=nn.ReLU)
        self.conv2 = ConvUnit(total // ACROSS, total, act=nn.Sigmoid)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps with scaled channels."""
        cells = (int(features[-1].shape[-2]), int(features[-1].shape[-1]))
        small = [functional.adaptive_avg_pool2d(x, cells) for x in features[:-1]]
        scales = self.conv2(self.conv1(torch.cat((*small, features[-1]), dim=1))).split(self.widths, dim=1)
        return [x * functional.interpolate(s, size=x.shape[-2:]) for x, s in zip(features, scales, strict=True)]


@final
class SpatialWeighting(nn.Module):
    """Scales each channel, depending on the means of all channels of this resolution (section 3.2).

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential()
        self.conv2 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv2d(channels, channels // WITHIN, 1))
        self.conv2.add_module("conv", nn.Conv2d(channels // WITHIN, channels, 1))

    def forward(self, x: Feature) -> Feature:
        """The map with scaled channels."""
        scale: Tensor = self.conv2(self.conv1(x.mean(dim=(2, 3), keepdim=True)).relu()).sigmoid()
        return x * scale


@final
class ConditionalChannelWeighting(nn.Module):
    """A shuffle block of all resolutions: half of the channels pass, the others are weighted and filtered (figure 3).

    Args:
        widths: Channels of each resolution, finest first.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        halves = tuple(width // 2 for width in widths)
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.ModuleList(ConvUnit(w, w, 3, groups=w, act=nn.Identity) for w in halves)
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(w) for w in halves)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps of the block."""
        pairs = [x.chunk(2, dim=1) for x in features]
        weighted = self.cross_resolution_weighting([other for _, other in pairs])
        steps = zip(self.depthwise_convs, self.spatial_weighting, weighted, strict=True)
        others = [spatial(depth(x)) for depth, spatial, x in steps]
        return [shuffled(torch.cat((one, other), dim=1)) for (one, _), other in zip(pairs, others, strict=True)]


def _path(widths: tuple[int, ...], source: int, target: int) -> nn.Module:
    """From branch `source` to the resolution of branch `target`."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(conv1x1(widths[source], widths[target]), nn.BatchNorm2d(widths[target]), up)
    steps = target - source
    kept = (separable(widths[source], widths[source], 2) for _ in range(steps - 1))
    return nn.Sequential(*kept, separable(widths[source], widths[target], 2, relu=False))


@final
class LiteModule(nn.Module):
    """Blocks, then the sum of all branches at each resolution.

    The release's checkpoints were trained with the finest branch counted twice in every sum, and with the sum of the finest
    resolution itself, before its ReLU, in place of the finest branch in the sums of the others; so it is computed here.

    Args:
        widths: Channels of the branches, finest first.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        count = len(widths)
        self.layers = nn.ModuleList(ConditionalChannelWeighting(widths) for _ in range(BLOCKS))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in range(count)) for target in range(count)
        )

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The sums, finest first."""
        for layer in self.layers:
            features = layer(features)
        seen, sums = list(features), []
        for paths in self.fuse_layers:
            parts = [path(x) for path, x in zip(paths.children(), seen, strict=True)]
            total = 2 * parts[0]
            for part in parts[1:]:
                total = total + part
            sums.append(total)
            seen[0] = sums[0]
        return [total.relu() for total in sums]


@final
class SeparableUnit(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, each with a batch norm, and a ReLU behind both.

    Args:
        channels: Input channels.
        width: Output channels.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvUnit(channels, channels, 3, groups=channels, act=nn.Identity)
        self.pointwise_conv = ConvUnit(channels, width, act=nn.ReLU)

    def forward(self, x: Feature) -> Feature:
        """The output of the unit."""
        output: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return output


@final
class Descent(nn.Module):
    """Adds each coarser map to the next finer one, down to the finest.

    Args:
        widths: Channels of the branches, finest first.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        pairs = zip(widths[::-1], (*widths[-2::-1], widths[0]), strict=True)
        self.projects = nn.ModuleList(SeparableUnit(channels, width) for channels, width in pairs)

    def forward(self, features: list[Feature]) -> Feature:
        """The finest map."""
        out: Tensor | None = None
        for project, x in zip(self.projects, reversed(features), strict=True):
            out = project(x if out is None else x + resize_maps(out, (int(x.shape[-2]), int(x.shape[-1]))))
        assert out is not None, "there is at least one branch"
        return out


@final
class LiteHRNet(Backbone):
    """The network up to the feature map of stride 4.

    Args:
        depth: 18 or 30.

    Raises:
        InputError: Another depth.
    """

    multiple = 32

    def __init__(self, depth: int = 18) -> None:
        super().__init__()
        if depth not in MODULES:
            raise InputError(f"there are Lite-HRNets of depth {' and '.join(map(str, MODULES))}, not of {depth}")
        self.stem = LiteStem()
        self.transition0 = nn.ModuleList((separable(ENTRY, WIDTHS[0]), nn.Sequential(separable(ENTRY, WIDTHS[1], 2))))
        for number, modules in enumerate(MODULES[depth]):
            widths = WIDTHS[: number + 2]
            if number:
                new = nn.Sequential(separable(widths[-2], widths[-1], 2))
                self.add_module(f"transition{number}", nn.ModuleList((*(nn.Identity() for _ in widths[:-1]), new)))
            self.add_module(f"stage{number}", nn.Sequential(*(LiteModule(widths) for _ in range(modules))))
        self.head_layer = Descent(WIDTHS)
        self.channels = (WIDTHS[0],)
        self.strides = (4,)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The map of stride 4."""
        x = self.stem(images)
        features: list[Tensor] = self.get_submodule("stage0")([path(x) for path in self.transition0])
        for number in (1, 2):
            new = self.get_submodule(f"transition{number}.{number + 1}")(features[-1])
            features = self.get_submodule(f"stage{number}")([*features, new])
        return [self.head_layer(features)]
