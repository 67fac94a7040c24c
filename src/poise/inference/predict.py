"""Keypoints on one image."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from poise.data.boxes import check_boxes
from poise.data.images import read_image
from poise.errors import BoxError, InputError
from poise.inference.find import find
from poise.inference.top_down import Request, Setting
from poise.models.kinds import Model
from poise.structures import Key, Poses

Picture = str | os.PathLike[str] | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]
"""An image: its file, or its RGB pixels (height, width, 3), uint8."""

Rectangles = Sequence[Any] | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]
"""Boxes x0 y0 x1 y1, one in a row: a list, an array or a tensor."""


def predict(
    model: Model,
    image: Picture,
    *,
    boxes: Rectangles | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> Poses:
    """Find the keypoints of the people in an image.

    Example:
        >>> poses = poise.predict(model, "photo.jpg", boxes=[[10, 20, 110, 220]])  # doctest: +SKIP
        >>> poses.xy.shape  # people, keypoints, (x, y)  # doctest: +SKIP
        torch.Size([1, 17, 2])

    Args:
        model: As `poise.load` or `poise.zoo.build` gives it. It is moved to `device`, and left there.
        image: A file, or RGB pixels (height, width, 3), uint8.
        boxes: Of the people, x0 y0 x1 y1 in pixels, one in a row; they may reach over the edge. Without boxes the whole image
            is one person; with an empty list there is nobody. A model that looks at whole images takes none.
        flip: Whether to average with the mirrored view; by default as the model's release does.
        batch: People, or whole images, at a time; a single image is never more than one of the latter.
        device: "cpu", "cuda", ...; by default where there is a GPU that, else the CPU.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.

    Returns:
        One pose for each box, in its order, in pixels of the image; never clipped to it. From a model that looks at whole
        images one for each person found, the best first, with a box around the keypoints found; the others have score 0 and
        stand at 0, 0.

    Raises:
        ImageError: The file is missing or cannot be decoded.
        InputError: The pixels have another type or shape, or boxes are given to a model that looks at whole images.
        BoxError: A box is not finite, has no size, or lies outside the image; or they are not rows of four numbers.
        UnknownName: No such device or precision.
    """
    pixels = as_image(image)
    size = (pixels.shape[1], pixels.shape[2])
    where = None if boxes is None else as_boxes(boxes)
    if where is not None:
        check_boxes(where, size)
    setting = Setting.of(model, device=device, precision=precision, flip=flip, batch=batch, workers=0)
    name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
    request = Request(Key(name), partial(_same, pixels), where)
    return next(find(model, [request], setting)).poses


def as_image(image: Picture) -> UInt8[Tensor, "3 H W"]:
    """An image as the house holds it.

    Raises:
        ImageError: The file is missing or cannot be decoded.
        InputError: The pixels have another type or shape.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(os.fspath(image))
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.dtype != np.uint8:
        raise InputError(f"an image has whole values 0..255 (uint8), found {pixels.dtype}; scale it and use .astype('uint8')")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        hint = "; move the channels to the end" if pixels.ndim == 3 and pixels.shape[0] == 3 else ""
        raise InputError(f"an image has the shape (height, width, 3), RGB, found {pixels.shape}{hint}")
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)


def as_boxes(boxes: Rectangles) -> Float[Tensor, "n 4"]:
    """Boxes as the house holds them.

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


def _same(image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
    return image
