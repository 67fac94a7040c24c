"""HRNet (arXiv 1902.09212, section 3): branches of four resolutions that exchange features repeatedly.

The weights are named as in the official checkpoints.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.nn.base import Backbone, Feature
from poise.nn.blocks import BasicBlock, Bottleneck, conv1x1, conv3x3

MODULES = (1, 4, 3)
"""Exchange modules of stages 2, 3 and 4."""

BLOCKS = 4
"""Residual blocks of every branch of every module, and of stage 1."""


def _relu(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


def _down(channels: int, width: int, steps: int) -> nn.Sequential:
    """Halves the resolution `steps` times; only the last convolution changes the width, and has no ReLU."""
    last = nn.Sequential(conv3x3(channels, width, 2), nn.BatchNorm2d(width))
    return nn.Sequential(*(_relu(conv3x3(channels, channels, 2)) for _ in range(steps - 1)), last)


def _up(channels: int, width: int, steps: int) -> nn.Sequential:
    """Doubles the resolution `steps` times by nearest-neighbour interpolation, after a 1x1 convolution."""
    return nn.Sequential(conv1x1(channels, width), nn.BatchNorm2d(width), nn.Upsample(scale_factor=2**steps, mode="nearest"))


def _path(widths: tuple[int, ...], source: int, target: int, gain: int) -> nn.Module:
    """From branch `source` to the resolution of branch `target`, with `gain` times the width of that branch."""
    out_channels = widths[target] * gain
    if source == target:
        return nn.Identity() if gain == 1 else nn.Sequential(conv1x1(widths[source], out_channels))
    if source > target:
        return _up(widths[source], out_channels, source - target)
    return _down(widths[source], out_channels, target - source)


@final
class Exchange(nn.Module):
    """One exchange module: the blocks of every branch, then for each output the sum of all branches at its resolution.

    Args:
        widths: Channels of the branches, finest first.
        outputs: Number of outputs, finest first; by default one for each branch.
        gain: The outputs have this many times the channels of the branches.
    """

    def __init__(self, widths: tuple[int, ...], outputs: int | None = None, gain: int = 1) -> None:
        super().__init__()
        count = len(widths)
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(w, w) for _ in range(BLOCKS))) for w in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target, gain) for source in range(count)) for target in range(outputs or count)
        )

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The outputs, finest first."""
        seen = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        return [self._sum(paths, seen) for paths in self.fuse_layers]

    def _sum(self, paths: nn.Module, seen: list[Tensor]) -> Tensor:
        total: Tensor | None = None
        for path, x in zip(paths.children(), seen, strict=True):
            part = path(x)
            total = part if total is None else total + part
        assert total is not None, "a module has at least one branch"
        return total.relu_()


@final
class HRNet(Backbone):
    """The network up to the feature map of stride 4.

    Args:
        width: Channels of the finest branch; each coarser one has twice as many. Published: 32 and 48.
        branches: Number of branches that the last module outputs, finest first. The published pose networks have one.
        gain: The outputs of the last module have this many times the channels of its branches; 4 in UDP's release (arXiv
            1911.07524).

    Raises:
        InputError: A width or gain below 1, or not 1 to 4 branches.
    """

    multiple = 32

    def __init__(self, width: int, branches: int = 1, gain: int = 1) -> None:
        super().__init__()
        if min(width, gain) < 1 or not 1 <= branches <= 4:
            raise InputError(
                f"HRNet needs a width and a gain of at least 1 and 1 to 4 branches, not width {width}, gain {gain}, "
                f"branches {branches}"
            )
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.conv1 = conv3x3(3, 64, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = conv3x3(64, 64, 2)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(BLOCKS - 1)))
        self.transition1 = nn.ModuleList((_relu(conv3x3(256, widths[0])), nn.Sequential(_relu(conv3x3(256, widths[1], 2)))))
        self.stage2 = _stage(widths[:2], MODULES[0])
        self.transition2 = _one_more(widths[:3])
        self.stage3 = _stage(widths[:3], MODULES[1])
        self.transition3 = _one_more(widths)
        self.stage4 = _stage(widths, MODULES[2], branches, gain)
        self.channels = tuple(gain * w for w in widths[:branches])
        self.strides = (4, 8, 16, 32)[:branches]
        _initialise(self)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The outputs of stage 4, finest first."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer1(self.relu(self.bn2(self.conv2(x))))
        features: list[Tensor] = self.stage2([path(x) for path in self.transition1])
        features = self.stage3([*features, self.transition2[-1](features[-1])])
        finest: list[Tensor] = self.stage4([*features, self.transition3[-1](features[-1])])
        return finest


def _stage(widths: tuple[int, ...], modules: int, outputs: int | None = None, gain: int = 1) -> nn.Sequential:
    last = Exchange(widths, outputs, gain)
    return nn.Sequential(*(Exchange(widths) for _ in range(modules - 1)), last)


def _one_more(widths: tuple[int, ...]) -> nn.ModuleList:
    """Identities for the branches so far, and a strided convolution that makes a new coarsest branch."""
    return nn.ModuleList((*(nn.Identity() for _ in widths[:-1]), nn.Sequential(_relu(conv3x3(widths[-2], widths[-1], 2)))))


def _initialise(network: nn.Module) -> None:
    """Normal weights with a deviation of 0.001, as the release initialises layers without ImageNet weights."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=0.001)
