"""Changes of colour: gains per channel, brightness, contrast and saturation as one 3x4 matrix; steps of hue; none at all."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


def colour_matrix(strength: float, tint: tuple[float, ...]) -> Float[np.ndarray, "3 4"]:
    """A random change of colour.

    Args:
        strength: The largest relative change of brightness, contrast and saturation; of a channel's gain the half.
        tint: Chance's answers, -1 to 1: brightness, contrast, saturation, and the gain of each channel.
    """
    draws = np.array(tint) * strength
    brightness, contrast, saturation = 1 + draws[0], 1 + draws[1], 1 + draws[2]
    gains = (1 + draws[3:] / 2) * brightness * contrast
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1))
    offset = np.full((3, 1), 127.5 * brightness * (1 - contrast))
    return np.hstack((gains[:, None] * mix, offset))


def apply_colour_matrix(pixels: UInt8[np.ndarray, "h w 3"], matrix: Float[np.ndarray, "3 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Apply a colour matrix, rounding and clipping to 0..255."""
    return cv2.transform(pixels, matrix)


def greyscale(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Without colours."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def shift_hsv(pixels: UInt8[np.ndarray, "h w 3"], steps: tuple[int, int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Steps added to hue (of 180), saturation and value (of 255), each kept in its range (OffsetGuided's tint).

    Hue stops at its ends as in the release, though it is a circle: red does not become pink.
    """
    levels = np.arange(256)[:, None] + np.array(steps)
    table = np.clip(levels, 0, [179, 255, 255]).astype(np.uint8)[None]
    return cv2.cvtColor(cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), table), cv2.COLOR_HSV2RGB)
