"""The region proposal network (arXiv 1506.01497, section 3.1) on a trunk's maps; torchvision's, with our anchors."""

from typing import final

from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from poise.nn.anchors import Anchors
from poise.nn.base import Feature


@final
class Levels(nn.Module):
    """A region proposal network's head alone, for maps given one by one.

    Args:
        channels: Of each map.
        anchors: In each cell.
    """

    def __init__(self, channels: int, anchors: int = 3) -> None:
        super().__init__()
        self.head = RPNHead(channels, anchors)

    def forward(self, *features: Feature) -> list[Feature]:
        """The objectness of every map, then the moves of the boxes of every map."""
        objectness, moves = self.head(list(features))
        return [*objectness, *moves]


def proposals(channels: int, anchors: Anchors, *, kept: tuple[int, int] = (2000, 1000)) -> RegionProposalNetwork:
    """The network as all releases configure it.

    An anchor is a person's from an overlap of 0.7 on, nobody's below 0.3; 256 of each image are learnt from, half of them
    people's where there are as many; overlaps above 0.7 are suppressed.

    Args:
        channels: Of each map.
        anchors: Of all maps, as many in each cell of each.
        kept: How many of each map are looked at, and how many of an image are kept: in training, in testing.
    """
    limits = {"training": kept[0], "testing": kept[1]}
    return RegionProposalNetwork(
        anchors,  # typed as torchvision's own generator, of which only the call is used
        RPNHead(channels, anchors.per_cell[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=limits,
        post_nms_top_n=dict(limits),
        nms_thresh=0.7,
    )


def raw(network: RegionProposalNetwork, features: list[Feature]) -> tuple[list[Tensor], list[Tensor]]:
    """Objectness and moves of every map, before anything is chosen."""
    objectness, moves = network.head(features)
    return objectness, moves
