"""Changes of colour: gains per channel, brightness, contrast and saturation as one 3x4 matrix."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


def colour_matrix(strength: float, generator: torch.Generator) -> Float[np.ndarray, "3 4"]:
    """A random change of colour; `strength` is the largest relative change of brightness, contrast, saturation and gain."""
    draws = (torch.rand(6, generator=generator).double() * 2 - 1).numpy() * strength
    brightness, contrast, saturation = 1 + draws[0], 1 + draws[1], 1 + draws[2]
    gains = (1 + draws[3:] / 2) * brightness * contrast
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1))
    offset = np.full((3, 1), 127.5 * brightness * (1 - contrast))
    return np.hstack((gains[:, None] * mix, offset))


def recolour(pixels: UInt8[np.ndarray, "h w 3"], matrix: Float[np.ndarray, "3 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Apply a colour matrix, rounding and clipping to 0..255."""
    return cv2.transform(pixels, matrix)
