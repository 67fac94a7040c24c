"""Noise, blur and contrast, for networks that learn from rendered images and are used on photographs.

The augmentation of Learning from Synthetic Animals (arXiv 1912.08265), whose settings are the defaults. The random choices
(`Paint.draw`) are drawn apart from where they are applied (`PaintDraw.apply`).
"""

from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from poise.dims import Size
from poise.errors import InputError

_GREY = 128.0


@final
@dataclass(frozen=True, eq=False)
class PaintDraw:
    """The random choices for one view; None for a change that is left out.

    Attributes:
        noise: Added to the pixels.
        blur: Deviation of the Gaussian blur, pixels of the view.
        contrast: Factor on each channel's distance from grey.
        order: Order of the changes: 0 noise, 1 blur, 2 contrast.
    """

    noise: Float[np.ndarray, "h w 3"] | None
    blur: float | None
    contrast: tuple[float, float, float] | None
    order: tuple[int, ...]

    def apply(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """RGB pixels after the changes; rounded and clipped to 0..255 after each."""
        layers = (self._noisy, self._blurred, self._contrasted)
        for number in self.order:
            pixels = layers[number](pixels)
        return pixels

    def _noisy(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return pixels if self.noise is None else _image(pixels + self.noise)

    def _blurred(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return pixels if self.blur is None else cv2.GaussianBlur(pixels, (0, 0), self.blur)

    def _contrasted(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return pixels if self.contrast is None else _image((pixels - _GREY) * np.array(self.contrast) + _GREY)


@final
@dataclass(frozen=True, kw_only=True)
class Paint:
    """How much noise, blur and contrast views get.

    Attributes:
        probability: Probability of each of the three.
        noise: Deviation of the noise, a share of 255.
        blur: Smallest and largest deviation of the Gaussian blur, pixels of the view.
        contrast: Smallest and largest factor on the distance from grey.
        per_channel: Probability that every channel gets noise, or a contrast, of its own.

    Raises:
        InputError: A probability outside 0..1, a negative amount, or an empty range.
    """

    probability: float = 0.5
    noise: float = 0.5
    blur: tuple[float, float] = (1.0, 5.0)
    contrast: tuple[float, float] = (0.5, 2.0)
    per_channel: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("probability", "per_channel"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"paint: {name} is a probability, 0 to 1, not {getattr(self, name)}")
        for name in ("blur", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(f"paint: {name} goes from a number above 0 to one not smaller, not {(low, high)}")
        if self.noise < 0:
            raise InputError(f"paint: noise is a share, 0 or more, not {self.noise}")

    def draw(self, size: Size, generator: torch.Generator) -> PaintDraw:
        """The random choices for one view of `size` (h, w)."""
        noisy, blurred, contrasted = (torch.rand(3, generator=generator) < self.probability).tolist()
        apart = (torch.rand(2, generator=generator) < self.per_channel).tolist()
        sigma, *factors = torch.rand(4, generator=generator).tolist()
        order = tuple(torch.randperm(3, generator=generator).tolist())
        low, high = self.contrast
        first, second, third = (low + (high - low) * f for f in (factors if apart[1] else factors[:1] * 3))
        return PaintDraw(
            noise=self._noise(size, generator, channels=3 if apart[0] else 1) if noisy else None,
            blur=self.blur[0] + (self.blur[1] - self.blur[0]) * sigma if blurred else None,
            contrast=(first, second, third) if contrasted else None,
            order=order,
        )

    def _noise(self, size: Size, generator: torch.Generator, *, channels: int) -> Float[np.ndarray, "h w 3"]:
        drawn = torch.randn(*size, channels, generator=generator) * (self.noise * 255)
        return drawn.expand(*size, 3).numpy()


def _image(values: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    image: UInt8[np.ndarray, "h w 3"] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return image
