"""What a camera adds to a drawing: exposure, blur, motion, noise and the traces of a JPEG file."""

import math
from dataclasses import dataclass
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.look import Look
from poise.dims import Size

Pixels = NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Shot:
    """What a camera does to every image of one sequence.

    Attributes:
        channels: Factors on red, green and blue, and what is added to them (3 4).
        blur: Standard deviation of the blur of the lens, pixels; 0 for none.
        motion: Kernel of the motion blur; None for none.
        noise: Standard deviation of the noise, 0 to 255.
        jpeg: Quality of the JPEG file, 1 to 100; None for none.
    """

    channels: NDArray[np.float64]
    blur: float
    motion: NDArray[np.float32] | None
    noise: float
    jpeg: int | None

    @classmethod
    def random(cls, rng: np.random.Generator, look: Look, size: Size) -> "Shot":
        """A random exposure of a look.

        Args:
            rng: Random numbers.
            look: How strong each of its parts is.
            size: Size of the image (h, w), pixels.
        """
        tint = rng.normal(1, look.tint, 3) * math.exp(rng.normal(0, look.exposure))
        contrast = rng.uniform(*look.contrast)
        offset = 127.5 * (1 - contrast) + rng.normal(0, 10 * look.exposure / 0.18)
        chance, low, high = look.blur
        blur = rng.uniform(low, high) if rng.random() < chance else 0.0
        moves = look.motion[0] and rng.random() < look.motion[0]
        motion = _line(rng, rng.uniform(0.2, 1) * look.motion[1] * max(size)) if moves else None
        noise = rng.uniform(0, look.noise[1]) if rng.random() < look.noise[0] else 0.0
        packed = look.jpeg[0] and rng.random() < look.jpeg[0]
        quality = int(rng.integers(look.jpeg[1], max(96, look.jpeg[1] + 1))) if packed else None
        return cls(np.column_stack((np.diag(tint * contrast), [offset] * 3)), float(blur), motion, float(noise), quality)

    def taken(self, rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The image that the camera takes.

        Args:
            rng: Random numbers of the noise.
            image: RGB (H W 3), 0 to 255.
        """
        exposed = cv2.transform(image, self.channels).astype(np.float32, copy=False)
        if self.blur:
            side = 5 if self.blur <= 1.1 else 2 * math.ceil(2 * self.blur) + 1
            cv2.GaussianBlur(exposed, (side, side), self.blur, dst=exposed)
        if self.motion is not None:
            exposed = cv2.filter2D(exposed, -1, self.motion).astype(np.float32, copy=False)
        noisy = _noisy(rng, exposed, self.noise)
        return noisy if self.jpeg is None else _compressed(noisy, self.jpeg)


def _line(rng: np.random.Generator, length: float) -> NDArray[np.float32]:
    """The kernel of a camera that moves along a line of some pixels."""
    side = 2 * math.ceil(0.5 * length) + 1
    kernel = np.zeros((side, side), np.float32)
    angle = rng.normal(0, 0.5)
    reach = 0.5 * length * np.array((math.cos(angle), math.sin(angle)))
    a, b = np.round(16 * (side // 2 + np.stack((-reach, reach)))).astype(int).tolist()
    cv2.line(kernel, a, b, 1.0, 1, cv2.LINE_AA, 4)
    kernel /= max(float(kernel.sum()), 1e-6)
    return kernel


def _noisy(rng: np.random.Generator, image: Pixels, strength: float) -> NDArray[np.uint8]:
    grain = np.frombuffer(rng.bytes(image.shape[0] * image.shape[1]), np.uint8).reshape(image.shape[:2])
    grey = cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB)
    share = strength / 74
    return cv2.addWeighted(image, 1.0, grey, share, -127.5 * share, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, packed = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    again = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert again is not None, "OpenCV reads what it has written"
    return again.astype(np.uint8, copy=False)
