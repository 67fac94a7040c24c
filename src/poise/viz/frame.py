"""The outline of a view on the photo it is cut out of."""

import cv2
import numpy as np
from jaxtyping import Float
from torch import Tensor

from poise.viz.draw import BOX, Colour, Pixels

_SHIFT = 4
"""Bits below a pixel that OpenCV draws with."""


def draw_frame(image: Pixels, corners: Float[Tensor, "4 2"], *, colour: Colour = BOX) -> Pixels:
    """The image with a view's outline on it, its upper edge twice as thick; the view may be turned or reach beyond the image.

    Args:
        image: RGB.
        corners: Of the view on the image: top left, top right, bottom right, bottom left.
        colour: RGB.
    """
    out: Pixels = np.ascontiguousarray(image).copy()
    width = max(1, round(max(image.shape[:2]) / 300))
    points = np.rint(corners.double().numpy() * 2**_SHIFT).clip(-(2**24), 2**24).astype(np.int32)
    cv2.polylines(out, [points.reshape(-1, 1, 2)], True, colour, width, cv2.LINE_AA, _SHIFT)
    first, second = points[:2].tolist()
    cv2.line(out, (first[0], first[1]), (second[0], second[1]), colour, 2 * width, cv2.LINE_AA, _SHIFT)
    return out
