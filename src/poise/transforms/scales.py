"""A whole image at several sizes (multi-scale test), so that the cells of smaller views lie on those of the largest.

A smaller view is the largest one shrunk by a factor next to the wanted one with which its cells, made larger again, are whole
cells of the largest view. Answers are then averaged cell by cell and nothing moves.
"""

from dataclasses import dataclass
from math import ceil
from typing import final

from jaxtyping import Float, UInt8
from torch import Tensor

from poise.dims import Size
from poise.geometry import Warp, scaling, translation
from poise.scenes import Canvas
from poise.transforms.canvas import Layout, canvas_warp


@final
@dataclass(frozen=True, eq=False)
class Sized:
    """One of the views of an image.

    Attributes:
        layout: How the image lies in it.
        cells: As many as its maps get (h, w), from its left upper corner, to lie on those of the largest view.
    """

    layout: Layout
    cells: Size


@final
@dataclass(frozen=True, eq=False)
class Scaled:
    """The views of one image.

    Attributes:
        views: One for each of the canvas' scales.
        cells: What each one's maps are made (`Sized.cells`).
        whole: Cells of the largest view.
        warp: Image pixels to pixels of the largest view.
    """

    views: list[Float[Tensor, "3 _ _"]]
    cells: list[Size]
    whole: Size
    warp: Warp


def scaled_views(image: UInt8[Tensor, "3 H W"], canvas: Canvas, *, stride: int) -> Scaled:
    """The views of a whole image.

    Args:
        image: RGB.
        canvas: Of the model.
        stride: Pixels to a cell.
    """
    largest = max(canvas.scales)
    full = canvas_warp(canvas, (image.shape[1], image.shape[2]), largest)
    sized = [shrunk(full, scale / largest, multiple=canvas.multiple, stride=stride) for scale in canvas.scales]
    views = [one.layout.shown(image, canvas) for one in sized]
    whole = (full.size[0] // stride, full.size[1] // stride)
    return Scaled(views, [one.cells for one in sized], whole, full.warp)


def shrunk(full: Layout, factor: float, *, multiple: int, stride: int) -> Sized:
    """The largest view smaller by about `factor`.

    Args:
        full: The largest.
        factor: At most 1.
        multiple: Its sides are multiples of it, pixels.
        stride: Pixels to a cell.
    """
    if factor == 1:
        return Sized(full, (full.size[0] // stride, full.size[1] // stride))
    h, w = (max(1, ceil(end * factor / multiple)) * multiple for end in full.content_size)
    cells = (ceil(h / factor / stride), ceil(w / factor / stride))
    y, x = h / (stride * cells[0]), w / (stride * cells[1])
    centres = translation(-0.5, -0.5) @ scaling(x, y) @ translation(0.5, 0.5)
    inner = (max(1, round(full.inner[0] * y)), max(1, round(full.inner[1] * x)))
    corner = (round(full.corner[0] * x), round(full.corner[1] * y))
    return Sized(
        Layout(centres @ full.warp, (min(inner[0], h - corner[1]), min(inner[1], w - corner[0])), corner, (h, w)), cells
    )
