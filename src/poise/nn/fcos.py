"""The network of a one-stage detector with keypoints in CenterMask's manner (arXiv 1911.06667): FCOS's head, a keypoint branch.

Boxes are those of FCOS (arXiv 1904.01355), by torchvision's head: each cell says whether it is on somebody, how far the four
sides of the box are, and how far in the middle it is. The keypoint branch pools each box from the map that fits its share of
the view, and has spatial attention.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.models.detection.fcos import FCOSHead

from poise.dims import Size
from poise.nn.base import Backbone, Feature, Readout
from poise.nn.pooler import RoIPooler
from poise.nn.rcnn import RoIBranch

CODER = BoxLinearCoder(normalize_by_size=True)
"""Sides of a box as distances from the middle of a cell, in strides."""


@final
@dataclass(frozen=True, eq=False)
class Cells:
    """What the head says of the cells of all maps, and where they are.

    Attributes:
        logits: Whether a cell is on somebody.
        sides: Distances of the sides of its box: left, top, right, bottom, strides.
        centerness: How far in the middle of its box it is, as a logit.
        squares: Each cell as a box x0 y0 x1 y1, pixels; the same for all views.
        counts: Number of cells of each map, finest first.
    """

    logits: Float[Tensor, "b n"]
    sides: Float[Tensor, "b n 4"]
    centerness: Float[Tensor, "b n"]
    squares: Float[Tensor, "n 4"]
    counts: tuple[int, ...]

    def boxes(self) -> Float[Tensor, "b n 4"]:
        """The box of each cell, x0 y0 x1 y1, pixels."""
        decoded: Tensor = CODER.decode(self.sides, self.squares.expand(len(self.sides), -1, -1))
        return decoded

    def scores(self) -> Float[Tensor, "b n"]:
        """Confidence of each cell's box: the geometric mean of class and centre-ness."""
        return (self.logits.sigmoid() * self.centerness.sigmoid()).sqrt()


@final
class FCOS(nn.Module):
    """Backbone with neck, FCOS's head for boxes of people, and a keypoint branch.

    Args:
        backbone: The backbone with its neck; its maps have the same number of channels, a multiple of 32.
        head: The head, of one class.
        keypoint: The keypoint branch, with a pooler of its own.

    Attributes:
        readout: Makes vectors of the keypoint branch's maps if the codec decodes vectors; else None.
        box: None: no head classifies boxes again.
        mask: None: there is no mask head.
    """

    def __init__(self, backbone: Backbone, head: FCOSHead, keypoint: RoIBranch) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.keypoint = keypoint
        self.readout: Readout | None = None
        self.box: None = None
        self.mask: None = None

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature maps of normalised views."""
        features: list[Tensor] = self.backbone(images)
        return features

    def cells(self, features: list[Feature]) -> Cells:
        """What the head says of every cell, float32 whatever precision it computed in."""
        output = self.head(features)
        logits, sides, centerness = (output[name].float() for name in ("cls_logits", "bbox_regression", "bbox_ctrness"))
        grids = [squares(feature, stride) for feature, stride in zip(features, self.backbone.strides, strict=True)]
        return Cells(logits[..., 0], sides, centerness[..., 0], torch.cat(grids).float(), tuple(map(len, grids)))

    def keypoint_maps(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]], sizes: list[Size] | None = None
    ) -> Float[Tensor, "n ..."]:
        """The output of the keypoint branch that the codec decodes, for the boxes of all views, view by view.

        Args:
            features: Feature maps of the views.
            boxes: Boxes x0 y0 x1 y1 of each view.
            sizes: Size of each view without padding (h, w); by default the padded size.
        """
        output: Tensor = self.keypoint.head(self.keypoint_pooler(features, boxes, sizes))[-1]
        if self.readout is None:
            return output
        vectors: Tensor = self.readout(output)
        return vectors

    @property
    def keypoint_pooler(self) -> RoIPooler:
        """The pooler of the keypoint branch."""
        pooler = self.keypoint.pooler
        assert pooler is not None, "the branch pools features of its own"
        return pooler


def squares(feature: Feature, stride: int) -> Float[Tensor, "n 4"]:
    """The cells of a map as boxes x0 y0 x1 y1, pixels of the view, row by row."""
    high, wide = (torch.arange(n, device=feature.device, dtype=torch.float32) * stride for n in feature.shape[-2:])
    y, x = torch.meshgrid(high, wide, indexing="ij")
    corner = torch.stack((x, y), dim=-1).reshape(-1, 2)
    return torch.cat((corner, corner + stride), dim=1)
