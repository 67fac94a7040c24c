"""Decoding of image files to RGB, and encoding.

Formats are those of `FORMATS` and no others: Pillow would hand PostScript to another program. Images of more than `max_pixels`
are refused by their header. Ordinary JPEG and PNG files are decoded by OpenCV, which is faster. All others (CMYK, 16 bits,
palettes, alpha, TIFF, GIF, WebP, files with a damaged end) are decoded by Pillow, which raises an error where OpenCV fills
missing pixels with grey; of JPEG files that say to end too early both do (`is_cut`). EXIF orientation is applied, but where
labels count stored pixels (`data.orientation`); alpha is dropped, and of 16 bits the upper 8 are kept.
"""

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from poise.data.heif import allow_heif
from poise.data.image_frames import JPEG, PNG, is_cut, jpeg_frame, png_frame
from poise.dims import Size
from poise.errors import ImageError, InputError, WriteError
from poise.reading import read_file
from poise.writing import write_atomic

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
    | {".ppm", ".pgm", ".heic", ".heif", ".avif"}
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

ORIENTATION_VARIABLE = "POISE_ORIENTATION"
"""Environment variable that says how all images are read, `stored` or `shown`; `--orientation` sets it."""

Orientation = Literal["stored", "shown"]
"""How an image is read: as its pixels are stored, or turned as its EXIF orientation says."""

_BACK: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each EXIF orientation."""


def max_pixels() -> int:
    """Pixels that an image may have.

    Raises:
        InputError: The environment variable is no number of pixels.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not (text.isascii() and text.isdigit() and int(text[:20]) > 0):
        raise InputError(f"{MAX_PIXELS_VARIABLE} is a number of pixels, 1 or more; found {text[:40]!r}")
    return int(text[:20])


def asked() -> Orientation | None:
    """How all images are to be read; None where each decides by its size (`data.orientation`).

    Raises:
        InputError: The environment variable says something else.
    """
    match os.environ.get(ORIENTATION_VARIABLE) or None:
        case None:
            return None
        case "stored":
            return "stored"
        case "shown":
            return "shown"
        case other:
            raise InputError(f"{ORIENTATION_VARIABLE} is stored or shown; found {other[:40]!r}")


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


def decode(data: bytes, *, name: str, turn: bool | None = None) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file to RGB, 0 to 255, stored row by row.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.
        turn: Whether its EXIF orientation is applied; by default unless `asked` says `stored`.

    Raises:
        ImageError: The data are truncated, damaged, or not an image.
    """
    if not data:
        raise ImageError(f"image {name!r} is empty (0 bytes); replace the file")
    try:
        pixels = _decoded(data, name, asked() != "stored" if turn is None else turn)
    except (ImageError, InputError):
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them
        raise ImageError(f"image {name!r} cannot be decoded ({_said(error)}); replace the file") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _decoded(data: bytes, name: str, turn: bool) -> np.ndarray:
    frame = jpeg_frame(data) if data.startswith(JPEG) else png_frame(data)
    if frame is not None:
        check_pixels(frame.height, frame.width, name)
    found = opencv_pixels(data, turn=turn) if frame is not None and frame.ordinary else None
    pixels = _pillow(data, name, turn) if found is None else found
    if data.startswith(JPEG) and frame is not None and is_cut(data, pixels, frame):
        raise ImageError(f"image {name!r} is cut: its file ends before its last pixels, which would be grey; replace the file")
    return pixels


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}" if str(error) else type(error).__name__


def check_pixels(height: int, width: int, name: str) -> None:
    """Refuse an image by what its header says, before memory is taken for it.

    Raises:
        ImageError: It has more pixels than an image may have.
    """
    most = max_pixels()
    if height * width > most:
        raise ImageError(
            f"image {name!r} has {width} x {height} pixels, and {most:,} are the most, as a small file may claim any size; "
            f"make it smaller, or add --max-pixels {height * width} (in Python: the environment variable {MAX_PIXELS_VARIABLE})"
        )


def image_size(data: bytes, *, name: str, turn: bool | None = None) -> Size:
    """Size (h, w) of the image that `decode` gives, pixels; only the header is read.

    Args:
        data: Content of the file.
        name: Name of the file, for error messages.
        turn: Whether its EXIF orientation is applied; by default unless `asked` says `stored`.

    Raises:
        ImageError: The data are not an image.
    """
    if not data:
        raise ImageError(f"image {name!r} is empty (0 bytes); replace the file")
    turn = asked() != "stored" if turn is None else turn
    with _opened(data, name) as image:
        size, stored = (image.height, image.width), image.format != "TIFF"  # of TIFF Pillow gives the turned size
    return size[::-1] if turn == stored and is_turned(data, name=name) else size


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
            return _orientation(image)
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
    if data.startswith(PNG):
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


def opencv_pixels(data: bytes, *, turn: bool, reading: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """RGB pixels as OpenCV decodes them; None where it cannot.

    Args:
        data: Content of the file.
        turn: Whether its EXIF orientation is applied.
        reading: OpenCV's flag, perhaps for pixels of a smaller size.
    """
    flags = reading if turn else reading | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
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
    check_pixels(image.height, image.width, name)
    return image


def _pillow(data: bytes, name: str, turn: bool) -> np.ndarray:
    with _opened(data, name) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiff = image.format == "TIFF"
        try:
            stated = _orientation(image) if tiff else 1
            image.load()
        except Exception as error:  # as above
            raise ImageError(f"image {name!r} is truncated or damaged: {_said(error)}") from error
        if tiff:  # which Pillow has turned
            return np.ascontiguousarray(_rgb(image if turn or stated == 1 else image.transpose(_BACK[stated])))
        return np.ascontiguousarray(_rgb(ImageOps.exif_transpose(_without_xmp(image)) if turn else image))


def _orientation(image: Image.Image) -> int:
    found = _without_xmp(image).getexif().get(0x0112, 1)
    return int(found) if found in range(1, 9) else 1


def _without_xmp(image: Image.Image) -> Image.Image:
    """An image without its XMP notes, where Pillow looks for an orientation and OpenCV does not."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)
    return image


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its pixels are floats without a known range; save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))
