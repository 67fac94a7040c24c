"""Statistics of a data set: people, boxes, keypoints, and the colour channels of its images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.label_ops import trainable
from poise.errors import ImageError, InputError
from poise.geometry import box_area


@final
@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Counts over all labels of a data set.

    Attributes:
        images: Number of images.
        empty: Number of images without annotations.
        annotations: Number of annotations.
        crowds: Number of annotations that stand for a group.
        people: Number of people that can be trained on (`Dataset.people`).
        per_image: Largest number of annotations in an image.
        visible: For each keypoint, how often it is not labelled, hidden and visible, among annotations with any labelled
            keypoint.
        box_height: Percentiles 5, 25, 50, 75, 95 of the heights of people's boxes, pixels.
        box_width: Percentiles 5, 25, 50, 75, 95 of the widths of people's boxes, pixels.
        area_share: Mean of the annotated area divided by the area of the box, over people.
    """

    images: int
    empty: int
    annotations: int
    crowds: int
    people: int
    per_image: int
    visible: tuple[tuple[int, int, int], ...]
    box_height: tuple[float, ...]
    box_width: tuple[float, ...]
    area_share: float


PERCENTILES = (5, 25, 50, 75, 95)
"""Percentiles of box sizes."""


def label_statistics(dataset: Dataset) -> LabelStatistics:
    """Statistics of the labels of a data set; images are not read."""
    labels, counts = dataset.all_labels, dataset.label_counts
    good = labels.select(trainable(labels))
    known = labels.visible[(labels.visible > 0).any(dim=1)]
    sides = good.boxes[:, 2:] - good.boxes[:, :2]
    return LabelStatistics(
        images=len(counts),
        empty=int((counts == 0).sum()),
        annotations=len(labels),
        crowds=int(labels.crowd.sum()),
        people=len(good),
        per_image=int(counts.max()) if len(counts) else 0,
        visible=tuple(_counted(known[:, k]) for k in range(len(dataset.skeleton))),
        box_height=_percentiles(sides[:, 1]),
        box_width=_percentiles(sides[:, 0]),
        area_share=float((good.area / box_area(good.boxes)).mean()) if len(good) else 0.0,
    )


def _counted(states: Tensor) -> tuple[int, int, int]:
    none, hidden, seen = (int((states == v).sum()) for v in (0, 1, 2))
    return none, hidden, seen


def _percentiles(values: Float[Tensor, " n"]) -> tuple[float, ...]:
    return tuple(np.percentile(values.numpy(), PERCENTILES).tolist()) if len(values) else ()


@final
@dataclass(frozen=True)
class ChannelStatistics:
    """Statistics of the colour channels of images.

    Attributes:
        mean: Mean of red, green and blue over all pixels, 0 to 1.
        std: Standard deviation of red, green and blue over all pixels, 0 to 1.
        sizes: Size of each image (h, w), pixels.
        unreadable: Error message of each image that cannot be read.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    sizes: tuple[tuple[int, int], ...]
    unreadable: tuple[str, ...]


def channel_statistics(dataset: Dataset, indices: Iterable[int]) -> ChannelStatistics:
    """Mean and standard deviation of the colour channels over all pixels of some images. Unreadable images are left out.

    Args:
        dataset: The data set.
        indices: Indices of the images.

    Raises:
        InputError: No image can be read.
    """
    total, squares, pixels = np.zeros(3), np.zeros(3), 0
    sizes, unreadable = [], []
    for index in indices:
        try:
            image = dataset.image(index)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        counts = _histograms(image)
        values = np.arange(256) / 255
        total += counts @ values
        squares += counts @ values**2
        pixels += image.shape[1] * image.shape[2]
        sizes.append((image.shape[1], image.shape[2]))
    if not pixels:
        raise InputError(
            f"no image could be read for mean and deviation; {unreadable[0] if unreadable else 'no image was chosen'}"
        )
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return ChannelStatistics(_three(mean), _three(std), tuple(sizes), tuple(unreadable))


def _histograms(image: UInt8[Tensor, "3 H W"]) -> np.ndarray:
    return np.stack([np.bincount(channel.reshape(-1).numpy(), minlength=256) for channel in image.contiguous()])


def _three(values: np.ndarray) -> tuple[float, float, float]:
    r, g, b = values.tolist()
    return r, g, b
