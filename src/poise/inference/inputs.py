"""Conversion of user input: images as files or arrays, boxes as lists, arrays or tensors."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL.Image import Image as PillowImage
from torch import Tensor

from poise.data.images import decode, read_image
from poise.errors import BoxError, InputError

ImageLike = str | os.PathLike[str] | bytes | bytearray | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."] | PillowImage
"""An image: its file or the content of one, its RGB pixels (height, width, 3), uint8, or an image of Pillow.

OpenCV reads BGR: give `image[..., ::-1]`. Of a file the EXIF orientation is applied, of an image of Pillow it is not.
"""

BoxesLike = Sequence[Any] | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]
"""Boxes x0 y0 x1 y1, one per row: a list, an array or a tensor."""


def is_image(value: object) -> bool:
    """Whether something is one image, and no collection of images."""
    return isinstance(value, str | os.PathLike | bytes | bytearray | np.ndarray | Tensor | PillowImage)


def as_image(image: ImageLike) -> UInt8[Tensor, "3 H W"]:
    """An image as a tensor, RGB, uint8.

    Raises:
        ImageError: The file is missing or cannot be decoded.
        InputError: The pixels have another type or shape.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(os.fspath(image))
    if isinstance(image, bytes | bytearray):
        return decode(bytes(image), name="(bytes)")
    if isinstance(image, PillowImage):
        image = np.asarray(image.convert("RGB"))
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.dtype != np.uint8:
        raise InputError(f"an image has whole values 0..255 (uint8), found {pixels.dtype}; scale it and use .astype('uint8')")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InputError(f"an image has the shape (height, width, 3), RGB, found {pixels.shape}{_shape_hint(pixels)}")
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)


def _shape_hint(pixels: np.ndarray) -> str:
    """How pixels of another shape become those of an image."""
    if pixels.ndim == 2:
        return "; repeat the grey: np.stack([image] * 3, axis=-1)"
    if pixels.ndim == 4:
        return "; give a list of images for several"
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return "; leave out alpha: image[..., :3]"
    return "; move the channels to the end" if pixels.ndim == 3 and pixels.shape[0] == 3 else ""


def as_boxes(boxes: BoxesLike) -> Float[Tensor, "n 4"]:
    """Boxes as a float32 tensor on the CPU.

    Raises:
        BoxError: They are not rows of four numbers.
    """
    try:
        rows = torch.as_tensor(boxes, device="cpu").to(torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BoxError(f"boxes are rows of four numbers x0 y0 x1 y1, found {boxes!r:.80} ({error})") from None
    if rows.numel() == 0:
        return torch.zeros(0, 4)
    if rows.ndim != 2 or rows.shape[1] != 4:
        hint = "; put a single box into a list" if rows.shape == (4,) else ""
        raise BoxError(f"boxes are rows of four numbers x0 y0 x1 y1, found the shape {tuple(rows.shape)}{hint}")
    return rows
