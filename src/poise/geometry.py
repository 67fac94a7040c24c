"""Pixel coordinates: grids of map cells, affine warps, boxes.

Every pixel convention in poise is a value of this file. Integer coordinates are pixel centres. A warp is an affine 3x3 matrix,
float64, for column vectors (x, y, 1), so the warp that is applied last stands first in a product.
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError


@dataclass(frozen=True)
class Grid:
    """How the cells of a map lie on the pixels of a view: `pixel = cell * scale + shift`, for each axis.

    Attributes:
        size: Size of the view (h, w), pixels.
        cells: Size of the map (h, w), cells.
        scale: Pixels per cell along x and y.
        shift: Pixel coordinates (x, y) of the centre of cell (0, 0).

    Raises:
        InputError: A size is below 1.
    """

    size: Size
    cells: Size
    scale: tuple[float, float]
    shift: tuple[float, float]

    def __post_init__(self) -> None:
        """Check that there is a pixel and a cell."""
        if min(self.size) < 1 or min(self.cells) < 1:
            raise InputError(f"a grid needs at least one pixel and one cell, not size {self.size} and cells {self.cells}")

    @classmethod
    def strided(cls, size: Size, cells: Size) -> "Grid":
        """Cell 0 at pixel 0, and one cell every (pixels / cells) pixels (Simple Baselines, HRNet)."""
        return cls(size, cells, (size[1] / cells[1], size[0] / cells[0]), (0.0, 0.0))

    @classmethod
    def centred(cls, size: Size, cells: Size) -> "Grid":
        """Each cell covers a block of pixels, and its centre is the centre of that block (align_corners=False)."""
        scale = (size[1] / cells[1], size[0] / cells[0])
        return cls(size, cells, scale, ((scale[0] - 1) / 2, (scale[1] - 1) / 2))

    @classmethod
    def cornered(cls, size: Size, cells: Size) -> "Grid":
        """Corner cells at corner pixels (align_corners=True), so a flip maps cells onto cells (UDP, arXiv 1911.07524, s. 3)."""
        scale = (_span(size[1], cells[1]), _span(size[0], cells[0]))
        return cls(size, cells, scale, (0.0, 0.0))

    @classmethod
    def isotropic(cls, size: Size, cells: Size) -> "Grid":
        """`cornered`, but with the scale of x for both axes and the centres of map and view together (DARK's release)."""
        factor = _span(size[1], cells[1])
        shift = tuple((s - 1) / 2 - factor * (c - 1) / 2 for s, c in ((size[1], cells[1]), (size[0], cells[0])))
        return cls(size, cells, (factor, factor), (shift[0], shift[1]))

    def to_pixels(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Cell coordinates (x, y) to pixels of the view."""
        return xy * xy.new_tensor(self.scale) + xy.new_tensor(self.shift)

    def to_cells(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Pixels of the view (x, y) to cell coordinates."""
        return (xy - xy.new_tensor(self.shift)) / xy.new_tensor(self.scale)


def _span(pixels: int, cells: int) -> float:
    return (pixels - 1) / (cells - 1) if cells > 1 else float(pixels)


Warp = Float[Tensor, "3 3"]


def _matrix(rows: list[list[float]]) -> Warp:
    return torch.tensor(rows, dtype=torch.float64)


def translation(x: float, y: float) -> Warp:
    """A translation by (x, y) pixels."""
    return _matrix([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Warp:
    """A scaling by factors along x and y about the centre of pixel (0, 0)."""
    return _matrix([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def rotation(degrees: float) -> Warp:
    """A rotation by degrees about the centre of pixel (0, 0), from the x axis to the y axis (clockwise on the screen)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _matrix([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def shearing(x: float, y: float) -> Warp:
    """A shear of `x` degrees along x and `y` degrees along y about the centre of pixel (0, 0)."""
    return _matrix([[1.0, math.tan(math.radians(x)), 0.0], [math.tan(math.radians(y)), 1.0, 0.0], [0.0, 0.0, 1.0]])


def horizontal_flip(width: int) -> Warp:
    """The left-right flip of an image of `width` pixels: x becomes width - 1 - x."""
    return _matrix([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def apply(warp: Float[Tensor, "*w 3 3"], xy: Float[Tensor, "*b k 2"]) -> Float[Tensor, "*b k 2"]:
    """Warp points, or a batch of points by a batch of warps.

    Args:
        warp: Affine matrix or matrices.
        xy: Points (x, y), pixels.

    Returns:
        The warped points, in the dtype of `xy`.
    """
    warp = warp.to(xy)
    return xy @ warp[..., :2, :2].transpose(-1, -2) + warp[..., None, :2, 2]


def apply_one_based(warp: Warp, xy: Float[Tensor, "*b k 2"]) -> Int64[Tensor, "*b k 2"]:
    """Warp whole pixels counted from 1 to whole pixels counted from 1 (the stacked hourglass' release; golden t02).

    Results between two pixels are truncated towards pixel 1.
    """
    return apply(warp, xy - 1).trunc().long() + 1


def invert(warp: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The inverse of a warp."""
    back: Tensor = torch.linalg.inv(warp)
    return back


Boxes = Float[Tensor, "n 4"]


FACTORS = (8, 4, 2)
"""By what the sides of a JPEG can be divided while it is decoded, the largest first."""


@final
@dataclass(frozen=True)
class Reduction:
    """How the pixels of an image that was read smaller lie in the whole one.

    Attributes:
        factor: Each of them is the mean of a square of so many pixels a side.
        size: Size of the whole image (h, w), pixels.
        offset: Pixels (x, y) by which the first square begins before the whole image, where that was turned or mirrored.
    """

    factor: int
    size: Size
    offset: tuple[int, int] = (0, 0)

    @property
    def warp(self) -> Warp:
        """3x3, pixels of the whole image to pixels of the smaller one."""
        middle = (self.factor - 1) / 2
        x, y = (before - middle for before in self.offset)
        return scaling(1 / self.factor, 1 / self.factor) @ translation(x, y)


def xywh_to_xyxy(boxes: Boxes) -> Boxes:
    """Boxes x, y, width, height (COCO's) as x0 y0 x1 y1, pixels."""
    return torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), dim=1)


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 as x, y, width, height (COCO's), pixels."""
    return torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1)


def box_area(boxes: Boxes) -> Float[Tensor, " n"]:
    """Area of boxes x0 y0 x1 y1, square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def large(boxes: Boxes, min_area: float) -> Bool[Tensor, " n"]:
    """Boxes x0 y0 x1 y1 with an area of at least so many square pixels; with 0 all, whatever they are."""
    return box_area(boxes) >= min_area if min_area > 0 else torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)


def boxes_around(xy: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Boxes:
    """The smallest box x0 y0 x1 y1 around the points that are `known`, pixels; zeros where none is."""
    low = torch.where(known[..., None], xy, torch.inf).amin(dim=1)
    high = torch.where(known[..., None], xy, -torch.inf).amax(dim=1)
    boxes = torch.cat((low, high), dim=1)
    return torch.where(known.any(dim=1)[:, None], boxes, torch.zeros_like(boxes))


def exclude_last_pixel(boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 with x1 and y1 one pixel less, but never below x0 and y0."""
    return torch.cat((boxes[:, :2], torch.maximum(boxes[:, 2:] - 1, boxes[:, :2])), dim=1)


def box_mask(boxes: Boxes, size: Size) -> Bool[Tensor, "H W"]:
    """True for the pixels of an image of `size` (h, w) that any of the boxes x0 y0 x1 y1 touches."""
    covered = torch.zeros(size, dtype=torch.bool)
    edges = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil() + 1), dim=1).clamp(min=0).long()
    for x0, y0, x1, y1 in edges.tolist():
        covered[y0:y1, x0:x1] = True
    return covered
