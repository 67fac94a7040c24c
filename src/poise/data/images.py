"""Decoding of image files to RGB, and encoding.

Formats are those of `FORMATS` and no others: Pillow would hand PostScript to another program. Images of more than `max_pixels`
are refused by their header. Ordinary JPEG and PNG files are decoded by OpenCV, which is faster. All others (CMYK, 16 bits,
palettes, alpha, TIFF, GIF, WebP, files with a damaged end) are decoded by Pillow, which raises an error where OpenCV fills
missing pixels with grey; of JPEG files that say to end too early both do (`_is_cut`). EXIF orientation is applied, alpha is
dropped, and of 16 bits the upper 8 are kept.
"""

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from poise.data.heif import allow_heif
from poise.dims import Size
from poise.errors import ImageError, InputError, WriteError
from poise.reading import read_file
from poise.writing import write_atomic

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".heic", ".heif", ".avif"}
)
"""Suffixes of the files that count as images when a folder is searched."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF", "HEIF", "JPEG2000")
"""Pillow's names of the formats that it may decode."""

MOST_BYTES = 2**30
"""Largest size of an image file, bytes."""

MAX_PIXELS = 100_000_000
"""Pixels that an image may have, unless `MAX_PIXELS_VARIABLE` says otherwise: 10,000 x 10,000, 300 MB."""

MAX_PIXELS_VARIABLE = "POISE_MAX_PIXELS"
"""Environment variable of another limit, which processes that read images inherit; `--max-pixels` sets it."""

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_EIGHT_BIT_GREY_OR_RGB = ((8, 0), (8, 2))
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
_NO_DATA = 128
"""Value of a JPEG's pixels, in each channel, where its data end early."""

_FILLING = bytes(range(1, 255)) * 2


def max_pixels() -> int:
    """Pixels that an image may have.

    Raises:
        InputError: The environment variable is no number of pixels.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not (text.isascii() and text.isdigit() and int(text[:20]) > 0):
        raise InputError(f"{MAX_PIXELS_VARIABLE} is a number of pixels, 1 or more; found {text[:40]!r}")
    return int(text[:20])


def read_image(path: Path | str) -> UInt8[Tensor, "3 H W"]:
    """Read an image file as RGB, 0 to 255, stored row by row.

    Args:
        path: The image file.

    Raises:
        ImageError: The file is missing, cannot be read, is truncated, or is not an image.
    """
    return decode(read_bytes(Path(path)), name=str(path))


def read_bytes(path: Path) -> bytes:
    """The content of an image file.

    Args:
        path: The image file.

    Raises:
        ImageError: The file is missing or cannot be read.
    """
    return read_file(path, what="image", most=MOST_BYTES, error=ImageError)


def decode(data: bytes, *, name: str) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file to RGB, 0 to 255, stored row by row.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are truncated, damaged, or not an image.
    """
    if not data:
        raise ImageError(f"image {name!r} is empty (0 bytes); replace the file")
    try:
        pixels = _decoded(data, name)
    except (ImageError, InputError):
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them
        raise ImageError(f"image {name!r} cannot be decoded ({_said(error)}); replace the file") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _decoded(data: bytes, name: str) -> np.ndarray:
    frame = _jpeg_frame(data) if data.startswith(_JPEG) else _png_frame(data)
    if frame is not None:
        _check_pixels(frame.height, frame.width, name)
    found = _opencv(data) if frame is not None and frame.ordinary else None
    pixels = _pillow(data, name) if found is None else found
    if data.startswith(_JPEG) and frame is not None and _is_cut(data, pixels, frame):
        raise ImageError(f"image {name!r} is cut: its file ends before its last pixels, which would be grey; replace the file")
    return pixels


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}" if str(error) else type(error).__name__


def _check_pixels(height: int, width: int, name: str) -> None:
    """Refuse an image by what its header says, before memory is taken for it."""
    most = max_pixels()
    if height * width > most:
        raise ImageError(
            f"image {name!r} has {width} x {height} pixels, and {most:,} are the most, as a small file may claim any size; "
            f"make it smaller, or add --max-pixels {height * width} (in Python: the environment variable {MAX_PIXELS_VARIABLE})"
        )


