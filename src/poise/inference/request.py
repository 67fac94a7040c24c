"""What inference is asked, and what it gives: images with boxes to look into, people found in them, images left out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.models.base import Image
from poise.structures import Key, Poses

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Sees every image as it is done, and is told how many there will be; for progress bars."""


@final
@dataclass(frozen=True, eq=False)
class ImageRequest:
    """An image and where to look in it.

    Attributes:
        key: Of the image.
        read: Gives the image.
        boxes: x0 y0 x1 y1, pixels; None means the whole image, which is one person to a top-down model.
        box_score: Confidence of each box; 1 by default.
    """

    key: Key
    read: Callable[[], Image]
    boxes: Float[Tensor, "n 4"] | None = None
    box_score: Float[Tensor, " n"] | None = None


@final
@dataclass(frozen=True, eq=False)
class ImagePoses:
    """The people of one image.

    Attributes:
        image: As it was read.
        poses: One for each box that was looked into; or whoever was found, where there are no boxes.
        boxes: Indices of the request's boxes the poses belong to; boxes outside the image are left out. All poses, where there
            are no boxes.
        seconds: Time it took to decode the network's outputs into poses.
        lost_boxes: How many of the request's boxes have no size or lie outside the image.
    """

    image: Image
    poses: Poses
    boxes: list[int]
    seconds: float = 0.0
    lost_boxes: int = 0


@final
@dataclass(frozen=True)
class Skipped:
    """An image that could not be used, and why."""

    key: Key
    reason: str


def none_usable(skipped: Sequence[Skipped]) -> str:
    """What to say where all images were skipped."""
    first = skipped[0].reason
    return first if len(skipped) == 1 else f"none of the {len(skipped)} images could be used; the first: {first}"
