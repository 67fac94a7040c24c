"""The official detector of people: boxes and four keypoints of each, at anchors of three strides."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.base import check_view
from poise.nn.blaze.layers import BlazeUnit, Maps, convolutions, depthwise, doubled, pointwise, units
from poise.nn.blaze.trunk import BlazeTrunk, TrunkSize

SIDE = 224
"""Side of the views, pixels."""

TRUNK = TrunkSize((16, 24, 40, 80, 112, 192))

NUMBERS = 12
"""Numbers of an anchor: x, y, width, height, and x, y of four keypoints."""


def depth_to_space(maps: Maps) -> Maps:
    """Maps of twice the height and width and a quarter of the channels, in TensorFlow's order of channels.

    The first quarter of a cell's channels becomes its left upper cell, the next the right upper one; `torch.pixel_shuffle`
    interleaves them.
    """
    b, channels, h, w = maps.shape
    split = maps.reshape(b, 2, 2, channels // 4, h, w)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(b, channels // 4, 2 * h, 2 * w)


@final
class AnchorHead(nn.Module):
    """The numbers of the anchors of one stride.

    Args:
        channels: Input channels, of maps with twice as many cells along each side.
        width: Numbers of a cell.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.depthwise = depthwise(channels, stride=2)
        self.pointwise = pointwise(channels, width)

    def forward(self, maps: Maps) -> Maps:
        """The numbers of each cell."""
        out: Tensor = self.pointwise(self.depthwise(maps))
        return out


@final
class Level(nn.Module):
    """Finer maps of coarser ones.

    Args:
        channels: Input channels.
        lateral: Channels of the trunk's maps of this stride.
        width: Output channels.
    """

    def __init__(self, channels: int, lateral: int, width: int) -> None:
        super().__init__()
        self.lateral = BlazeUnit(lateral, width, active=False)
        self.top = pointwise(channels, width)
        self.units = nn.Sequential(*units(2, width, active=False))

    def forward(self, coarser: Maps, trunk: Maps) -> Maps:
        """The maps."""
        out: Tensor = self.units(F.relu6(self.top(doubled(coarser)), True) + self.lateral(trunk))
        return out


@final
class DetectorHead(nn.Module):
    """Levels of strides 16 and 8, and the heads of strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        _, _, s8, _, s16, _ = TRUNK.widths
        self.middle = Level(TRUNK.last, s16, 192)
        self.fine = Level(192, s8, 96)
        inputs = ((96, 2), (192, 2), (TRUNK.last, 6))
        self.scores = nn.ModuleList(AnchorHead(channels // 4, anchors) for channels, anchors in inputs)
        self.boxes = nn.ModuleList(AnchorHead(channels // 4, anchors * NUMBERS) for channels, anchors in inputs)

    def forward(self, maps: list[Maps]) -> tuple[Float[Tensor, "b n 12"], Float[Tensor, "b n 1"]]:
        """The outputs of `DetectorNet`."""
        middle = self.middle(maps[4], maps[3])
        levels = [depth_to_space(level) for level in (self.fine(middle, maps[2]), middle, maps[4])]
        boxes = [_rows(head(level), NUMBERS) for head, level in zip(self.boxes, levels, strict=True)]
        scores = [_rows(head(level), 1) for head, level in zip(self.scores, levels, strict=True)]
        return torch.cat(boxes, dim=1), torch.cat(scores, dim=1)


@final
class DetectorNet(nn.Module):
    """The detector.

    Attributes:
        side: Of the views it takes, pixels.
        backbone: The trunk.
        head: All that reads its maps.
    """

    side = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.backbone = BlazeTrunk(TRUNK)
        self.head = DetectorHead()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b n 12"], Float[Tensor, "b n 1"]]:
        """What is found at each of 2,254 anchors (`anchors`) of views of values -1 to 1.

        Returns:
            x, y, width, height and x, y of four keypoints, pixels of the view from the anchor's centre; logits of a person.

        Raises:
            InputError: Views of another size than 224x224.
        """
        check_view(images, (SIDE, SIDE), "BlazePose's detector")
        boxes, scores = self.head(self.backbone(images))
        return boxes, scores

    def release_order(self) -> list[nn.Conv2d]:
        """The convolutions in the order in which the official file executes them."""
        trunk, head = self.backbone, self.head
        order = [trunk.stem, trunk.stem_depthwise, trunk.stem_project]
        taps = iter([[], [], convolutions(head.fine.lateral), convolutions(head.middle.lateral)])
        for block in trunk.blocks:
            order += [block.expand, *(next(taps) if block.stride == 2 else ()), block.depthwise, block.project]
        order += [trunk.expand, trunk.depthwise]
        for level in (head.middle, head.fine):
            order += convolutions(level, without=level.lateral)
        for score, box in zip(head.scores, head.boxes, strict=True):
            order += [*convolutions(score), *convolutions(box)]
        return order


def anchors() -> Float[Tensor, "n 2"]:
    """Centres (x, y) of the anchors as shares of the view's sides: of 28x28 cells two each, of 14x14 two, of 7x7 six."""
    found = []
    for cells, count in ((28, 2), (14, 2), (7, 6)):
        at = (torch.arange(cells) + 0.5) / cells
        y, x = torch.meshgrid(at, at, indexing="ij")
        found.append(torch.stack((x, y), dim=-1).reshape(-1, 1, 2).expand(-1, count, 2).reshape(-1, 2))
    return torch.cat(found)


def _rows(maps: Maps, numbers: int) -> Float[Tensor, "b n m"]:
    """The numbers of each anchor: cells row by row, a cell's anchors one after another."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, numbers)
