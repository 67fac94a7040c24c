"""The identity mapping hourglass network of SimplePose (arXiv 1911.10529, section 3.2), which OffsetGuided's release keeps.

Stacked hourglasses that become wider at coarser levels. Each has outputs at five resolutions, and passes features and outputs
of all of them to the next. The weights are named as in the release.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Feature
from poise.nn.blocks import conv1x1

DEPTH = 4
"""How often an hourglass halves the resolution; it has an output before and after each time."""

DILATIONS = (3, 3, 4, 4, 5, 5)
"""Dilations of the stem's last convolutions."""

REDUCTION = 16
"""Reduction of the channels between the two layers of channel attention."""


def _act() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.01, inplace=True)


@final
class Residual(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution and a shortcut.

    Args:
        channels: Input channels.
        width: Output channels; half of them in between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = width // 2
        self.convBlock = nn.Sequential(
            *(conv1x1(channels, half), nn.BatchNorm2d(half), _act()),
            *(nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half), _act()),
            *(conv1x1(half, width), nn.BatchNorm2d(width)),
        )
        self.skipConv = None if channels == width else nn.Sequential(conv1x1(channels, width), nn.BatchNorm2d(width))

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        identity = x if self.skipConv is None else self.skipConv(x)
        return functional.leaky_relu(self.convBlock(x) + identity, 0.01)


