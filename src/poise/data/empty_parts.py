"""The parts of photographs that show nobody: backgrounds for drawn and rendered people."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from poise.data.base import Dataset
from poise.data.images import write_image
from poise.dims import Size
from poise.geometry import box_mask
from poise.writing import short_name

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom side, pixels; the last two are outside."""

MARGIN = 4
"""Pixels around a person's box that are no background either."""

MOST = 3
"""Parts taken from an image, at most."""


def write_empty_parts(dataset: Dataset, folder: Path, *, least: int) -> int:
    """Write the parts of all images that show nobody; the number of parts comes back.

    Images in which not everybody is labelled give none.

    Args:
        dataset: Images with the boxes of people.
        folder: Folder of the parts, `INDEX_IMAGE_NUMBER.jpg`.
        least: Shorter side of a part, pixels, at least.
    """
    written = 0
    for index in range(len(dataset)):
        sample = dataset.sample_with_ignore(index)
        boxes = sample.labels.boxes
        outside = ~box_mask(boxes, sample.size)
        if sample.ignore is not None and bool(sample.ignore[outside].all()):
            continue
        for number, (left, top, right, bottom) in enumerate(empty_parts(sample.size, boxes.tolist(), least=least)):
            name = short_name(f"{index:06d}_{Path(sample.key.file_name).stem}_{number}", ending=".jpg")
            write_image(folder / name, np.ascontiguousarray(sample.image[:, top:bottom, left:right].permute(1, 2, 0).numpy()))
            written += 1
    return written


def empty_parts(size: Size, boxes: Iterable[Sequence[float]], *, least: int) -> list[Rectangle]:
    """The largest rectangles of an image that no box meets, which do not overlap, the largest first.

    Args:
        size: Size of the image (h, w), pixels.
        boxes: Boxes x0 y0 x1 y1, pixels.
        least: Shorter side of a rectangle, pixels, at least.

    >>> empty_parts((100, 200), [(90.0, 0.0, 100.0, 99.0)], least=50)
    [(105, 0, 200, 100), (0, 0, 86, 100)]
    """
    free: list[Rectangle] = [(0, 0, size[1], size[0])]
    for x0, y0, x1, y1 in boxes:
        free = _without(free, (int(x0) - MARGIN, int(y0) - MARGIN, int(x1) + MARGIN + 1, int(y1) + MARGIN + 1))
    found: list[Rectangle] = []
    while len(found) < MOST and (large := [one for one in free if min(one[2] - one[0], one[3] - one[1]) >= least]):
        found.append(max(large, key=lambda one: ((one[2] - one[0]) * (one[3] - one[1]), one)))
        free = _without(free, found[-1])
    return found


def _without(rectangles: list[Rectangle], hole: Rectangle) -> list[Rectangle]:
    """The largest rectangles inside of others that do not meet one."""
    parts = {part for one in rectangles for part in _around(one, hole)}
    return [one for one in parts if not any(one != other and _inside(one, other) for other in parts)]


def _around(one: Rectangle, hole: Rectangle) -> Iterator[Rectangle]:
    left, top, right, bottom = one
    if hole[0] >= right or hole[2] <= left or hole[1] >= bottom or hole[3] <= top:
        yield one
        return
    sides = (
        (left, top, hole[0], bottom),
        (hole[2], top, right, bottom),
        (left, top, right, hole[1]),
        (left, hole[3], right, bottom),
    )
    yield from (side for side in sides if side[0] < side[2] and side[1] < side[3])


def _inside(one: Rectangle, other: Rectangle) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]
