"""Decoding of image files of any format to RGB, and encoding.

Ordinary JPEG and PNG files are decoded by OpenCV, which is faster. All others (CMYK, 16 bits, palettes, alpha, TIFF, GIF, WebP,
files with a damaged end) are decoded by Pillow, which raises an error where OpenCV fills missing pixels with grey. EXIF
orientation is applied, alpha is dropped, and of 16 bits the upper 8 are kept.
"""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from poise.errors import ImageError, WriteError
from poise.writing import write_atomic

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
"""Suffixes of the files that count as images when a folder is searched."""

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_EIGHT_BIT_GREY_OR_RGB = ((8, 0), (8, 2))
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


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
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"image {str(path)!r} does not exist; check the file name and the images folder") from None
    except OSError as error:
        raise ImageError(f"image {str(path)!r} cannot be read: {error.strerror or error}") from error


def decode(data: bytes, *, name: str) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file to RGB, 0 to 255, stored row by row.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.

    Raises:
        ImageError: The data are truncated, damaged, or not an image.
    """
    pixels = _opencv(data) if _ordinary(data) else None
    if pixels is None:
        pixels = _pillow(data, name)
    return torch.from_numpy(pixels).permute(2, 0, 1)


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
    with _opened(data, name) as image:
        found = image.getexif().get(0x0112, 1)
        return int(found) if found in range(1, 9) else 1


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


def _ordinary(data: bytes) -> bool:
    """Whether OpenCV and Pillow decode such a file to the same pixels."""
    if data.startswith(_JPEG):
        return data.endswith(_JPEG_END) and _jpeg_channels(data) in (1, 3)
    if data.startswith(_PNG):
        return data.endswith(_PNG_END) and (data[24], data[25]) in _EIGHT_BIT_GREY_OR_RGB and b"eXIf" not in data
    return False


def _jpeg_channels(data: bytes) -> int:
    """Number of channels in the first frame header (ITU T.81, annex B); 0 where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in _JPEG_FRAMES:
            return data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def _opencv(data: bytes) -> np.ndarray | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def _opened(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageError(f"image {name!r} is empty (0 bytes); replace the file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ImageError(f"image {name!r} is not an image file that can be read; expected JPEG, PNG, TIFF, WebP, ...") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"image {name!r} cannot be decoded: {error}") from error


def _pillow(data: bytes, name: str) -> np.ndarray:
    with _opened(data, name) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.load()
                return np.ascontiguousarray(_rgb(ImageOps.exif_transpose(image)))
        except (OSError, SyntaxError, ValueError, IndexError, EOFError) as error:
            raise ImageError(f"image {name!r} is truncated or damaged: {error}") from error


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its pixels are floats without a known range; save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))
