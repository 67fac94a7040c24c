"""Attention: the content of a whole feature map changes each of its cells, or that of a cell its channels."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import unknown

POOLINGS = ("attention", "average")
"""How a map becomes one vector: by a weighted mean with learned weights, or by the plain mean."""

FUSIONS = ("add", "multiply", "multiply_add")
"""How the vector is combined with each cell: added; as a factor 0..1 of the channels; or as factor, then another is added."""

MIN_HIDDEN = 16
REDUCTION = 16


def hidden_channels(channels: int) -> int:
    """Channels between the two layers of an attention block: a sixteenth, at least 16, as in LPN's release.

    >>> hidden_channels(64), hidden_channels(512)
    (16, 32)
    """
    return max(MIN_HIDDEN, channels // REDUCTION)


@final
class SqueezeExcite(nn.Module):
    """Scales each channel by 0..1, depending on the means of all channels (SE, arXiv 1709.01507, section 3).

    Args:
        channels: Channels of the feature map.
        hidden: Channels between the two layers; `hidden_channels` by default.
    """

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or hidden_channels(channels)
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The feature map with scaled channels."""
        scale: Tensor = self.fc(x.mean(dim=(2, 3)))
        return x * scale[:, :, None, None]


@final
class GlobalContext(nn.Module):
    """Adds the context of the whole feature map to each of its cells (GC, arXiv 1904.11492, section 4).

    The weights are named as LPN's release names them. A new block that adds is the identity.

    Args:
        channels: Channels of the feature map.
        pooling: How the map becomes one vector, one of `POOLINGS`.
        fusion: How the vector is combined with each cell, one of `FUSIONS`.

    Raises:
        UnknownName: Another pooling or fusion.
    """

    def __init__(self, channels: int, pooling: str = "attention", fusion: str = "add") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise unknown("pooling of a GC block", pooling, POOLINGS)
        if fusion not in FUSIONS:
            raise unknown("fusion of a GC block", fusion, FUSIONS)
        self.conv_mask = nn.Conv2d(channels, 1, 1) if pooling == "attention" else None
        self.channel_add_conv = _transform(channels) if "add" in fusion else None
        self.channel_mul_conv = _transform(channels) if "multiply" in fusion else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The feature map with its context."""
        context = self._pooled(x)
        out = x
        if self.channel_mul_conv is not None:
            out = out * self.channel_mul_conv(context).sigmoid()
        if self.channel_add_conv is not None:
            out = out + self.channel_add_conv(context)
        return out

    def _pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        if self.conv_mask is None:
            return x.mean(dim=(2, 3), keepdim=True)
        weights = self.conv_mask(x).flatten(2).softmax(dim=2)
        context: Tensor = x.flatten(2) @ weights.transpose(1, 2)
        return context[..., None]


@final
class SpatialAttention(nn.Module):
    """Scales each cell by 0..1, depending on means and maxima over the channels around it (CBAM, arXiv 1807.06521, section 3).

    CenterMask (arXiv 1911.06667, section 3.3) has it in its mask branch, with a kernel of 3.

    Args:
        kernel: Side of the convolution, odd.
    """

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.conv.weight, std=0.01)  # all cells alike at first

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The scaled map."""
        seen = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        output: Tensor = x * self.conv(seen).sigmoid()
        return output


def _transform(channels: int) -> nn.Sequential:
    """Two 1x1 convolutions with a layer norm between them; the last starts at 0, so that a new block adds nothing."""
    width = hidden_channels(channels)
    last = nn.Conv2d(width, channels, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here
    return nn.Sequential(nn.Conv2d(channels, width, 1), nn.LayerNorm([width, 1, 1]), nn.ReLU(inplace=True), last)
