"""The letters of every shape annotation in this package.

    b  views in a batch          n  people in a sample        k  keypoints of a skeleton
    c  channels                  h, w  rows and columns of a map or an image (H, W for whole samples)
    d  coordinates, always 2

Points are (x, y); sizes are (h, w); boxes are x0 y0 x1 y1. Coordinates are pixels, and 0 is the centre of the first pixel.
`size` counts pixels of a view, `cells` counts cells of a map.

Annotations are `Float[Tensor, "b k h w"]` (jaxtyping); the tests check them as they run. One-letter shapes are written with
a leading blank: `Int64[Tensor, " k"]`.
"""

from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Height and width, in pixels or in cells."""
