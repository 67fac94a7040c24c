"""RoIAlign on a feature pyramid (arXiv 1703.06870, section 3; levels by arXiv 1612.03144, equation 1)."""

from typing import Literal, TypeAlias, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import roi_align

from poise.dims import Size
from poise.geometry import exclude_last_pixel
from poise.machine import is_traced
from poise.nn.base import Feature

CANONICAL = 224
"""Boxes of this size (square root of the area), pixels, are pooled from the map of stride 16."""

DEEPEST = 32
"""Largest stride of the maps that boxes are pooled from."""


LevelRule: TypeAlias = Literal["size", "share"]
"""By what a box is given its map: "size", its size in pixels (arXiv 1612.03144, equation 1), or "share", its share of the area
of the view (CenterMask, arXiv 1911.06667, equation 2): a box as large as the view is pooled from the coarsest map, one of half
that area from the next finer one, and so on."""


@final
class RoIPooler(nn.Module):
    """Pools the features of boxes, each from the pyramid level that fits its size.

    Args:
        strides: Strides of the pyramid's maps; those above 32 are not used, unless there are no others.
        cells: Cells of the pooled features (h, w).
        sampling: Sampling points per cell along each axis; 0 for as many as cells of the map are covered.
        aligned: Whether the centre of the map's first cell is at half a stride, as is right where 0 is the edge of the first
            pixel (Detectron2). False puts it at 0 (the other releases).
        inclusive: Whether the last row and column of a box are left out (`pooled_boxes`), as in maskrcnn-benchmark, whose boxes
            run from first to last pixel.
        rule: By what a box is given its map.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        cells: Size,
        *,
        sampling: int = 2,
        aligned: bool = True,
        inclusive: bool = False,
        rule: LevelRule = "size",
    ) -> None:
        super().__init__()
        self.strides = tuple(stride for stride in strides if stride <= DEEPEST) or strides[:1]
        self.cells = cells
        self.sampling = sampling
        self.aligned = aligned
        self.inclusive = inclusive
        self.rule = rule

    def forward(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]], sizes: list[Size] | None = None
    ) -> Float[Tensor, "n c hh ww"]:
        """The pooled features of all boxes, view by view.

        Args:
            features: Feature maps of the pyramid.
            boxes: Boxes x0 y0 x1 y1 of each view, pixels of the view.
            sizes: Size of each view without padding (h, w), of which boxes are shares; by default that of the finest map.
        """
        all_boxes = torch.cat(boxes)
        view = torch.cat([torch.full_like(boxes_of_view[:, :1], index) for index, boxes_of_view in enumerate(boxes)])
        rois = torch.cat((view, self.pooled_boxes(all_boxes)), dim=1).to(features[0].dtype)
        if len(self.strides) == 1:
            return self._cut(features[0], rois, self.strides[0])
        level = self.assign_levels(all_boxes, self._areas(features, boxes, sizes) if self.rule == "share" else None)
        if is_traced():
            return self._by_level(features, rois, level)
        pooled = features[0].new_zeros(len(rois), features[0].shape[1], *self.cells)
        for index, stride in enumerate(self.strides):
            of_level = torch.where(level == index)[0]
            pooled[of_level] = self._cut(features[index], rois[of_level], stride).to(pooled.dtype)
        return pooled

    def _by_level(self, features: list[Feature], rois: Float[Tensor, "n 5"], level: Int64[Tensor, " n"]) -> Tensor:
        """The pooled features without an assignment in place, which a graph has only for a fixed number of boxes."""
        order = [torch.where(level == index)[0] for index in range(len(self.strides))]
        pairs = zip(features, order, self.strides, strict=False)
        parts = [self._cut(feature, rois[own], stride) for feature, own, stride in pairs]
        return torch.cat(parts)[torch.cat(order).argsort()]

    def pooled_boxes(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """The part of each box that is pooled; the cells of heads divide it, so keypoints are encoded and decoded in it."""
        return exclude_last_pixel(boxes) if self.inclusive else boxes

    def assign_levels(self, boxes: Float[Tensor, "n 4"], areas: Float[Tensor, " n"] | None = None) -> Int64[Tensor, " n"]:
        """Index of the map that each box is pooled from, by the square root of its area, or by its share of `areas`.

        Args:
            boxes: Boxes x0 y0 x1 y1.
            areas: Area of the view of each box, pixels; None for the rule "size".
        """
        if areas is not None:
            share = (boxes[:, 2] - boxes[:, 0]).mul(boxes[:, 3] - boxes[:, 1]) / areas
            last = len(self.strides) - 1
            return torch.ceil(last + torch.log2(share.clamp(min=1e-9)) - 1e-6).clamp(min=0, max=last).to(torch.int64)
        side = (boxes[:, 2] - boxes[:, 0]).mul(boxes[:, 3] - boxes[:, 1]).sqrt()
        first, last = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        # The epsilon is torchvision's: a side of exactly 224 goes to the coarser level.
        exponent = torch.floor(4 + torch.log2(side / CANONICAL) + 1e-6)
        return exponent.clamp(min=first, max=last).to(torch.int64) - first

    def _areas(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]], sizes: list[Size] | None
    ) -> Float[Tensor, " n"]:
        """Area of the view of each box."""
        whole = (features[0].shape[-2] * self.strides[0], features[0].shape[-1] * self.strides[0])
        every = sizes or [whole] * len(boxes)
        return torch.cat([own.new_full((len(own),), float(h * w)) for own, (h, w) in zip(boxes, every, strict=True)])

    def _cut(self, feature: Feature, rois: Float[Tensor, "n 5"], stride: int) -> Float[Tensor, "n c hh ww"]:
        pooled: Tensor = roi_align(feature, rois, self.cells, 1 / stride, self.sampling, self.aligned)
        return pooled
