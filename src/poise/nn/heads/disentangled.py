"""The head of DEKR (arXiv 2104.02300): for each keypoint a branch of adaptive convolutions regresses the offset to it."""

from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from poise.machine import is_traced
from poise.nn.base import Feature, Head
from poise.nn.blocks import BasicBlock, conv1x1, conv3x3
from poise.nn.mixed import in_float32

FILTERS = 15
"""Channels of the branch of a keypoint."""

ADAPTIVE = 2
"""Adaptive blocks of a branch."""

TAPS = ((-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0), (-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0))
"""Where a 3x3 convolution looks: rows (y), columns (x)."""


@final
class AdaptBlock(nn.Module):
    """A 3x3 convolution whose window each cell turns, stretches and moves by itself, and a shortcut (section 3.2).

    Args:
        channels: Channels before and behind.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform_matrix_conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.translation_conv = nn.Conv2d(channels, 2, 3, padding=1)
        self.adapt_conv = conv3x3(channels, channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Feature) -> Feature:
        """The output of the block."""
        moved_conv = deform_conv3x3 if is_traced() else partial(deform_conv2d, padding=1)
        out = in_float32(moved_conv, x, self.window(x), self.adapt_conv.weight)  # none for bfloat16
        output: Tensor = torch.relu(self.bn(out) + x)
        return output

    def window(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 18 h w"]:
        """How far each of the nine taps of each cell is moved, y before x."""
        b, _, h, w = x.shape
        taps = x.new_tensor(TAPS)
        matrix = self.transform_matrix_conv(x).view(b, 2, 2, h, w)
        moved = (matrix[:, :, :, None] * taps[None, None, :, :, None, None]).sum(dim=2) - taps[None, :, :, None, None]
        moved = moved + self.translation_conv(x)[:, :, None]
        flat: Tensor = moved.transpose(1, 2).flatten(1, 2)
        return flat


def deform_conv3x3(
    x: Float[Tensor, "b c h w"], offsets: Float[Tensor, "b 18 h w"], weight: Float[Tensor, "q c 3 3"]
) -> Float[Tensor, "b q h w"]:
    """`torchvision.ops.deform_conv2d` with a padding of 1, of operations that ONNX and OpenVINO have; for graphs.

    Each tap is a bilinear sample of the map, 0 outside, and the taps are joined by a 1x1 convolution.

    Args:
        x: Feature map.
        offsets: How far each of the nine taps of each cell is moved, y before x.
        weight: Weights of the convolution.
    """
    high, wide = x.shape[2], x.shape[3]
    rows, columns = torch.arange(high, device=x.device), torch.arange(wide, device=x.device)
    y, x_ = torch.meshgrid(rows.to(x.dtype), columns.to(x.dtype), indexing="ij")
    sampled = []
    for tap, (dy, dx) in enumerate(zip(*TAPS, strict=True)):
        at_y, at_x = y + dy + offsets[:, 2 * tap], x_ + dx + offsets[:, 2 * tap + 1]
        grid = torch.stack(((2 * at_x + 1) / wide - 1, (2 * at_y + 1) / high - 1), dim=-1)
        sampled.append(functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
    joined: Tensor = functional.conv2d(torch.cat(sampled, dim=1), weight.permute(0, 2, 3, 1).flatten(1)[..., None, None])
    return joined


@final
class DisentangledHead(Head):
    """Heatmaps of the keypoints and of people's centres; for each keypoint the offset from it to each cell.

    The weights are named as in the official checkpoints.

    Args:
        channels: Channels of the feature maps, finest first.
        keypoints: Number of keypoints.
        width: Channels before the heatmaps.
    """

    def __init__(self, channels: tuple[int, ...], keypoints: int, width: int) -> None:
        super().__init__()
        total = sum(channels)
        self.transition_heatmap = _reduced(total, width)
        self.transition_offset = _reduced(total, FILTERS * keypoints)
        self.head_heatmap = nn.Sequential(nn.Sequential(BasicBlock(width, width)), nn.Conv2d(width, keypoints + 1, 1))
        self.offset_feature_layers = nn.ModuleList(
            nn.Sequential(*(AdaptBlock(FILTERS) for _ in range(ADAPTIVE))) for _ in range(keypoints)
        )
        self.offset_final_layer = nn.ModuleList(nn.Conv2d(FILTERS, 2, 1) for _ in range(keypoints))
        _initialise(self)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Heatmaps, those of centres last; offsets, x before y of each keypoint."""
        cells = features[0].shape[-2:]
        resized = [functional.interpolate(x, size=cells, mode="bilinear", align_corners=False) for x in features[1:]]
        x = torch.cat((features[0], *resized), dim=1)
        heat: Tensor = self.head_heatmap(self.transition_heatmap(x))
        parts = self.transition_offset(x).split(FILTERS, dim=1)
        branches = zip(self.offset_feature_layers, self.offset_final_layer, parts, strict=True)
        return [heat, torch.cat([last(layers(part)) for layers, last, part in branches], dim=1)]


def _reduced(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(conv1x1(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _initialise(head: DisentangledHead) -> None:
    """Small weights, and windows that start as those of a usual convolution."""
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=0.001)
        for module in head.modules():
            if isinstance(module, AdaptBlock):
                module.transform_matrix_conv.bias.copy_(torch.tensor((1.0, 0.0, 0.0, 1.0)))  # type: ignore[union-attr]
