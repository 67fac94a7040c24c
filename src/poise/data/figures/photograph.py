"""What a camera adds to a drawing: exposure, blur, motion, noise and the traces of a JPEG file."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.look import Look

Pixels = NDArray[np.float32]


def photographed(rng: np.random.Generator, image: NDArray[np.float32], look: Look) -> NDArray[np.uint8]:
    """The image after random exposure, contrast, tint, blur, noise and compression.

    Args:
        rng: Random numbers.
        image: RGB (H W 3), 0 to 255.
        look: How strong each of them is.
    """
    tint = rng.normal(1, look.tint, 3) * math.exp(rng.normal(0, look.exposure))
    contrast = rng.uniform(*look.contrast)
    offset = 127.5 * (1 - contrast) + rng.normal(0, 10 * look.exposure / 0.18)
    exposed = cv2.transform(image, np.column_stack((np.diag(tint * contrast), [offset] * 3))).astype(np.float32, copy=False)
    chance, low, high = look.blur
    if rng.random() < chance:
        sigma = rng.uniform(low, high)
        side = 5 if sigma <= 1.1 else 2 * math.ceil(2 * sigma) + 1
        cv2.GaussianBlur(exposed, (side, side), sigma, dst=exposed)
    if look.motion[0] and rng.random() < look.motion[0]:
        exposed = _moved(rng, exposed, rng.uniform(0.2, 1) * look.motion[1] * max(image.shape[:2]))
    strength = rng.uniform(0, look.noise[1]) if rng.random() < look.noise[0] else 0.0
    noisy = _noisy(rng, exposed, strength)
    return _compressed(rng, noisy, look) if look.jpeg[0] and rng.random() < look.jpeg[0] else noisy


def _moved(rng: np.random.Generator, image: Pixels, length: float) -> Pixels:
    """The image while the camera moves along a line of some pixels."""
    side = 2 * math.ceil(0.5 * length) + 1
    kernel = np.zeros((side, side), np.float32)
    angle = rng.normal(0, 0.5)
    reach = 0.5 * length * np.array((math.cos(angle), math.sin(angle)))
    a, b = np.round(16 * (side // 2 + np.stack((-reach, reach)))).astype(int).tolist()
    cv2.line(kernel, a, b, 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6)).astype(np.float32, copy=False)


def _noisy(rng: np.random.Generator, image: Pixels, strength: float) -> NDArray[np.uint8]:
    grain = np.frombuffer(rng.bytes(image.shape[0] * image.shape[1]), np.uint8).reshape(image.shape[:2])
    grey = cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB)
    share = strength / 74
    return cv2.addWeighted(image, 1.0, grey, share, -127.5 * share, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def _compressed(rng: np.random.Generator, image: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    quality = int(rng.integers(look.jpeg[1], 96)) if look.jpeg[1] < 96 else look.jpeg[1]
    _, packed = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    again = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert again is not None, "OpenCV reads what it has written"
    return again.astype(np.uint8, copy=False)
