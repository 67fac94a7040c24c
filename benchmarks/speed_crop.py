"""Cutting a view of 256x192 out of an image of 640x480, and normalising it.

The reading is HRNet's rule with NumPy and OpenCV: centre and scale of the box, three points for the affine map, one
`warpAffine`, then / 255, mean, deviation, and channels first. Public figure: the official code on one core of a Xeon.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from row import Row

from poise.skeletons import COCO17
from poise.structures import Preprocess
from poise.transforms.person_crop import PersonCrop

SIZE, PUBLIC = (256, 192), 0.564
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
STD = np.array((0.229, 0.224, 0.225), np.float32)
Array = NDArray[Any]


def rows() -> Iterator[Row]:
    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    for rule in ("hrnet", "unbiased"):
        person_crop = PersonCrop(SIZE, Preprocess(crop=rule), COCO17)
        yield crop(f"crop + normalise, {rule}", person_crop, tensor, image, same=rule == "hrnet")


def crop(name: str, person_crop: PersonCrop, tensor: torch.Tensor, image: Array, *, same: bool) -> Row:
    box = (100.0, 50.0, 300.0, 400.0)
    corners = torch.tensor(box)
    ours, theirs = person_crop.crop_box(tensor, corners)[0].numpy(), hrnet(image, box)
    assert ours.shape == theirs.shape
    assert not same or np.abs(ours - theirs).mean() < 0.01, np.abs(ours - theirs).mean()
    return Row(name, lambda: person_crop.crop_box(tensor, corners), lambda: hrnet(image, box), PUBLIC, 1.0, 400)


def hrnet(image: Array, box: tuple[float, float, float, float], padding: float = 1.25) -> Array:
    x0, y0, x1, y1 = box
    h, w = SIZE
    width = padding * max(x1 - x0, (y1 - y0) * w / h)
    centre = np.array(((x0 + x1) / 2, (y0 + y1) / 2), np.float32)
    middle = np.array((w / 2, h / 2), np.float32)
    offsets = np.array(((0, 0), (0, -0.5), (-0.5, -0.5)), np.float32)
    warp = cv2.getAffineTransform(centre + np.float32(width) * offsets, middle + np.float32(w) * offsets)
    view = cv2.warpAffine(image, warp, (w, h), flags=cv2.INTER_LINEAR)
    normal: Array = (view.astype(np.float32) / np.float32(255) - MEAN) / STD
    return np.ascontiguousarray(normal.transpose(2, 0, 1))
