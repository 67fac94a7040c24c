"""Stacked hourglasses (arXiv 1603.06937, section 3): each has an output, which the next one reads and refines."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import InputError
from poise.nn.base import Feature, Head
from poise.nn.blocks import PreBottleneck

DEPTH = 4
"""How often one hourglass halves the resolution."""

STRIDE = 4
"""Pixels of the view per cell of the maps."""


@final
class Hourglass(nn.Module):
    """Halves the resolution four times and doubles it again, with a skip at every level.

    A level of an odd number of cells loses the last one on the way down; on the way up nearest-neighbour interpolation restores
    the number. DARK's release (arXiv 1910.06278) does so at its innermost level, for views of 128x96.

    Args:
        features: Channels of input and output.
        blocks: Residual blocks at each place.
    """

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        # Innermost level first. Of each: skip, down, up; and at the innermost level the bottom.
        self.hg = nn.ModuleList(
            nn.ModuleList(_residual(features, blocks) for _ in range(3 if level else 4)) for level in range(DEPTH)
        )

    def forward(self, x: Float[Tensor, "b c _ _"]) -> Float[Tensor, "b c _ _"]:
        """The features, with a receptive field of the whole view."""
        return self._level(DEPTH - 1, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        past, down, up, *bottom = self.hg[level].children()
        beside = past(x)
        low = down(functional.max_pool2d(x, 2, stride=2))
        low = up(bottom[0](low) if bottom else self._level(level - 1, low))
        wide: Tensor = functional.interpolate(low, size=beside.shape[-2:], mode="nearest")
        output: Tensor = beside + wide
        return output


@final
class HourglassHead(Head):
    """A stack of hourglasses, each with an output; the last is decoded.

    With `parts` each also names the part that each pixel shows: behind the outputs that a codec decodes come as many maps of
    logits, of the view's size (the multitask network of arXiv 1912.08265). Hourglasses read no part maps.

    Args:
        features: Channels of the feature map.
        outputs: Channels of the codec.
        stacks: Number of hourglasses. Published: 1, 2, 4, 8.
        blocks: Residual blocks at each place of an hourglass. Published: 1, 4.
        parts: Classes of pixels, the background counted; 0 for none. Published: 10.

    Raises:
        InputError: No hourglass, or no block.
    """

    takes = ("score_",)

    def __init__(self, features: int, outputs: int, *, stacks: int, blocks: int, parts: int = 0) -> None:
        super().__init__()
        if min(stacks, blocks) < 1:
            raise InputError(f"there is no hourglass of {stacks} stacks and {blocks} blocks; both must be at least 1")
        self.hg = nn.ModuleList(Hourglass(features, blocks) for _ in range(stacks))
        self.res = nn.ModuleList(_residual(features, blocks) for _ in range(stacks))
        self.fc = nn.ModuleList(_mix(features) for _ in range(stacks))
        self.final = nn.ModuleList(nn.Conv2d(features, outputs, 1) for _ in range(stacks))
        self.parts = nn.ModuleList(nn.Conv2d(features, parts, 1) for _ in range(stacks)) if parts else None
        self.fc_ = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(stacks - 1))
        self.score_ = nn.ModuleList(nn.Conv2d(outputs, features, 1) for _ in range(stacks - 1))

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The output of every hourglass, in their order, and behind them their part maps where there are any."""
        x = features[-1]
        outputs: list[Tensor] = []
        shown: list[Tensor] = []
        for stack, hourglass in enumerate(self.hg):
            y = self.fc[stack](self.res[stack](hourglass(x)))
            outputs.append(self.final[stack](y))
            if self.parts is not None:
                shown.append(_enlarged(self.parts[stack](y)))
            if stack < len(self.hg) - 1:
                x = x + self.fc_[stack](y) + self.score_[stack](outputs[-1])
        return outputs + shown


def _enlarged(maps: Float[Tensor, "b c _ _"]) -> Float[Tensor, "b c _ _"]:
    """Maps of the view's size, with corners on corners as in the release."""
    wide: Tensor = functional.interpolate(maps, scale_factor=STRIDE, mode="bilinear", align_corners=True)
    return wide


def _residual(features: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(PreBottleneck(features, features // 2) for _ in range(blocks)))


def _mix(features: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(features, features, 1), nn.BatchNorm2d(features), nn.ReLU(inplace=True))
