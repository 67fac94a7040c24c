"""The views of a multi-scale test: one image at several sizes whose cells lie on those of the largest.

A smaller view is the largest one shrunk by the factor nearest to the wanted one with which its cells, enlarged again, are whole
cells of the largest view. Outputs are then averaged cell by cell, without resampling.
"""

from dataclasses import dataclass
from math import ceil
from typing import final

from jaxtyping import Float, UInt8
from torch import Tensor

from poise.dims import Size
from poise.geometry import Warp, scaling, translation
from poise.scenes import Canvas
from poise.transforms.canvas import Layout, canvas_layout


@final
@dataclass(frozen=True, eq=False)
class ScaledLayout:
    """One view of a multi-scale test.

    Attributes:
        layout: Position of the image in the view.
        cells: Cells (h, w), from the left upper corner of the largest view, that its maps are resized to.
    """

    layout: Layout
    cells: Size


@final
@dataclass(frozen=True, eq=False)
class ScaledViews:
    """The views of one image in a multi-scale test.

    Attributes:
        views: Normalised views, one for each of the canvas' scales.
        cells: Cells (h, w) that the maps of each are resized to (`ScaledLayout.cells`).
        full_cells: Cells (h, w) of the largest view.
        warp: 3x3, image pixels to pixels of the largest view.
    """

    views: list[Float[Tensor, "3 _ _"]]
    cells: list[Size]
    full_cells: Size
    warp: Warp


def scaled_views(image: UInt8[Tensor, "3 H W"], canvas: Canvas, *, stride: int) -> ScaledViews:
    """The views of a whole image in a multi-scale test.

    Args:
        image: RGB.
        canvas: Preprocessing of the model, with its scales.
        stride: Pixels per cell.
    """
    largest = max(canvas.scales)
    full = canvas_layout(canvas, (image.shape[1], image.shape[2]), largest)
    sized = [shrink_layout(full, scale / largest, multiple=canvas.multiple, stride=stride) for scale in canvas.scales]
    views = [one.layout.render(image, canvas) for one in sized]
    whole = (full.size[0] // stride, full.size[1] // stride)
    return ScaledViews(views, [one.cells for one in sized], whole, full.warp)


def shrink_layout(full: Layout, factor: float, *, multiple: int, stride: int) -> ScaledLayout:
    """The layout of a view smaller than the largest by about `factor`.

    Args:
        full: Layout of the largest view.
        factor: Wanted factor, at most 1.
        multiple: The sides of the view are multiples of this, pixels.
        stride: Pixels per cell.
    """
    if factor == 1:
        return ScaledLayout(full, (full.size[0] // stride, full.size[1] // stride))
    h, w = (max(1, ceil(end * factor / multiple)) * multiple for end in full.filled_size)
    cells = (ceil(h / factor / stride), ceil(w / factor / stride))
    y, x = h / (stride * cells[0]), w / (stride * cells[1])
    centres = translation(-0.5, -0.5) @ scaling(x, y) @ translation(0.5, 0.5)
    inner = (max(1, round(full.inner[0] * y)), max(1, round(full.inner[1] * x)))
    corner = (round(full.corner[0] * x), round(full.corner[1] * y))
    return ScaledLayout(
        Layout(centres @ full.warp, (min(inner[0], h - corner[1]), min(inner[1], w - corner[0])), corner, (h, w)), cells
    )
