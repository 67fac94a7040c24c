"""The Gaussian blur that smooths maps before they are read, as OpenCV's."""

import math
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def blur_taps(size: int) -> tuple[float, ...]:
    """The blur of `size` cells, odd, that OpenCV takes when it is not told how wide.

    Up to 9 cells from its table, then a Gaussian of sigma = 0.3 ((size - 1) / 2 - 1) + 0.8.
    """
    table = {3: (1, 2, 1), 5: (1, 4, 6, 4, 1), 7: (2, 7, 14, 18, 14, 7, 2), 9: (4, 13, 30, 51, 60, 51, 30, 13, 4)}
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = table.get(size, tuple(math.exp(-0.5 * ((i - (size - 1) / 2) / sigma) ** 2) for i in range(size)))
    return tuple(tap / sum(taps) for tap in taps)


Border = Literal["zeros", "mirror"]
"""What is beyond the edge of a map: nothing, or the map mirrored about its outermost cells."""

CHUNK = 128
"""Maps blurred at a time on a processor: OpenCV takes no more channels."""


def blurred(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    """Maps smoothed by `size` cells (`blur_taps`) along both axes, some at a time: which ones, and the maps as LAST axis.

    What is given is overwritten when the next is asked for: fresh memory for each costs more than the blur.
    """
    if maps.device.type == "cpu":
        yield from _blurred_as_channels(maps, size, border)
    else:
        yield slice(0, len(maps)), _blurred_as_images(maps, size, border).permute(1, 2, 0)


def blurred_extremes(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The lowest and the highest value of each map after the blur."""
    low, high = maps.new_empty(len(maps)), maps.new_empty(len(maps))
    for some, smooth in blurred(maps, size, border):
        low[some], high[some] = smooth.amin(dim=0).amin(dim=0), smooth.amax(dim=0).amax(dim=0)
    return low, high


def _blurred_as_channels(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    # As channels of one image maps are filtered side by side, eight or sixteen in one instruction.
    count, height, width = maps.shape
    edge = {"zeros": cv2.BORDER_CONSTANT, "mirror": cv2.BORDER_REFLECT_101}[border]
    taps = np.array(blur_taps(size), np.float32)
    rows = maps.flatten(1).numpy()
    memory = np.empty((2, height * width * min(count, CHUNK)), np.float32)
    for start in range(0, count, CHUNK):
        part = rows[start : start + CHUNK]
        image, smooth = (m[: part.size].reshape(height, width, len(part)) for m in memory)
        cv2.transpose(part, dst=image.reshape(-1, len(part)))
        cv2.sepFilter2D(image, -1, taps, taps, dst=smooth, borderType=edge)
        yield slice(start, start + len(part)), torch.from_numpy(smooth)


def _blurred_as_images(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    taps, half = maps.new_tensor(blur_taps(size)), size // 2
    wide = F.pad(maps[:, None], (half,) * 4, mode="constant" if border == "zeros" else "reflect")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).squeeze(1)
