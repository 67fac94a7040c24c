"""Colour jitter as one 3x4 matrix (gains, brightness, contrast, saturation), steps of hue, saturation and value, greyscale."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


def colour_matrix(strength: float, tint: tuple[float, ...]) -> Float[np.ndarray, "3 4"]:
    """The 3x4 matrix of a colour jitter, for RGB values of 0..255.

    Args:
        strength: Largest relative change of brightness, contrast and saturation; half of it is the largest change of a gain.
        tint: Six random numbers of -1..1: for brightness, contrast, saturation, and the gains of red, green and blue.
    """
    draws = np.array(tint) * strength
    brightness, contrast, saturation = 1 + draws[0], 1 + draws[1], 1 + draws[2]
    gains = (1 + draws[3:] / 2) * brightness * contrast
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1))
    offset = np.full((3, 1), 127.5 * brightness * (1 - contrast))
    return np.hstack((gains[:, None] * mix, offset))


def apply_colour_matrix(pixels: UInt8[np.ndarray, "h w 3"], matrix: Float[np.ndarray, "3 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels multiplied by a 3x4 colour matrix, rounded and clipped to 0..255."""
    return cv2.transform(pixels, matrix)


def greyscale(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels without colour: three equal channels."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def shift_hsv(
    pixels: UInt8[np.ndarray, "h w 3"], steps: tuple[int, int, int], *, circular: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels with steps added to hue, saturation and value, each clipped to its range (OffsetGuided's tint).

    Hue is clipped as in that release, though it is circular: a red pixel is not shifted past 0.

    Args:
        pixels: RGB.
        steps: Added to hue (0..180), saturation and value (0..255).
        circular: Whether hue goes round (YOLOX).
    """
    levels = np.arange(256)[:, None] + np.array(steps)
    if circular:
        levels[:, 0] %= 180
    table = np.clip(levels, 0, [179, 255, 255]).astype(np.uint8)[None]
    return cv2.cvtColor(cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), table), cv2.COLOR_HSV2RGB)
