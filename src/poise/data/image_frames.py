"""Headers of JPEG and PNG files: the size of the image, whether the file is ordinary, whether all of its pixels are there."""

import io
from dataclasses import dataclass
from typing import final

import numpy as np
from PIL import Image

JPEG = b"\xff\xd8"
"""First bytes of a JPEG file."""

PNG = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG file."""

_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
_EIGHT_BIT_GREY_OR_RGB = ((8, 0), (8, 2))
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
_NO_DATA = 128
"""Value of a JPEG's pixels, in each channel, where its data end early."""

_FILLING = bytes(range(1, 255)) * 2


@final
@dataclass(frozen=True)
class Frame:
    """Contents of the header of a JPEG or PNG file.

    Attributes:
        height: Pixels.
        width: Pixels.
        ordinary: Whether OpenCV and Pillow decode such a file to the same pixels.
        layered: Whether a JPEG's pixels come in several scans, each finer or of one channel, or have four channels.
        begin: Where its first scan begins, bytes.
    """

    height: int
    width: int
    ordinary: bool
    layered: bool = False
    begin: int = 0


def png_frame(data: bytes) -> Frame | None:
    """The header of a PNG file (ISO/IEC 15948, 11.2.2); None where there is none."""
    if len(data) < 33 or not data.startswith(PNG) or data[12:16] != b"IHDR":
        return None
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    ordinary = data.endswith(_PNG_END) and (data[24], data[25]) in _EIGHT_BIT_GREY_OR_RGB and b"eXIf" not in data
    return Frame(height, width, ordinary)


def jpeg_frame(data: bytes) -> Frame | None:
    """The first frame header (ITU T.81, annex B); None where there is none."""
    at, found = 2, None
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # any number of these may stand before a marker
            at += 1
            continue
        if data[at + 1] in _JPEG_FRAMES:
            found = at
        if data[at + 1] == _JPEG_SCAN:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if found is None:
        return None
    height, width = (int.from_bytes(data[found + k : found + k + 2], "big") for k in (5, 7))
    channels, in_scan = data[found + 9], data[at + 4] if at + 4 < len(data) else 0
    layered = data[found + 1] not in (0xC0, 0xC1) or in_scan < channels or channels > 3
    return Frame(height, width, channels in (1, 3) and data.endswith(_JPEG_END), layered, at)


def is_cut(data: bytes, pixels: np.ndarray, frame: Frame) -> bool:
    """Whether a JPEG has an end but not all of its pixels: then more data before that end would change some.

    Asked where a corner's pixel is as those without data are, and where corners do not tell. Pillow is asked, which says
    nothing of damaged data on the terminal, at an eighth of the size where each scan has all of a pixel.
    """
    corners = pixels[:: max(1, len(pixels) - 1), :: max(1, pixels.shape[1] - 1)]
    if not frame.layered and not (corners == _NO_DATA).all(axis=2).any():
        return False
    end = len(data) - 2 if data.endswith(_JPEG_END) else -1 if frame.layered else data.find(_JPEG_END, frame.begin)
    if end < 0:
        return False
    shrink = 1 if frame.layered else 8
    was, now = (_shrunk(content, shrink) for content in (data, data[:end] + _FILLING + data[end:]))
    return not np.array_equal(was, now)


def _shrunk(data: bytes, factor: int) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.draft(None, (image.width // factor, image.height // factor))
        return np.array(image)
