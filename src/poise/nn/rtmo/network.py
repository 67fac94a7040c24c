"""RTMO as a whole: maps of a view, and the people that are read from them."""

from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import nms

from poise.nn.backbones.csp_darknet import CSPDarknet
from poise.nn.base import Feature
from poise.nn.rtmo.coordinates import DynamicCoordinates
from poise.nn.rtmo.encoder import HybridEncoder
from poise.nn.rtmo.head import HeadModule

STRIDES = (16, 32)
"""Pixels a cell of the maps that people are read from."""

MIN_SCORE, MAX_IOU = 0.1, 0.65
"""Least score of a person, and IoU above which the worse of two boxes is left out, as in the release's tests."""


@final
@dataclass(frozen=True, eq=False)
class FoundPeople:
    """The people of a view, the best first, pixels of the view.

    Attributes:
        score: Confidence of each person.
        boxes: x0 y0 x1 y1, within the view.
        xy: Keypoints.
        visible: Probability that a keypoint is seen, its score.
    """

    score: Float[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    xy: Float[Tensor, "n k 2"]
    visible: Float[Tensor, "n k"]


@final
class RTMOHead(nn.Module):
    """Layers on each map, and the classifier of coordinates.

    Args:
        channels: Channels of the maps.
        keypoints: Number of keypoints.
        width: Factor on the channels inside.
        pose: Values of a pose vector.
    """

    def __init__(self, channels: int, keypoints: int, *, width: float, pose: int) -> None:
        super().__init__()
        self.head_module = HeadModule(channels, keypoints, width=width, pose=pose)
        self.dcc = DynamicCoordinates(pose, keypoints)

    def forward(self, features: list[Feature]) -> list[Feature]:
        """Logits of persons, boxes, logits of visible keypoints and pose vectors: of each the map of every level in turn."""
        maps: list[Tensor] = self.head_module(features)
        return maps

    def people(self, maps: list[Feature], *, min_score: float = MIN_SCORE, max_iou: float = MAX_IOU) -> list[FoundPeople]:
        """The people of each view.

        Args:
            maps: What the head answered.
            min_score: Least score of a person.
            max_iou: IoU above which the worse of two boxes is left out.
        """
        score, corners, visible, poses, priors = _cells(maps)
        size = maps[0].new_tensor([maps[0].shape[3], maps[0].shape[2]]) * STRIDES[0]
        return [
            self._of_view(*one, priors, size, min_score=min_score, max_iou=max_iou)
            for one in zip(score, corners, visible, poses, strict=True)
        ]

    def candidates(
        self, maps: list[Feature], count: int
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 4"], Float[Tensor, "b n k 2"], Float[Tensor, "b n k"]]:
        """Scores, boxes, keypoints and their scores of each view's best cells, the best first; several may be of one person.

        Args:
            maps: What the head answered.
            count: Number of cells, at most.
        """
        score, corners, visible, poses, priors = _cells(maps)
        best, index = score.topk(min(count, score.shape[1]), dim=1)
        boxes, poses, visible = (
            part.gather(1, index[..., None].expand(-1, -1, part.shape[2])) for part in (corners, poses, visible)
        )
        xy = self.dcc(poses.flatten(0, 1), boxes.flatten(0, 1), priors[index].flatten(0, 1))
        return best, boxes, xy.unflatten(0, index.shape), visible.sigmoid()

    def _of_view(
        self,
        score: Float[Tensor, " n"],
        boxes: Float[Tensor, "n 4"],
        visible: Float[Tensor, "n k"],
        poses: Float[Tensor, "n c"],
        priors: Float[Tensor, "n 2"],
        size: Float[Tensor, "2"],
        *,
        min_score: float,
        max_iou: float,
    ) -> FoundPeople:
        kept = best_boxes(boxes, score, min_score=min_score, max_iou=max_iou)
        xy = self.dcc(poses[kept], boxes[kept], priors[kept])
        within = torch.minimum(boxes[kept].clamp(min=0), size.repeat(2))
        return FoundPeople(score[kept], within, xy, visible[kept].sigmoid())


def _cells(
    maps: list[Feature],
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 4"], Float[Tensor, "b n k"], Float[Tensor, "b n c"], Float[Tensor, "n 2"]]:
    """Score, box, logits of visible keypoints and pose vector of each cell of all levels, and its centre."""
    levels = [maps[i : i + len(STRIDES)] for i in range(0, len(maps), len(STRIDES))]
    persons, boxes, visible, poses = (torch.cat([x.flatten(2) for x in own], dim=2).transpose(1, 2) for own in levels)
    priors, strides = cell_centres([(x.shape[2], x.shape[3]) for x in levels[0]], maps[0])
    return persons[..., 0].sigmoid(), decoded_boxes(boxes, priors, strides), visible, poses, priors


@final
class CandidateHead:
    """Reads the people out of candidates: the head of an exported RTMO, whose graph has classified the coordinates."""

    def people(self, parts: list[Tensor], *, min_score: float = MIN_SCORE, max_iou: float = MAX_IOU) -> list[FoundPeople]:
        """The people of each view; arguments as of `RTMOHead.people`.

        Args:
            parts: Scores (b 1 n 1), boxes (b n 4 1), keypoints (b n k 2) and their scores (b n k 1) of candidates, and width
                and height of each view (b 1 1 2).
            min_score: Least score of a person.
            max_iou: IoU above which the worse of two boxes is left out.
        """
        found = []
        for score, boxes, xy, visible, size in zip(*parts, strict=True):
            confidence, corners = score.flatten(), boxes[..., 0]
            kept = best_boxes(corners, confidence, min_score=min_score, max_iou=max_iou)
            within = torch.minimum(corners[kept].clamp(min=0), size.flatten().repeat(2))
            found.append(FoundPeople(confidence[kept], within, xy[kept], visible[kept, :, 0]))
        return found


@final
class RTMONet(nn.Module):
    """RTMO.

    Args:
        keypoints: Number of keypoints.
        width: Factor on the channels of backbone, neck and head.
        depth: Factor on the number of blocks.
        channels: Channels of the maps that the head reads, and values of a pose vector.
    """

    def __init__(self, keypoints: int, *, width: float, depth: float, channels: int) -> None:
        super().__init__()
        self.backbone = CSPDarknet(width, depth)
        blocks = max(round(3 * depth), 1)
        self.neck = HybridEncoder(self.backbone.channels, width=width, blocks=blocks, outputs=channels)
        self.head = RTMOHead(channels, keypoints, width=width, pose=channels)

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """Logits of persons, boxes, logits of visible keypoints and pose vectors: of each the map of every level in turn."""
        maps: list[Tensor] = self.head(self.neck(self.backbone(images)))
        return maps

    def learnt(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps, and the keypoints of each cell relative to it, strides."""
        maps: list[Tensor] = self.head.head_module.learnt(self.neck(self.backbone(images)))
        return maps

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The maps; in evaluation also scores, boxes, keypoints and their scores of the people of all views together.

        On the device "meta", which has no values, there is nobody.
        """
        maps = self.maps(images)
        if self.training or images.is_meta:
            return maps
        found = self.head.people(maps)
        parts = [[one.score for one in found], [one.boxes for one in found]]
        parts += [[one.xy for one in found], [one.visible for one in found]]
        return [*maps, *(torch.cat(own) for own in parts)]


def cell_centres(
    cells: list[tuple[Any, Any]], like: Tensor, *, of: tuple[int, ...] = STRIDES
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 1"]]:
    """Centre (x, y) of each cell of every level, row by row, and its stride; pixels of the view.

    Args:
        cells: Cells of each level (h, w): whole numbers, but tensors while a graph is traced.
        like: Whose device and type the result has.
        of: Stride of each level.
    """
    centres, strides = [], []
    for (h, w), stride in zip(cells, of, strict=True):
        y, x = (torch.arange(side, device=like.device, dtype=like.dtype) * stride + (stride - 1) / 2 for side in (h, w))
        centres.append(torch.stack((x.expand(h, w), y[:, None].expand(h, w)), dim=-1).flatten(0, 1))
        strides.append(like.new_full((h * w, 1), stride))
    return torch.cat(centres), torch.cat(strides)


def decoded_boxes(
    boxes: Float[Tensor, "b n 4"], priors: Float[Tensor, "n 2"], strides: Float[Tensor, "n 1"]
) -> Float[Tensor, "b n 4"]:
    """Boxes x0 y0 x1 y1, pixels of the view, from offsets of their centres and logarithms of their sides, in strides."""
    centre, half = priors + boxes[..., :2] * strides, boxes[..., 2:].exp() * strides / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def best_boxes(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], *, min_score: float, max_iou: float
) -> Int64[Tensor, " m"]:
    """Indices of the boxes that stay, the best first.

    Args:
        boxes: x0 y0 x1 y1.
        score: Score of each.
        min_score: Boxes have more than this.
        max_iou: IoU above which the worse of two is left out.
    """
    there = (score > min_score).nonzero().flatten()
    return there[nms(boxes[there], score[there], max_iou)]
