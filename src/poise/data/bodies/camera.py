"""Cameras at all heights, from close-ups to whole bodies."""

from dataclasses import dataclass
from typing import final

import numpy as np

from poise.data.bodies.kernels import Floats
from poise.dims import Size


@final
@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        rotation: Rows are the image's right, down and forward, in the axes of the world (3 3).
        position: Where the camera is (3), metres.
        focal: Focal length, pixels.
        centre: Where the axis meets the image (x, y), pixels.
    """

    rotation: Floats
    position: Floats
    focal: float
    centre: tuple[float, float]

    def project(self, points: Floats) -> Floats:
        """Places in the image (n 3) of points (n 3): x and y in pixels, and depth in metres."""
        at = (points - self.position) @ self.rotation.T
        depth = np.where(np.abs(at[:, 2:]) < 1e-6, 1e-6, at[:, 2:])
        return np.concatenate((self.focal * at[:, :2] / depth + np.array(self.centre, np.float32), at[:, 2:]), axis=1)

    def enlarged(self, times: int) -> "Camera":
        """The same camera with `times` as many pixels each way."""
        x, y = ((times * (value + 0.5) - 0.5) for value in self.centre)
        return Camera(self.rotation, self.position, times * self.focal, (x, y))

    def mirrored(self, size: Size) -> "Camera":
        """The camera that sees the mirrored world (x negated) as the mirrored image.

        Args:
            size: Size of the image (h, w), pixels.
        """
        flip: Floats = np.array(((-1, 0, 0), (0, 1, 0), (0, 0, 1)), np.float32)
        turned = (flip @ self.rotation @ flip).astype(np.float32)
        return Camera(turned, self.position * flip.diagonal(), self.focal, (size[1] - 1 - self.centre[0], self.centre[1]))


def random_camera(rng: np.random.Generator, size: Size, *, target: Floats, span: float) -> Camera:
    """A camera that looks at a point.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        target: The point (3), metres.
        span: How much of the world the shorter side of the image shows at the point, metres.
    """
    wide = np.radians(rng.uniform(22, 75))
    focal = 0.5 * min(size) / np.tan(0.5 * wide)
    far = span / (2 * np.tan(0.5 * wide))
    pitch = np.radians(rng.normal(8, 11) if rng.random() < 0.8 else rng.uniform(-30, 75))
    turn, roll = rng.uniform(-np.pi, np.pi), np.radians(rng.normal(0, 4 if rng.random() < 0.8 else 20))
    forward = np.array((np.cos(turn) * np.cos(pitch), np.sin(turn) * np.cos(pitch), -np.sin(pitch)))
    right = np.array((np.sin(turn), -np.cos(turn), 0.0))
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.stack((c * right + s * down, -s * right + c * down, forward)).astype(np.float32)
    position = (target - far * forward).astype(np.float32)
    return Camera(rotation, position, float(focal), (0.5 * (size[1] - 1), 0.5 * (size[0] - 1)))
