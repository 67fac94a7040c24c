"""What people look like, as a vector: a histogram of the colours along their limbs, or inside their box."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.structures import Poses

BINS = (12, 4, 4)
"""Bins of hue, saturation and value."""

MIDDLE = 0.6
"""Part of the box, around its middle, that is looked at: little background."""

LIMB = 0.05
"""Width of the band along a bone, by the longer side of the body: little background."""

SURE = 0.2
"""Keypoint score from which a bone is looked at."""

LEAST = 0.2
"""Share of somebody's bands that nobody else's may cover, or nothing is said of the looks."""

FEW = 10
"""Pixels, too, that must be left."""

Line = tuple[tuple[int, int], tuple[int, int]]


def body_colours(image: UInt8[Tensor, "3 H W"], poses: Poses) -> Float[Tensor, "n d"]:
    """A histogram of the colours along each person's bones, of length 1; zeros where nothing is known.

    Pixels where bands of two people meet count for neither: it is not known who stands in front.

    Args:
        image: RGB.
        poses: The people; without a skeleton that has bones their boxes are looked at (`colour_histograms`).
    """
    skeleton = poses.skeleton
    if skeleton is None or not skeleton.bones:
        return colour_histograms(image, poses.boxes)
    bones = [(skeleton.keypoints.index(a), skeleton.keypoints.index(b)) for a, b in skeleton.bones]
    bodies = [_bands(xy, score, bones) for xy, score in zip(poses.xy.numpy(), poses.score.numpy(), strict=True)]
    found = torch.zeros(len(poses), int(np.prod(BINS)))
    for row, (lines, width) in enumerate(bodies):
        if not lines:
            continue
        ends = np.array(lines).reshape(-1, 2)
        x0, y0 = np.maximum(ends.min(axis=0) - width, 0).tolist()
        x1, y1 = np.maximum(ends.max(axis=0) + width + 1, 0).tolist()
        part = image[:, y0:y1, x0:x1].permute(1, 2, 0).numpy()
        if not part.size:
            continue
        own, others = np.zeros(part.shape[:2], np.uint8), np.zeros(part.shape[:2], np.uint8)
        _draw(own, lines, width, corner=(x0, y0))
        for other, (more, wide) in enumerate(bodies):
            if other != row:
                _draw(others, more, wide, corner=(x0, y0))
        alone = own & ~others
        if alone.sum() >= max(LEAST * own.sum(), FEW):
            found[row] = _histogram(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2HSV), alone)
    return found


def _bands(
    xy: Float[np.ndarray, "k 2"], score: Float[np.ndarray, " k"], bones: Sequence[tuple[int, int]]
) -> tuple[list[Line], int]:
    """The bones of somebody as lines, pixels, and their width."""
    known = (score >= SURE) & np.isfinite(xy).all(axis=1) & (np.abs(xy) < 2**15).all(axis=1)
    if not known.any():
        return [], 1
    places = [(int(x), int(y)) if good else (0, 0) for (x, y), good in zip(xy, known, strict=True)]
    size = float(np.ptp(xy[known], axis=0).max())
    return [(places[a], places[b]) for a, b in bones if known[a] and known[b]], max(1, round(LIMB * size))


def _draw(mask: UInt8[np.ndarray, "h w"], lines: Sequence[Line], width: int, *, corner: tuple[int, int]) -> None:
    for (ax, ay), (bx, by) in lines:
        cv2.line(mask, (ax - corner[0], ay - corner[1]), (bx - corner[0], by - corner[1]), 1, width)


def _histogram(hsv: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"] | None) -> Float[Tensor, " d"]:
    """The square roots of the shares of the colours, a vector of length 1."""
    counts = cv2.calcHist([hsv], [0, 1, 2], mask, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
    return torch.from_numpy(np.sqrt(counts / counts.sum()))


def colour_histograms(image: UInt8[Tensor, "3 H W"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n d"]:
    """A histogram of the colours of each person, of length 1; zeros where the box lies outside the image.

    Args:
        image: RGB.
        boxes: x0 y0 x1 y1, pixels.
    """
    pixels = cv2.cvtColor(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2HSV)
    found = torch.zeros(len(boxes), int(np.prod(BINS)))
    for row, box in enumerate(boxes.tolist()):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        half = (MIDDLE * (box[2] - box[0]) / 2, MIDDLE * (box[3] - box[1]) / 2)
        x0, x1, y0, y1 = (round(max(v, 0.0)) for v in (x - half[0], x + half[0] + 1, y - half[1], y + half[1] + 1))
        part = pixels[y0:y1, x0:x1]
        if part.size:
            found[row] = _histogram(part, None)
    return found
