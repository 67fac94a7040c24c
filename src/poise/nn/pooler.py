"""RoIAlign over a pyramid (arXiv 1703.06870, section 3; levels by arXiv 1612.03144, equation 1)."""

from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import roi_align

from poise.dims import Size
from poise.geometry import exclude_last_pixel
from poise.nn.base import Feature

CANONICAL = 224
"""A box of this size, pixels, is read off the map of stride 16."""

DEEPEST = 32
"""Boxes are read off maps of strides up to this."""


@final
class RoIPooler(nn.Module):
    """Cuts the features of boxes out of the map that fits their size.

    Args:
        strides: Of the pyramid's maps; those coarser than 32 are not read, unless there are no others.
        cells: Of what is cut out (h, w).
        sampling: Points a cell is averaged from, along each side; 0 for as many as cells of the map are covered.
        aligned: Whether the middle of the map's first cell is at half a stride, as it should be where 0 is the edge of the
            first pixel (Detectron2). False puts it at 0 (the other releases).
        inclusive: Whether the last row and column of a box are left out (`pooled_boxes`), as in maskrcnn-benchmark, whose
            boxes run from first to last pixel.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        cells: Size,
        *,
        sampling: int = 2,
        aligned: bool = True,
        inclusive: bool = False,
    ) -> None:
        super().__init__()
        self.strides = tuple(stride for stride in strides if stride <= DEEPEST) or strides[:1]
        self.cells = cells
        self.sampling = sampling
        self.aligned = aligned
        self.inclusive = inclusive

    def forward(self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]) -> Float[Tensor, "n c hh ww"]:
        """What lies in the boxes.

        Args:
            features: The pyramid's maps.
            boxes: Of each view, x0 y0 x1 y1 in its pixels.
        """
        every = torch.cat(boxes)
        view = torch.cat([torch.full_like(own[:, :1], number) for number, own in enumerate(boxes)])
        rows = torch.cat((view, self.pooled_boxes(every)), dim=1).to(features[0].dtype)
        if len(self.strides) == 1:
            return self._cut(features[0], rows, self.strides[0])
        level = self.assign_levels(every)
        pooled = features[0].new_zeros(len(rows), features[0].shape[1], *self.cells)
        for number, stride in enumerate(self.strides):
            of_level = torch.where(level == number)[0]
            pooled[of_level] = self._cut(features[number], rows[of_level], stride).to(pooled.dtype)
        return pooled

    def pooled_boxes(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """What of boxes is cut out, and cells of heads therefore lie in: keypoints are learnt and read there."""
        return exclude_last_pixel(boxes) if self.inclusive else boxes

    def assign_levels(self, boxes: Float[Tensor, "n 4"]) -> Int64[Tensor, " n"]:
        """Off which map each box is read, by the root of its area."""
        side = (boxes[:, 2] - boxes[:, 0]).mul(boxes[:, 3] - boxes[:, 1]).sqrt()
        first, last = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        # The small number is torchvision's: a side of exactly 224 is on the coarser side of the step.
        exponent = torch.floor(4 + torch.log2(side / CANONICAL) + 1e-6)
        return exponent.clamp(min=first, max=last).to(torch.int64) - first

    def _cut(self, feature: Feature, rows: Float[Tensor, "n 5"], stride: int) -> Float[Tensor, "n c hh ww"]:
        pooled: Tensor = roi_align(feature, rows, self.cells, 1 / stride, self.sampling, self.aligned)
        return pooled
