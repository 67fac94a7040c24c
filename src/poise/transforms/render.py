"""The one resampling of a view, by the product of all warps, and the normalisation of its colours."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from poise.dims import Size
from poise.geometry import Warp
from poise.structures import Normalization, Preprocess


def resample(
    image: UInt8[Tensor, "3 H W"],
    warp: Warp,
    size: Size,
    *,
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0),
    interpolation: int = cv2.INTER_LINEAR,
) -> UInt8[np.ndarray, "h w 3"]:
    """The view that a warp cuts out of an image, bilinear; pixels outside the image get the fill colour.

    Args:
        image: RGB.
        warp: 3x3, image pixels to view pixels.
        size: Size of the view (h, w).
        fill: RGB colour outside the image, 0..255.
        interpolation: Another of OpenCV's interpolations, for releases that use one.
    """
    pixels = image.permute(1, 2, 0).numpy()
    return cv2.warpAffine(pixels, warp[:2].numpy(), (size[1], size[0]), flags=interpolation, borderValue=fill)


def normalise(pixels: UInt8[np.ndarray, "h w 3"], colours: Normalization) -> Float[Tensor, "3 h w"]:
    """RGB pixels as the network reads them: (value / 255 - mean) / std, in the channel order of `colours`.

    They are stretched before (`stretched`) where `colours` says so. The memory stays channels last.
    """
    pixels = stretched(pixels) if isinstance(colours, Preprocess) and colours.stretch else pixels
    ordered = pixels if colours.channels == "rgb" else pixels[..., ::-1]
    floats = cv2.LUT(np.ascontiguousarray(ordered), _table(colours.mean, colours.std))
    return torch.from_numpy(floats).permute(2, 0, 1)


def stretched(pixels: Shaped[np.ndarray, "h w _"]) -> UInt8[np.ndarray, "h w _"]:
    """Values stretched so that the smallest becomes 0 and the largest 255, rounded; all 0 where they are equal (golden t04).

    Args:
        pixels: Numbers of any range.
    """
    low = float(pixels.min())
    span = float(pixels.max()) - low
    scaled = (pixels.astype(np.float64) - low) * (255 / (span or 1.0))
    whole: UInt8[np.ndarray, "h w _"] = np.floor(scaled.clip(0, 255) + 0.5).astype(np.uint8)
    return whole


def denormalise(view: Float[Tensor, "3 h w"], colours: Normalization) -> UInt8[Tensor, "3 h w"]:
    """A normalised view as RGB pixels again, for looking at."""
    mean, std = (torch.tensor(v, device=view.device)[:, None, None] for v in (colours.mean, colours.std))
    pixels = ((view * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels if colours.channels == "rgb" else pixels.flip(0)


def render(image: UInt8[Tensor, "3 H W"], warp: Warp, *, size: Size, preprocess: Preprocess) -> Float[Tensor, "3 h w"]:
    """The normalised view that a warp cuts out of an image.

    Args:
        image: RGB.
        warp: 3x3, image pixels to view pixels, for pixels.
        size: Size of the view (h, w).
        preprocess: Fill colour, channel order, mean and deviation.
    """
    return normalise(resample(image, warp, size, fill=preprocess.fill), preprocess)


def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> Float[np.ndarray, "1 256 3"]:
    levels = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    table = (levels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.asarray(table, np.float32)[None]
