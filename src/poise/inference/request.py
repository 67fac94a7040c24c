"""Requests and results of inference: images with boxes, poses found in them, images left out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.data.reduced import Pick
from poise.geometry import Reduction
from poise.models.values import Image
from poise.structures import Key, Poses

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps a stream of images, given their number; for progress bars."""


@final
@dataclass(frozen=True, eq=False)
class ImageRequest:
    """An image and the boxes of its people.

    Attributes:
        key: Key of the image.
        read: Reads the image, uint8 (3 H W).
        boxes: x0 y0 x1 y1, pixels; None means the whole image, which a top-down model takes as one person.
        box_score: Confidence of each box; 1 by default.
        read_reduced: Reads the image smaller where it can, and says how its pixels then lie; given what picks the factor.
    """

    key: Key
    read: Callable[[], Image]
    boxes: Float[Tensor, "n 4"] | None = None
    box_score: Float[Tensor, " n"] | None = None
    read_reduced: Callable[[Pick], tuple[Image, Reduction | None]] | None = None


@final
@dataclass(frozen=True, eq=False)
class ImagePoses:
    """The people of one image.

    Attributes:
        image: The image, uint8 (3 H W); None where pixels are not kept (`InferenceSettings.pixels`).
        poses: One per box of the request that can be used; without boxes one per person found.
        boxes: For each pose the index of its box in the request, or without boxes its own index.
        seconds: Time it took to decode the network's outputs into poses.
        lost_boxes: Number of the request's boxes that have no size or lie outside the image.
    """

    image: Image | None
    poses: Poses
    boxes: list[int]
    seconds: float = 0.0
    lost_boxes: int = 0


@final
@dataclass(frozen=True)
class Skipped:
    """An image that could not be read.

    Attributes:
        key: Key of the image.
        reason: Message of the error.
    """

    key: Key
    reason: str


def none_usable(skipped: Sequence[Skipped]) -> str:
    """Error message where all images were skipped."""
    first = skipped[0].reason
    return first if len(skipped) == 1 else f"none of the {len(skipped)} images could be used; the first: {first}"
