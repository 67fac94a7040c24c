"""RTMPose's head (arXiv 2303.07399, section 3.2) and RTMW's (arXiv 2407.08634): vectors of bins from attention of keypoints.

Both make vectors themselves, so their networks have no readout.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.dims import Size
from poise.nn.base import Feature, Head, check_cells
from poise.nn.conv_unit import ConvUnit
from poise.nn.gated_attention import GatedAttention, ScaleNorm
from poise.nn.mixed import in_float32
from poise.nn.necks.pafpn import PAFPN

TOKEN = 256
"""Values of a keypoint's token; what attention expands it to is twice as much."""

SHARED = 128
"""Values of a token that attention computes its weights from."""

KERNEL = 7
"""Side of the convolutions that make a map of each keypoint."""


class _Bins(nn.Module):
    """Attention between the tokens of the keypoints, and the two vectors of each."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.gau = GatedAttention(TOKEN, 2 * TOKEN, SHARED)
        for axis, length in zip("xy", lengths, strict=True):
            layer = nn.Linear(TOKEN, length, bias=False)
            nn.init.normal_(layer.weight, std=0.01)
            self.add_module(f"cls_{axis}", layer)

    def forward(self, tokens: Float[Tensor, "b k c"]) -> list[Float[Tensor, "b k _"]]:
        """The vectors of each keypoint along x, and those along y."""
        attended = self.gau(tokens)
        return [self.get_submodule(f"cls_{axis}")(attended) for axis in "xy"]


def _tokens(cells: int, values: int) -> nn.Sequential:
    """Makes a token of a keypoint's map."""
    layer = nn.Linear(cells, values, bias=False)
    nn.init.normal_(layer.weight, std=0.01)
    return nn.Sequential(ScaleNorm(), layer)


def _maps(layer: nn.Module, feature: Feature) -> Feature:
    """A map of each keypoint.

    Where a kernel is so much larger than the map that some of its taps meet no cell, oneDNN 3.12 leaves their gradients unset
    in bfloat16: on maps of 2x2 cells they are whatever lay in memory.
    """
    if min(feature.shape[-2:]) <= KERNEL // 2:
        return in_float32(layer, feature)
    maps: Tensor = layer(feature)
    return maps


@final
class RTMCCHead(Head):
    """A map of each keypoint, a token of each map, attention between the tokens, and two vectors of each token.

    Args:
        channels: Channels of the last feature map.
        outputs: Number of keypoints.
        cells: Cells of the last feature map (h, w).
        lengths: Bins along x and y.
    """

    makes_vectors = True

    def __init__(self, channels: int, outputs: int, cells: Size, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = cells
        self.final = nn.Conv2d(channels, outputs, KERNEL, padding=KERNEL // 2)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]  # a Conv2d's bias may be None; not here
        self.mlp = _tokens(cells[0] * cells[1], TOKEN)
        self.bins = _Bins(lengths)

    def forward(self, features: list[Feature]) -> list[Float[Tensor, "b k _"]]:
        """The vectors of each keypoint along x, and those along y."""
        check_cells(features[-1], self.cells, "RTMPose's head")
        output: list[Tensor] = self.bins(self.mlp(_maps(self.final, features[-1]).flatten(2)))
        return output


@final
class RTMWHead(Head):
    """RTMPose's head on maps of stride 32 and, beside them, of stride 16; each gives half of a keypoint's token.

    Args:
        channels: Channels of the feature maps of strides 8, 16 and 32.
        outputs: Number of keypoints.
        cells: Cells of the map of stride 32 (h, w).
        lengths: Bins along x and y.
    """

    makes_vectors = True

    def __init__(self, channels: tuple[int, ...], outputs: int, cells: Size, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = cells
        *_, fine, coarse = channels
        half = TOKEN // 2
        self.neck = PAFPN(channels)
        self.conv_dec = ConvUnit(coarse // 4, coarse // 4, KERNEL, act=nn.ReLU)
        self.final = ConvUnit(coarse, outputs, KERNEL, act=nn.ReLU)
        self.fine = nn.ModuleDict({"final": ConvUnit(coarse // 4 + fine, outputs, KERNEL, act=nn.ReLU)})
        self.mlp = _tokens(cells[0] * cells[1], half)
        self.mlp2 = _tokens(4 * cells[0] * cells[1], half)
        self.bins = _Bins(lengths)

    def forward(self, features: list[Feature]) -> list[Float[Tensor, "b k _"]]:
        """The vectors of each keypoint along x, and those along y."""
        check_cells(features[-1], self.cells, "RTMW's head")
        *_, fine, coarse = self.neck(features)
        enlarged = torch.cat((self.conv_dec(functional.pixel_shuffle(coarse, 2)), fine), dim=1)
        tokens = (self.mlp(_maps(self.final, coarse).flatten(2)), self.mlp2(self.fine["final"](enlarged).flatten(2)))
        output: list[Tensor] = self.bins(torch.cat(tokens, dim=-1))
        return output
