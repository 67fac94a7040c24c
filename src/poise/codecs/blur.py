"""The Gaussian blur that smooths maps before they are read, as OpenCV's."""

import math
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.kernels import beyond, blur, memory_needed


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
"""Maps blurred at a time where all of a map is wanted: enough that the calls on each part cost little."""

FEW = 16
"""Maps blurred at a time where little of a map is wanted: they fill one register, and rows stay in a core's first cache."""


def blurred(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    """Maps smoothed by `size` cells (`blur_taps`) along both axes, some at a time: which ones, and the maps as LAST axis.

    What is given is overwritten when the next is asked for: fresh memory for each costs more than the blur.
    """
    if maps.device.type != "cpu":
        yield slice(0, len(maps)), _blurred_as_images(maps, size, border).permute(1, 2, 0)
        return
    values, low, high = torch.empty(len(maps), 0), *torch.empty(2, len(maps))
    yield from _blurred_as_channels(maps, values.long(), size, border, chunk=CHUNK, out=(values, low, high))


def blurred_extremes(
    maps: Float[Tensor, "n h w"], size: int, border: Border
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The lowest and the highest value of each map after the blur."""
    return blurred_at(maps, torch.empty(len(maps), 0, dtype=torch.int64, device=maps.device), size, border)[1:]


def blurred_at(
    maps: Float[Tensor, "n h w"], index: Int64[Tensor, "n i"], size: int, border: Border
) -> tuple[Float[Tensor, "n i"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """After the blur: the values of some cells of each map, counted row after row, its lowest and its highest value."""
    if maps.device.type != "cpu":
        smooth = _blurred_as_images(maps, size, border).flatten(1)
        return smooth.gather(1, index), smooth.amin(dim=1), smooth.amax(dim=1)
    values, low, high = maps.new_empty(index.shape), maps.new_empty(len(maps)), maps.new_empty(len(maps))
    for _ in _blurred_as_channels(maps, index, size, border, chunk=FEW, out=(values, low, high)):
        pass
    return values, low, high


def _blurred_as_channels(
    maps: Float[Tensor, "n h w"],
    index: Int64[Tensor, "n i"],
    size: int,
    border: Border,
    *,
    chunk: int,
    out: tuple[Float[Tensor, "n i"], Float[Tensor, " n"], Float[Tensor, " n"]],
) -> Iterator[tuple[slice, Float[Tensor, "h w m"]]]:
    # As channels of one image maps are smoothed side by side, eight or sixteen in one instruction.
    count, height, width = maps.shape
    cells, most, mirror = height * width, min(count, chunk), border == "mirror"
    taps = tuple(np.array(blur_taps(size)[: size // 2 + 1], np.float32))
    edges = beyond(height, size // 2, mirror=mirror), beyond(width, size // 2, mirror=mirror)
    rows, wanted = maps.flatten(1).numpy(), index.contiguous().numpy()
    values, low, high = (part.numpy() for part in out)
    image, smooth = torch.empty(2, cells * most)
    given, taken = image.numpy(), smooth.numpy()
    memory = torch.empty(memory_needed((height, width, most), size // 2)).numpy()
    for start in range(0, count, chunk):
        some = slice(start, min(start + chunk, count))
        part = rows[some]
        shape = height, width, len(part)
        cv2.transpose(part, dst=given[: part.size].reshape(cells, -1))
        found = taken, low[some], high[some], values[some]
        blur(given, shape, taps, edges, index=wanted[some], memory=memory, out=found)
        yield some, smooth[: part.size].view(shape)


def _blurred_as_images(maps: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    taps, half = maps.new_tensor(blur_taps(size)), size // 2
    wide = F.pad(maps[:, None], (half,) * 4, mode="constant" if border == "zeros" else "reflect")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).squeeze(1)
