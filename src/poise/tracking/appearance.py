"""What people look like, as a vector: a histogram of the colours inside their box."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

BINS = (12, 4, 4)
"""Bins of hue, saturation and value."""

MIDDLE = 0.6
"""Part of the box, around its middle, that is looked at: little background."""


def colour_histograms(image: UInt8[Tensor, "3 H W"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n d"]:
    """A histogram of the colours of each person, of length 1; zeros where the box lies outside the image.

    Args:
        image: RGB.
        boxes: x0 y0 x1 y1, pixels.
    """
    pixels = cv2.cvtColor(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2HSV)
    found = torch.zeros(len(boxes), int(np.prod(BINS)))
    for row, box in enumerate(boxes.tolist()):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        half = (MIDDLE * (box[2] - box[0]) / 2, MIDDLE * (box[3] - box[1]) / 2)
        x0, x1, y0, y1 = (round(max(v, 0.0)) for v in (x - half[0], x + half[0] + 1, y - half[1], y + half[1] + 1))
        part = pixels[y0:y1, x0:x1]
        if part.size:
            counts = cv2.calcHist([part], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
            found[row] = torch.from_numpy(np.sqrt(counts / counts.sum()))
    return found
