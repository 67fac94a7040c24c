"""Parts of adversarial domain adaptation (WS-CDA, arXiv 1908.05806): adaptation layer, domain discriminator, gradient reversal.

The paper fixes neither their layers nor where they stand; both are ours. The adaptation layer is part of the network and of the
model file; the discriminator is needed in training alone.
"""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Feature
from poise.nn.blocks import conv1x1, conv3x3

GRID = 4
"""Cells along each side of the grid on which the discriminator sees every feature map."""


@final
class AdaptationLayer(nn.Module):
    """A residual block on each feature map, which changes nothing before it is trained.

    A 1x1 convolution to half of the channels, a batch norm, ReLU, and a 3x3 convolution whose weights begin at 0.

    Args:
        channels: Channels of the feature maps, in the backbone's order.

    Raises:
        InputError: There is no feature map.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise InputError(f"an adaptation layer needs the channels of at least one feature map, found {channels}")
        self.blocks = nn.ModuleList(_block(width) for width in channels)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The changed feature maps."""
        return [feature + block(feature) for block, feature in zip(self.blocks, features, strict=True)]


def _block(channels: int) -> nn.Sequential:
    half = max(8, channels // 2)
    last = conv3x3(half, channels)
    nn.init.zeros_(last.weight)
    return nn.Sequential(conv1x1(channels, half), nn.BatchNorm2d(half), nn.ReLU(inplace=True), last)


@final
class DomainDiscriminator(nn.Module):
    """Tells from feature maps whether a view shows an animal, and whether it is of the target domain.

    Every map is averaged to a grid of `GRID` x `GRID` cells, divided by its root mean square, and brought to `width` channels;
    their sum goes through 3x3 convolutions. Two numbers are read from the mean over the grid. It has no batch norm, for that
    would compare the views of a batch with each other. Without the division features that must raise its loss grow without
    end: its loss has no highest value.

    Args:
        channels: Channels of the feature maps, in the backbone's order.
        width: Channels inside.
        layers: 3x3 convolutions.

    Raises:
        InputError: There is no feature map, or a width or number of layers that cannot be.
    """

    def __init__(self, channels: tuple[int, ...], *, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        if not channels or min(*channels, width) < 1 or layers < 0:
            raise InputError(
                f"a discriminator needs feature maps, a width above 0 and no negative number of layers, found {channels}, "
                f"{width} and {layers}"
            )
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(layers))
        self.final = nn.Linear(width, 2)

    def forward(self, features: list[Feature]) -> Float[Tensor, "b 2"]:
        """Logits of "an animal" (y) and "of the target" (z) for each view."""
        seen = [_of_one_size(functional.adaptive_avg_pool2d(feature, GRID)) for feature in features]
        x = torch.stack([layer(one) for layer, one in zip(self.lateral, seen, strict=True)]).sum(dim=0)
        for layer in self.layers:
            x = layer(functional.leaky_relu(x, 0.1))
        logits: Tensor = self.final(functional.leaky_relu(x, 0.1).mean(dim=(2, 3)))
        return logits


def _of_one_size(grid: Feature) -> Feature:
    """Each view's cells in units of their root mean square."""
    grid = grid.float()
    return grid / grid.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-6).sqrt()


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(x: Feature) -> Feature:
    """The same values, whose gradient changes its sign on the way back (Ganin, Lempitsky; ICML 2015, arXiv 1409.7495).

    What comes after lowers a loss, and what comes before raises it, in one step of one optimizer.
    """
    reversed_: Tensor = _Reversal.apply(x)
    return reversed_
