"""JPEG files read at a half, a quarter or an eighth of their size, as the decoder makes them in a fraction of the time."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from poise.data.image_frames import JPEG, is_cut, jpeg_frame
from poise.data.images import asked, check_pixels, opencv_pixels, orientation
from poise.dims import Size
from poise.geometry import Reduction

_FLAGS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

_MIRRORED = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
"""Axes (x, y) of the shown image that run against those of the stored one, by the EXIF orientation."""

Pick = Callable[[Size], int]
"""By what the sides of an image of some size (h, w) may be divided: 1, 2, 4 or 8."""


def decode_reduced(
    data: bytes, *, name: str, pick: Pick, turn: bool | None = None
) -> tuple[UInt8[Tensor, "3 H W"], Reduction] | None:
    """An ordinary JPEG file at a fraction of its size; None where it is to be read whole, or is of another kind.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.
        pick: By what the sides may be divided.
        turn: Whether its EXIF orientation is applied; by default unless `images.asked` says `stored`.

    Raises:
        ImageError: It has more pixels than an image may have.
    """
    frame = jpeg_frame(data) if data.startswith(JPEG) else None
    if frame is None or not frame.ordinary or not min(frame.height, frame.width):
        return None
    turn = asked() != "stored" if turn is None else turn
    stored = (frame.height, frame.width)
    check_pixels(*stored, name)
    way = orientation(data, name=name) if turn and b"Exif" in data else 1
    size = stored[::-1] if way >= 5 else stored
    factor = pick(size)
    pixels = None if factor == 1 else opencv_pixels(data, turn=turn, reading=_FLAGS[factor])
    if pixels is None or is_cut(data, pixels, frame):
        return None  # whoever reads it whole says what is wrong
    high, wide = pixels.shape[:2]
    if (high, wide) != (-(-size[0] // factor), -(-size[1] // factor)):
        return None
    mirrored = _MIRRORED.get(way, (0, 0))
    offset = (mirrored[0] * (wide * factor - size[1]), mirrored[1] * (high * factor - size[0]))
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1), Reduction(factor, size, offset)