def image_size(data: bytes, *, name: str) -> Size:
    """Size (h, w) of the image that `decode` gives, pixels; only the header is read.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are not an image.
    """
    if not data:
        raise ImageError(f"image {name!r} is empty (0 bytes); replace the file")
    with _opened(data, name) as image:
        size = image.height, image.width
    return size[::-1] if is_turned(data, name=name) else size


def is_turned(data: bytes, *, name: str) -> bool:
    """Whether the EXIF orientation exchanges width and height of the stored pixels.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are not an image.
    """
    return orientation(data, name=name) >= 5


def orientation(data: bytes, *, name: str) -> int:
    """The EXIF orientation of an image file, 1 to 8; 1 where it states none, 5 and more exchange width and height.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are not an image.
    """
    try:
        with _opened(data, name) as image:
            found = image.getexif().get(0x0112, 1)
            return int(found) if found in range(1, 9) else 1
    except (ImageError, InputError):
        raise
    except Exception:  # notes beside the pixels that are damaged say nothing
        return 1


def has_16_bits(data: bytes, *, name: str) -> bool:
    """Whether an image file has 16 bits per channel, of which `decode` keeps the upper 8.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are not an image.
    """
    if data.startswith(_PNG):
        return data[24:25] == b"\x10"
    with _opened(data, name) as image:
        return image.mode.startswith("I")


def write_image(path: Path, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write an image atomically, in the format of the suffix (.jpg, .png).

    Args:
        path: The image file.
        pixels: RGB, 0 to 255.

    Raises:
        WriteError: The file cannot be written, or the suffix is not that of an image format.
    """
    if path.suffix.lower() not in SUFFIXES or not cv2.haveImageWriter(path.name):
        raise WriteError(f"{str(path)!r} cannot be written: its suffix is not that of an image format; use .png or .jpg")
    write_atomic(path, cv2.imencode(path.suffix, cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR))[1].tobytes())


@dataclass(frozen=True)
class _Frame:
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


def _png_frame(data: bytes) -> _Frame | None:
    """The header of a PNG file (ISO/IEC 15948, 11.2.2); None where there is none."""
    if len(data) < 33 or not data.startswith(_PNG) or data[12:16] != b"IHDR":
        return None
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    ordinary = data.endswith(_PNG_END) and (data[24], data[25]) in _EIGHT_BIT_GREY_OR_RGB and b"eXIf" not in data
    return _Frame(height, width, ordinary)


def _jpeg_frame(data: bytes) -> _Frame | None:
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
    return _Frame(height, width, channels in (1, 3) and data.endswith(_JPEG_END), layered, at)


def _is_cut(data: bytes, pixels: np.ndarray, frame: _Frame) -> bool:
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


def _opencv(data: bytes) -> np.ndarray | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def _opened(data: bytes, name: str) -> Image.Image:
    """An image whose header was read, of one of `FORMATS` and no more pixels than there may be."""
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels() > Image.MAX_IMAGE_PIXELS * 2:
        Image.MAX_IMAGE_PIXELS = max_pixels()  # where Pillow would refuse what the user allows
    allow_heif(data, name=name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name != "HEIF" or name in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {name!r} has too many pixels ({error}); make it smaller, or see --max-pixels") from error
    except Exception as error:  # whatever a damaged header makes of a format
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({_said(error)})"
        raise ImageError(f"image {name!r} is no image file that can be read{why}; expected {', '.join(FORMATS)}") from error
    _check_pixels(image.height, image.width, name)
    return image


def _pillow(data: bytes, name: str) -> np.ndarray:
    with _opened(data, name) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image.load()
        except Exception as error:  # as above
            raise ImageError(f"image {name!r} is truncated or damaged: {_said(error)}") from error
        return np.ascontiguousarray(_rgb(ImageOps.exif_transpose(image)))


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its pixels are floats without a known range; save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))
