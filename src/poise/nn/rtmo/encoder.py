"""RTMO's neck: attention on the coarsest map, and fusion of maps down and up (RT-DETR's hybrid encoder, arXiv 2304.08069).

The weights are named as in RTMO's release.
"""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.nn.base import Feature
from poise.nn.conv_unit import ConvUnit

WIDTH = 256
"""Channels of every map between input and projector."""

HEADS = 8
HIDDEN = 1024
"""Heads of the attention, and values between the layers of the feed-forward network."""


@final
class _Attention(nn.Module):
    """Self-attention, whose weights are those of torch's layer under the name `attn`."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Float[Tensor, "b n c"], positions: Float[Tensor, "n c"]) -> Float[Tensor, "b n c"]:
        """What each token gets; positions are added to what tokens are compared by."""
        placed = x + positions
        output: Tensor = self.attn(placed, placed, x, need_weights=False)[0]
        return output


@final
class _FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU()), nn.Linear(HIDDEN, WIDTH))

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """The tokens."""
        output: Tensor = self.layers(x)
        return output


@final
class _EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each added to its input and normed after it."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = _Attention()
        self.ffn = _FeedForward()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, x: Float[Tensor, "b n c"], positions: Float[Tensor, "n c"]) -> Float[Tensor, "b n c"]:
        """The tokens."""
        x = self.norms[0](x + self.self_attn(x, positions))
        output: Tensor = self.norms[1](x + self.ffn(x))
        return output


@final
class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_EncoderLayer()])

    def forward(self, x: Feature) -> Feature:
        """The map, in which every cell has seen all others."""
        cells = (x.shape[2], x.shape[3])
        tokens: Tensor = self.layers[0](x.flatten(2).transpose(1, 2), cell_positions(cells, x))
        return tokens.transpose(1, 2).reshape(x.shape)


def cell_positions(cells: tuple[Any, Any], like: Tensor) -> Float[Tensor, "n c"]:
    """Where each cell is, row by row: cosines and sines of its row, then of its column, at 64 wavelengths.

    Args:
        cells: Cells of the map (h, w): whole numbers, but tensors while a graph is traced.
        like: Whose device and type the result has.
    """
    quarter = WIDTH // 4
    waves = 10000.0 ** (torch.arange(quarter, device=like.device, dtype=torch.float32) / quarter)
    sides = [torch.arange(side, device=like.device, dtype=torch.float32)[:, None] / waves for side in cells]
    rows, columns = (torch.cat((angle.cos(), angle.sin()), dim=1) for angle in sides)
    grid = torch.cat((rows[:, None].expand(-1, cells[1], -1), columns[None].expand(cells[0], -1, -1)), dim=2)
    return grid.flatten(0, 1).to(like.dtype)


@final
class _RepBlock(nn.Module):
    """A 3x3 and a 1x1 convolution beside each other (RepVGG, arXiv 2101.03697, without a shortcut)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3 = ConvUnit(channels, channels, 3, act=nn.Identity)
        self.branch_1x1 = ConvUnit(channels, channels, act=nn.Identity)

    def forward(self, x: Feature) -> Feature:
        """The map."""
        return functional.silu(self.branch_3x3(x) + self.branch_1x1(x))


@final
class _RepLayer(nn.Module):
    """Half of the channels through blocks, the other half past them; both are added up."""

    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = ConvUnit(channels, hidden)
        self.conv2 = ConvUnit(channels, hidden)
        self.bottlenecks = nn.Sequential(*(_RepBlock(hidden) for _ in range(blocks)))
        self.conv3 = ConvUnit(hidden, WIDTH) if hidden != WIDTH else nn.Identity()

    def forward(self, x: Feature) -> Feature:
        """The map."""
        output: Tensor = self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))
        return output


@final
class _Projector(nn.Module):
    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ConvUnit(WIDTH, width, act=nn.Identity) for _ in range(maps))

    def forward(self, maps: list[Feature]) -> list[Feature]:
        """The maps with the channels of the head."""
        return [conv(x) for conv, x in zip(self.convs, maps, strict=True)]


@final
class HybridEncoder(nn.Module):
    """Maps of strides 8, 16 and 32 become maps of strides 16 and 32 that know of each other.

    Args:
        channels: Channels of the input maps, finest first.
        width: Factor on the channels inside the fusing layers.
        blocks: Blocks of each fusing layer.
        outputs: Channels of the output maps.
    """

    def __init__(self, channels: tuple[int, ...], *, width: float, blocks: int, outputs: int) -> None:
        super().__init__()
        steps, hidden = len(channels) - 1, int(WIDTH * width)
        self.input_proj = nn.ModuleList(ConvUnit(c, WIDTH, act=nn.Identity) for c in channels)
        self.encoder = nn.ModuleList([_Encoder()])
        self.lateral_convs = nn.ModuleList(ConvUnit(WIDTH, WIDTH) for _ in range(steps))
        self.fpn_blocks = nn.ModuleList(_RepLayer(2 * WIDTH, hidden, blocks) for _ in range(steps))
        self.downsample_convs = nn.ModuleList(ConvUnit(WIDTH, WIDTH, 3, stride=2) for _ in range(steps))
        self.pan_blocks = nn.ModuleList(_RepLayer(2 * WIDTH, hidden, blocks) for _ in range(steps))
        self.projector = _Projector(outputs, steps)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """The maps of strides 16 and 32."""
        maps = [project(x) for project, x in zip(self.input_proj, features, strict=True)]
        maps[-1] = self.encoder[0](maps[-1])
        down = [maps[-1]]
        for finer, lateral, layer in zip(maps[-2::-1], self.lateral_convs, self.fpn_blocks, strict=True):
            down[-1] = lateral(down[-1])
            enlarged = functional.interpolate(down[-1], scale_factor=2.0, mode="nearest")
            down.append(layer(torch.cat((enlarged, finer), dim=1)))
        up = [down[-1]]
        for coarser, shrink, layer in zip(down[-2::-1], self.downsample_convs, self.pan_blocks, strict=True):
            up.append(layer(torch.cat((shrink(up[-1]), coarser), dim=1)))
        projected: list[Tensor] = self.projector(up[1:])
        return projected
