"""Where a pixel is: grids of cells, affine warps, boxes.

Everything in poise that knows a pixel convention knows it through a value of this file. Integer coordinates are pixel
centres. A warp is a 3x3 matrix, float64, that maps column vectors (x, y, 1); warps multiply from the left.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError


@dataclass(frozen=True)
class Grid:
    """How the cells of a map lie on the pixels of a view: `pixel = cell * scale + shift`, per axis, (x, y)."""

    size: Size
    cells: Size
    scale: tuple[float, float]
    shift: tuple[float, float]

    def __post_init__(self) -> None:
        """Refuse sizes without extent."""
        if min(self.size) < 1 or min(self.cells) < 1:
            raise InputError(f"a grid needs at least one pixel and one cell, not size {self.size} and cells {self.cells}")

    @classmethod
    def strided(cls, size: Size, cells: Size) -> "Grid":
        """Cell 0 on pixel 0, one cell every w / W pixels (Simple Baselines, HRNet)."""
        return cls(size, cells, (size[1] / cells[1], size[0] / cells[0]), (0.0, 0.0))

    @classmethod
    def centred(cls, size: Size, cells: Size) -> "Grid":
        """Cells tile the view as pixels tile an image: the centre of cell 0 is the centre of its block of pixels."""
        scale = (size[1] / cells[1], size[0] / cells[0])
        return cls(size, cells, scale, ((scale[0] - 1) / 2, (scale[1] - 1) / 2))

    @classmethod
    def cornered(cls, size: Size, cells: Size) -> "Grid":
        """Corner cells on corner pixels, so a mirror maps cells onto cells (UDP, arXiv 1911.07524, section 3)."""
        scale = (_span(size[1], cells[1]), _span(size[0], cells[0]))
        return cls(size, cells, scale, (0.0, 0.0))

    @classmethod
    def isotropic(cls, size: Size, cells: Size) -> "Grid":
        """One factor for both axes, taken along x, about the common centre (DARK's release)."""
        factor = _span(size[1], cells[1])
        shift = tuple((s - 1) / 2 - factor * (c - 1) / 2 for s, c in ((size[1], cells[1]), (size[0], cells[0])))
        return cls(size, cells, (factor, factor), (shift[0], shift[1]))

    def to_pixels(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Cell coordinates to pixels of the view."""
        return xy * xy.new_tensor(self.scale) + xy.new_tensor(self.shift)

    def to_cells(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Pixels of the view to cell coordinates."""
        return (xy - xy.new_tensor(self.shift)) / xy.new_tensor(self.scale)


def _span(pixels: int, cells: int) -> float:
    return (pixels - 1) / (cells - 1) if cells > 1 else float(pixels)


Warp = Float[Tensor, "3 3"]


def _matrix(rows: list[list[float]]) -> Warp:
    return torch.tensor(rows, dtype=torch.float64)


def translation(x: float, y: float) -> Warp:
    """Move by (x, y) pixels."""
    return _matrix([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Warp:
    """Stretch about the centre of pixel 0."""
    return _matrix([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def rotation(degrees: float) -> Warp:
    """Turn about the centre of pixel 0, from the x axis towards the y axis (clockwise on the screen)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _matrix([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def shearing(x: float, y: float) -> Warp:
    """Lean the axes towards each other by `x` and `y` degrees, about the centre of pixel 0."""
    return _matrix([[1.0, math.tan(math.radians(x)), 0.0], [math.tan(math.radians(y)), 1.0, 0.0], [0.0, 0.0, 1.0]])


def horizontal_flip(width: int) -> Warp:
    """Left to right in an image of `width` pixels: x becomes width - 1 - x."""
    return _matrix([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def apply(warp: Float[Tensor, "*w 3 3"], xy: Float[Tensor, "*b k 2"]) -> Float[Tensor, "*b k 2"]:
    """Points through a warp, or a batch of points through a batch of warps; the answer has the points' dtype."""
    warp = warp.to(xy)
    return xy @ warp[..., :2, :2].transpose(-1, -2) + warp[..., None, :2, 2]


def apply_one_based(warp: Warp, xy: Float[Tensor, "*b k 2"]) -> Int64[Tensor, "*b k 2"]:
    """Whole pixels counted from 1, through a warp to such (the stacked hourglass' release; golden t02).

    What lies between two pixels goes to the one nearer to pixel 1; what lies before it, too.
    """
    return apply(warp, xy - 1).trunc().long() + 1


def invert(warp: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The warp back."""
    back: Tensor = torch.linalg.inv(warp)
    return back


Boxes = Float[Tensor, "n 4"]


def xywh_to_xyxy(boxes: Boxes) -> Boxes:
    """COCO's x, y, width, height to x0 y0 x1 y1."""
    return torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), dim=1)


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """x0 y0 x1 y1 to COCO's x, y, width, height."""
    return torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1)


def box_area(boxes: Boxes) -> Float[Tensor, " n"]:
    """Width times height, in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def boxes_around(xy: Float[Tensor, "n k 2"], known: torch.Tensor) -> Boxes:
    """The smallest box around the points that are `known` (bool, n k); all zero where there is none."""
    low = torch.where(known[..., None], xy, torch.inf).amin(dim=1)
    high = torch.where(known[..., None], xy, -torch.inf).amax(dim=1)
    boxes = torch.cat((low, high), dim=1)
    return torch.where(known.any(dim=1)[:, None], boxes, torch.zeros_like(boxes))


def exclude_last_pixel(boxes: Boxes) -> Boxes:
    """Boxes x0 y0 x1 y1 without their last row and column of pixels; what is left of a box is never less than nothing."""
    return torch.cat((boxes[:, :2], torch.maximum(boxes[:, 2:] - 1, boxes[:, :2])), dim=1)


def box_mask(boxes: Boxes, size: Size) -> Bool[Tensor, "H W"]:
    """Which pixels of an image of `size` (h, w) boxes x0 y0 x1 y1 touch."""
    covered = torch.zeros(size, dtype=torch.bool)
    edges = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil() + 1), dim=1).clamp(min=0).long()
    for x0, y0, x1, y1 in edges.tolist():
        covered[y0:y1, x0:x1] = True
    return covered