@final
class Conv(nn.Module):
    """A convolution padded to keep its cells, with a batch norm, and a leaky ReLU if asked for.

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Side of the convolution, odd.
        dilation: Dilation of the convolution.
        relu: Whether a leaky ReLU follows.
        norm: Whether a batch norm follows; else the convolution has a bias.
    """

    def __init__(
        self, channels: int, width: int, kernel: int = 3, *, dilation: int = 1, relu: bool = True, norm: bool = True
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(channels, width, kernel, padding=padding, dilation=dilation, bias=not norm)
        self.bn = nn.BatchNorm2d(width) if norm else None
        self.relu = relu

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        out: Tensor = self.conv(x)
        out = out if self.bn is None else self.bn(out)
        return functional.leaky_relu(out, 0.01) if self.relu else out


@final
class SqueezeExcite(nn.Module):
    """Scales each channel, depending on the means of all channels (squeeze and excite, arXiv 1709.01507).

    Args:
        channels: Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // REDUCTION
        self.fc = nn.Sequential(nn.Linear(channels, narrow), _act(), nn.Linear(narrow, channels), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The feature map with scaled channels."""
        output: Tensor = x * self.fc(x.mean((2, 3)))[..., None, None]
        return output


@final
class Stem(nn.Module):
    """Makes feature maps of stride 4 of views; half of their channels come from dilated convolutions.

    Args:
        width: Output channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(3, half // 2, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(half // 2)
        self.res1 = Residual(half // 2, half)
        self.res2 = Residual(half, half)
        self.dilation = nn.Sequential(*(Conv(half, half, dilation=d) for d in DILATIONS))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b _ _ _"]:
        """The feature map."""
        x = functional.leaky_relu(self.bn1(self.conv1(images)), 0.01)
        x = self.res2(functional.max_pool2d(self.res1(x), 2))
        return torch.cat((x, self.dilation(x)), dim=1)


@final
class Hourglass(nn.Module):
    """Halves the resolution four times, wider each time, and doubles it again.

    Args:
        width: Channels at the finest level.
        increase: Channels added at each coarser level.
    """

    def __init__(self, width: int, increase: int) -> None:
        super().__init__()
        widths = _widths(width, increase)
        self.hg = nn.ModuleList(_level(widths[i], widths[i + 1], bottom=i == DEPTH - 1) for i in range(DEPTH))

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> list[Feature]:
        """Feature maps of all levels, finest first."""
        return self._level(0, x)

    def _level(self, level: int, x: Tensor) -> list[Tensor]:
        past, down, up, smooth, *bottom = self.hg[level].children()
        low = down(functional.max_pool2d(x, 2))
        below = [bottom[0](low)] if bottom else self._level(level + 1, low)
        wide = functional.interpolate(up(below[0]), scale_factor=2.0, mode="nearest")
        return [past(x) + smooth(wide), *below]


def _level(here: int, below: int, *, bottom: bool) -> nn.ModuleList:
    """Layers of one level: skip, down, up, smoothing; and at the coarsest the bottom."""
    layers = [Residual(here, here), Residual(here, below), Residual(below, here), Conv(here, here)]
    return nn.ModuleList([*layers, Residual(below, below)] if bottom else layers)


def _widths(width: int, increase: int) -> tuple[int, ...]:
    return tuple(width + level * increase for level in range(DEPTH + 1))


@final
class PredictionFeatures(nn.Module):
    """The layers before the outputs of an hourglass, at each level.

    Args:
        width: Output channels at every level.
        increase: Input channels added at each coarser level.
    """

    def __init__(self, width: int, increase: int) -> None:
        super().__init__()
        self.before_regress = nn.ModuleList(
            nn.Sequential(Conv(come, width), Conv(width, width), SqueezeExcite(width)) for come in _widths(width, increase)
        )

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Feature maps of one width."""
        return [layers(x) for layers, x in zip(self.before_regress, features, strict=True)]


@final
class Merge(nn.Module):
    """A 1x1 convolution with a batch norm, for the next hourglass.

    Args:
        channels: Input channels.
        width: Output channels.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = Conv(channels, width, 1, relu=False)

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        """The output of the block."""
        output: Tensor = self.conv(x)
        return output


@final
class IdentityMappingHourglass(nn.Module):
    """The whole network.

    Args:
        stacks: Number of hourglasses. Published: 3, 4.
        outputs: Channels of every output; 50 in the release.
        width: Channels at the finest level, a multiple of 4 and at least 16.
        increase: Channels added at each coarser level, even.

    Raises:
        InputError: Impossible numbers.
    """

    multiple = 4 * 2**DEPTH

    def __init__(self, stacks: int = 4, outputs: int = 50, width: int = 256, increase: int = 128) -> None:
        super().__init__()
        if min(stacks, outputs) < 1 or width < REDUCTION or width % 4 or increase < 0 or increase % 2:
            raise InputError(
                "an identity mapping hourglass network needs a stack, an output, a width that is a multiple of 4 and at least "
                f"{REDUCTION} and an even number more at each level; found {stacks}, {outputs}, {width} and {increase}"
            )
        widths = _widths(width, increase)
        self.pre = Stem(width)
        self.hourglass = nn.ModuleList(Hourglass(width, increase) for _ in range(stacks))
        self.features = nn.ModuleList(PredictionFeatures(width, increase) for _ in range(stacks))
        self.outs = nn.ModuleList(
            nn.ModuleList(Conv(width, outputs, 1, relu=False, norm=False) for _ in widths) for _ in range(stacks)
        )
        self.merge_features = nn.ModuleList(nn.ModuleList(Merge(width, w) for w in widths) for _ in range(stacks - 1))
        self.merge_preds = nn.ModuleList(nn.ModuleList(Merge(outputs, w) for w in widths) for _ in range(stacks - 1))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """All outputs: those of the first hourglass, finest first, then those of the next."""
        x = self.pre(images)
        outputs: list[Tensor] = []
        handed: list[Tensor] | None = None
        for stack, hourglass in enumerate(self.hourglass):
            features = hourglass(x)
            if handed is not None:
                features = [own + earlier for own, earlier in zip(features, handed, strict=True)]
            features = self.features[stack](features)
            outputs += [layer(f) for layer, f in zip(self.outs[stack].children(), features, strict=True)]
            if stack < len(self.hourglass) - 1:
                handed = self._handed(stack, features, outputs[-len(features) :])
                x = x + handed[0]
        return outputs

    def _handed(self, stack: int, features: list[Tensor], outputs: list[Tensor]) -> list[Tensor]:
        """The features that the next hourglass gets at each level."""
        layers = zip(self.merge_preds[stack].children(), self.merge_features[stack].children(), strict=True)
        return [of_answer(a) + of_feature(f) for (of_answer, of_feature), a, f in zip(layers, outputs, features, strict=True)]
