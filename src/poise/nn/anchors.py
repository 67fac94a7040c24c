"""Anchors of a region proposal network (Faster R-CNN, arXiv 1506.01497, section 3.1.1), by three rules.

* "exact": of exactly the wanted size, centred on cells; the strides are those of the network. Detectron2's rule and ours.
* "rounded": corners are rounded to pixels, and a stride is the side of the padded image divided by that of the map, rounded
  down: 61 in place of 64 for 800 pixels on 13 cells. torchvision's rule.
* "legacy": maskrcnn-benchmark's. Width and height are rounded at the size of a cell and then enlarged (48x24 for size 32, ratio
  0.5, stride 4, where 45.3x22.6 is exact), and the centre of cell i is at (i + 1/2) strides. The release counts pixels: a box
  from 0 to 9 is 10 wide. We count edges, so that box is 0 to 10 here; its box coder, overlaps and clipping then equal the usual
  ones. Pooling and keypoint decoding still use the box from first to last pixel (`RoIPooler.pooled_boxes`).

For the first two the centre of cell i is at i strides. If a map has several sizes, all sizes of the first ratio come first; in
Detectron2 alone, all ratios of the first size.
"""

from typing import Literal, TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

AnchorRule: TypeAlias = Literal["exact", "rounded", "legacy"]

SIZES = (32, 64, 128, 256, 512)
"""Sizes of anchors (square root of the area), pixels, on the maps of stride 4 to 64; a single map has all of them."""

RATIOS = (0.5, 1.0, 2.0)
"""Height over width of anchors, the same on all maps."""


@final
class AnchorGenerator(nn.Module):
    """The anchors of every cell of every feature map.

    Args:
        strides: Strides of the feature maps, pixels.
        sizes: Sizes of anchors (square root of the area), pixels, on each map; by default one of `SIZES` each, or all of them
            on a single map.
        rule: How anchors are made.
        by_size: Whether all ratios of the first size come first in a cell, as in Detectron2; else all sizes of the first ratio.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        *,
        sizes: tuple[tuple[int, ...], ...] | None = None,
        rule: AnchorRule = "exact",
        by_size: bool = False,
    ) -> None:
        super().__init__()
        self.strides = strides
        self.rule = rule
        self.per_cell = tuple(len(own) * len(RATIOS) for own in sizes or default_sizes(strides))
        for level, (stride, own) in enumerate(zip(strides, sizes or default_sizes(strides), strict=True)):
            cell = _legacy(stride, own) if rule == "legacy" else _centred(own, rounded=rule == "rounded")
            if by_size:
                cell = cell.reshape(len(RATIOS), len(own), 4).transpose(0, 1).reshape(-1, 4)
            # Stored in the release's checkpoints only; for the other rules they are no weights.
            self.register_buffer(f"cell{level}", cell, persistent=rule == "legacy")

    def forward(self, images: ImageList, features: list[Tensor]) -> list[Float[Tensor, "a 4"]]:
        """The anchors x0 y0 x1 y1 of each image, map by map, each in row-major order of cells; the same for all images.

        Args:
            images: Images as torchvision's detectors hold them.
            features: Feature maps.
        """
        padded = images.tensors.shape[-2:]
        grids = [self._grid(level, (x.shape[-2], x.shape[-1]), (padded[0], padded[1])) for level, x in enumerate(features)]
        every = torch.cat(grids).to(features[0].dtype)
        return [every] * len(images.image_sizes)

    def _grid(self, level: int, cells: tuple[int, int], padded: tuple[int, int]) -> Tensor:
        cell: Tensor = getattr(self, f"cell{level}")
        high, wide = self.strides[level], self.strides[level]
        if self.rule == "rounded":
            high, wide = padded[0] // cells[0], padded[1] // cells[1]
        if self.rule == "legacy":
            cell = cell + cell.new_tensor((0.0, 0.0, 1.0, 1.0))
        rows = torch.arange(cells[0], device=cell.device) * high
        columns = torch.arange(cells[1], device=cell.device) * wide
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        corner = torch.stack((x, y), dim=-1).reshape(-1, 1, 2)
        return (cell + corner.repeat(1, 1, 2)).reshape(-1, 4)


def default_sizes(strides: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """One size for each map, eight times its stride; for a single map all of `SIZES`.

    >>> default_sizes((4, 8)), default_sizes((16,))
    (((32,), (64,)), ((32, 64, 128, 256, 512),))
    """
    return (SIZES,) if len(strides) == 1 else tuple((8 * stride,) for stride in strides)


def _centred(sizes: tuple[int, ...], *, rounded: bool) -> Float[Tensor, "a 4"]:
    """Anchors x0 y0 x1 y1 centred on 0."""
    high = torch.tensor(RATIOS).sqrt()[:, None]
    size = torch.tensor(sizes, dtype=torch.float32)[None]
    h, w = high * size, 1 / high * size
    boxes = torch.stack((-w, -h, w, h), dim=-1).flatten(0, 1) / 2
    return boxes.round() if rounded else boxes


def _legacy(stride: int, sizes: tuple[int, ...]) -> Float[Tensor, "a 4"]:
    """Anchors of a cell as the release stores them: the last pixel belongs to the box."""
    ratio = torch.tensor(RATIOS, dtype=torch.float64)
    wide = (stride * stride / ratio).sqrt().round()
    high = (wide * ratio).round()
    scale = torch.tensor(sizes, dtype=torch.float64)[None] / stride
    w, h = ((side[:, None] * scale).flatten() - 1 for side in (wide, high))
    middle = (stride - 1) / 2
    return torch.stack((middle - w / 2, middle - h / 2, middle + w / 2, middle + h / 2), dim=1).float()
