"""RTMO's head: for each cell whether a person is there, its box, which keypoints are seen, and a vector of its pose.

The weights are named as in RTMO's release.
"""

import math
from typing import final

from torch import nn

from poise.nn.backbones.csp_darknet import EPS
from poise.nn.base import Feature
from poise.nn.conv_unit import ConvUnit

FIRST_SCORE = 0.01
"""Score of every cell with the first weights."""

GROUPS = 8
"""Groups of all but the first convolution towards box and pose."""


@final
class HeadModule(nn.Module):
    """The layers of the head, apart for each map.

    Args:
        channels: Channels of the maps; the first half of them is for persons, the second for box and pose.
        keypoints: Number of keypoints.
        width: Factor on the channels inside: 256 for persons, 36 in each group for box and pose.
        pose: Values of a pose vector.
        maps: Number of maps.
    """

    def __init__(self, channels: int, keypoints: int, *, width: float, pose: int, maps: int = 2) -> None:
        super().__init__()
        half, person, inner = channels // 2, int(256 * width), int(36 * width) * GROUPS
        levels = range(maps)
        self.conv_cls = nn.ModuleList(_stack(half, person, 2, groups=1) for _ in levels)
        self.out_cls = nn.ModuleList(nn.Conv2d(person, 1, 1) for _ in levels)
        self.conv_pose = nn.ModuleList(_stack(half, inner, 4, groups=GROUPS) for _ in levels)
        self.out_bbox = nn.ModuleList(nn.Conv2d(inner, 4, 1) for _ in levels)
        self.out_kpt_reg = nn.ModuleList(nn.Conv2d(inner, 2 * keypoints, 1) for _ in levels)
        self.out_kpt_vis = nn.ModuleList(nn.Conv2d(inner, keypoints, 1) for _ in levels)
        self.out_pose = nn.ModuleList(nn.Conv2d(inner, pose, 1) for _ in levels)
        for layer in self.out_cls:
            nn.init.constant_(layer.bias, -math.log(1 / FIRST_SCORE - 1))  # type: ignore[arg-type]  # a convolution's

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Logits of persons, boxes, logits of visible keypoints and pose vectors: of each the map of every level in turn."""
        return self._maps(features, (self.out_bbox, self.out_kpt_vis, self.out_pose))

    def learnt(self, features: list[Feature]) -> list[Feature]:
        """The maps of `forward`, then the keypoints of each cell relative to it, strides, which are only for the loss."""
        return self._maps(features, (self.out_bbox, self.out_kpt_vis, self.out_pose, self.out_kpt_reg))

    def _maps(self, features: list[Feature], layers: tuple[nn.ModuleList, ...]) -> list[Feature]:
        """Logits of persons, and the maps of some layers."""
        halves = [x.chunk(2, dim=1) for x in features]
        persons = [out(conv(x)) for out, conv, (x, _) in zip(self.out_cls, self.conv_cls, halves, strict=True)]
        inner = [conv(x) for conv, (_, x) in zip(self.conv_pose, halves, strict=True)]
        return [*persons, *(out(x) for own in layers for out, x in zip(own, inner, strict=True))]


def _stack(channels: int, width: int, count: int, *, groups: int) -> nn.Sequential:
    """3x3 convolutions, of which all but the first are in groups."""
    sides = [channels, *(width for _ in range(count))]
    return nn.Sequential(*(ConvUnit(sides[i], width, 3, groups=groups if i else 1, eps=EPS) for i in range(count)))
