"""The network of RTMDet (arXiv 2212.07784): at each cell of three maps whether somebody is there, and the sides of the box.

The weights are named as in MMDetection, its `bbox_head` as `head`. Convolutions that all maps share stand with the first map.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.backbones.cspnext import CSPNeXt
from poise.nn.base import Feature
from poise.nn.conv_unit import EPS
from poise.nn.csp import unit
from poise.nn.necks.pafpn import PAFPN
from poise.nn.rtmo.network import cell_centres

STRIDES = (8, 16, 32)
"""Of the maps, pixels; a cell stands for the left upper corner of its pixels."""

STACKED = 2
"""3x3 convolutions before each last layer."""

FIRST_SCORE = 0.01
"""Score of every cell with the first weights."""


@final
class SharedUnit(nn.Module):
    """The batch norm and SiLU of a map whose convolution is that of the first map.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width, eps=EPS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The output behind the convolution."""
        return nn.functional.silu(self.bn(x))


@final
class RTMDetHead(nn.Module):
    """Two stacks of convolutions on each map, one for classes and one for boxes ("SepBN": norms are apart for each map).

    Args:
        width: Channels of the maps.
        classes: Number of classes.
        shared: Whether the maps have the same convolutions.
        depthwise: Whether these are depthwise ones with their 1x1; not where they are shared.
        exponential: Whether a side is the exponential function of the last layer's output, or that output itself, in strides.
    """

    def __init__(self, width: int, classes: int, *, shared: bool, depthwise: bool, exponential: bool) -> None:
        super().__init__()
        self.cls_convs, self.reg_convs = (_stacks(width, shared=shared, depthwise=depthwise) for _ in range(2))
        self.rtm_cls = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in STRIDES)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        self.classes, self.exponential = classes, exponential
        for layer in self.rtm_cls:
            nn.init.constant_(layer.bias, -math.log(1 / FIRST_SCORE - 1))  # type: ignore[arg-type]  # a convolution's

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Logits of the classes of each map, then distances of left, top, right and bottom of each map, pixels."""
        logits = [last(self._before(self.cls_convs, level, features[level])) for level, last in enumerate(self.rtm_cls)]
        sides = [last(self._before(self.reg_convs, level, features[level])) for level, last in enumerate(self.rtm_reg)]
        if self.exponential:
            sides = [side.exp() for side in sides]
        return [*logits, *(side * stride for side, stride in zip(sides, STRIDES, strict=True))]

    def _before(self, stacks: nn.ModuleList, level: int, x: Feature) -> Feature:
        """What the last layer of a map reads."""
        for number in range(STACKED):
            layer = stacks.get_submodule(f"{level}.{number}")
            x = layer(stacks.get_submodule(f"0.{number}.conv")(x)) if isinstance(layer, SharedUnit) else layer(x)
        return x


def _stacks(width: int, *, shared: bool, depthwise: bool) -> nn.ModuleList:
    """The convolutions of each map."""
    make = unit(depthwise)
    return nn.ModuleList(
        nn.ModuleList(SharedUnit(width) if shared and level else make(width, width, 3) for _ in range(STACKED))
        for level in range(len(STRIDES))
    )


@final
class RTMDetNet(nn.Module):
    """CSPNeXt, its neck and RTMDet's head.

    Args:
        width: Factor on the channels of all parts.
        depth: Factor on the number of blocks.
        classes: Number of classes.
        small: Whether 3x3 convolutions are depthwise ones with their 1x1 and not shared by the maps, as in RTMDet-nano.
        exponential: As of `RTMDetHead`.
    """

    def __init__(self, width: float, depth: float, classes: int, *, small: bool, exponential: bool) -> None:
        super().__init__()
        self.backbone = CSPNeXt(width, depth, (2, 3, 4), depthwise=small)
        channels = self.backbone.channels
        self.neck = PAFPN(channels, max(round(3 * depth), 1), width=channels[0], depthwise=small)
        self.head = RTMDetHead(channels[0], classes, shared=not small, depthwise=small, exponential=exponential)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """Logits of the classes of each map, then distances of the sides of each map's boxes, pixels."""
        maps: list[Feature] = self.head(self.neck(self.backbone(images)))
        return maps


def found_cells(maps: list[Feature]) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b n 4"]]:
    """Scores of the classes of all cells, finest map first and row by row, and their boxes x0 y0 x1 y1, pixels of the view.

    Args:
        maps: What `RTMDetNet` gave.
    """
    logits, sides = (
        torch.cat([x.flatten(2) for x in part], dim=2).transpose(1, 2) for part in (maps[: len(STRIDES)], maps[len(STRIDES) :])
    )
    centres, strides = cell_centres([(x.shape[2], x.shape[3]) for x in maps[: len(STRIDES)]], sides, of=STRIDES)
    corners = centres - (strides - 1) / 2
    return logits.sigmoid(), torch.cat((corners - sides[..., :2], corners + sides[..., 2:]), dim=2)
