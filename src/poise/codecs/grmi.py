"""Disks and vectors to the keypoint, read by Hough voting (G-RMI, "in the wild", arXiv 1701.01779, section 3)."""

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import check_maps, keypoint_weights
from poise.codecs.offsets import OffsetCodec, OffsetReading, near_disks
from poise.errors import InputError
from poise.losses.dense import disk_cross_entropy, offset_huber_loss, offset_l1_loss

CROP = (353, 257)
"""Size of the paper's views (h, w), pixels."""

VectorDistance = Literal["huber", "l1"]
"""Loss of a vector."""

Reduction = Literal["cells", "disk", "sum"]
"""What sums over cells are divided by."""

PERFECT_LOGIT = 30.0
"""Logit of a perfect output inside the disk, and its negative outside."""


@final
@dataclass(frozen=True)
class GRMI(OffsetCodec):
    """A disk around each keypoint, as logits; inside it the vectors to the keypoint, in cells; read by Hough voting.

    Attributes:
        radius: Radius of the disk in a view of 353x257, pixels; it is scaled with the view.
        disk_weight: Factor of the logistic loss of the disk.
        vector_weight: Factor of the loss of the vectors.
        distance: Loss of a vector: "huber", of its length, quadratic below one cell (the paper), or "l1", of its components
            ("JointsL1").
        reduction: What sums over cells are divided by: "cells", the number of all cells; "disk", for vectors the number of
            cells inside the disk instead, so that their weight does not depend on the size of the map; "sum", nothing.
            Views and keypoints are averaged, with "sum" keypoints are added.
    """

    radius: float = 25.0
    disk_weight: float = 4.0
    vector_weight: float = 1.0
    distance: VectorDistance = "huber"
    reduction: Reduction = "cells"

    def __post_init__(self) -> None:
        """Refuse a disk without extent."""
        super().__post_init__()
        if not self.radius > 0:
            raise InputError(f"GRMI needs a radius above 0 pixels, found {self.radius}")

    @property
    def roi_weight(self) -> float:
        """3: an output of zeros has a loss of 2.8."""
        return 3.0

    @property
    def disk_radius(self) -> float:
        """Radius of the disk, cells; it is scaled by the geometric mean of the sides, for views of any aspect."""
        return self.radius * math.sqrt(self.size[0] * self.size[1] / math.prod(CROP) / math.prod(self.grid.scale))

    @property
    def unit(self) -> float:
        """Vectors are in cells."""
        return 1.0

    @property
    def default_reading(self) -> OffsetReading:
        """The peak of the votes of all cells (section 3.2)."""
        return "votes"

    def disk_probability(self, heat: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The sigmoid of the logits."""
        return heat.sigmoid()

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b c h w"]:
        """Logits of the disk, and the vectors inside of it; vectors are 0 outside."""
        disks = self.disks(xy, torch.ones(xy.shape[:2], dtype=torch.bool, device=xy.device))
        heat, dx, dy = (disks.draw(part) for part in (disks.inside.float(), *disks.vectors.unbind(-1)))
        return torch.stack(((2 * heat - 1) * PERFECT_LOGIT, dx, dy), dim=2).flatten(1, 2)

    def loss(
        self, output: Float[Tensor, "b c h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Logistic loss of the disks plus the loss of the vectors inside, both summed over cells and divided (`reduction`).

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        disks = self.disks(xy, visible > 0)
        heat, near, to = near_disks(output.float(), disks)
        lost = self.disk_weight * disk_cross_entropy(heat, near, disks.inside)
        measure = offset_huber_loss if self.distance == "huber" else offset_l1_loss
        off = measure(to, disks.vectors, disks.inside)
        cells = self.cells[0] * self.cells[1]
        if self.reduction == "disk":
            off = off * cells / disks.inside.sum(dim=-1).clamp(min=1)
        mean = self.mean((lost + self.vector_weight * off) * keypoint_weights(visible > 0, self.joint_weights))
        return mean * cells * (self.ohkm or self.keypoints) if self.reduction == "sum" else mean
