"""PCK by any threshold and unit of distance (`metrics.measure_names`): its counts, and the sizes of people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.errors import InputError
from poise.metrics.measure_names import PCKMeasure, pixels_of
from poise.metrics.pck import PCK
from poise.metrics.sizes import box_sides, keypoint_distances, torso_sizes
from poise.skeletons import Skeleton
from poise.structures import Labels


def correct(measure: PCKMeasure, distance: Float[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
    """Whether keypoints at these distances, in shares of the unit, are correct.

    MPII's evaluation, by the head, and pytorch-pose's, on maps, also count a keypoint at exactly the threshold.
    """
    inclusive = measure.unit in ("head", "map")
    return distance <= measure.threshold if inclusive else distance < measure.threshold


@final
@dataclass(frozen=True, eq=False)
class MeasuredPCK:
    """A PCK that was measured.

    Attributes:
        measure: Threshold and unit.
        counts: Correct and labelled keypoints.
        note: Whatever else must be known to compare it, a sentence; "" for nothing.
        published: Of a map: the mean over batches of the mean over keypoints, as the releases print it; None for other units.
    """

    measure: PCKMeasure
    counts: PCK
    note: str = ""
    published: float | None = None

    @property
    def name(self) -> str:
        """Name of the measure."""
        return self.measure.name

    @property
    def numbers(self) -> dict[str, float]:
        """The share of all labelled keypoints that are correct, and what the releases print, by name; nan without labels."""
        name = self.name
        batches = {} if self.published is None else {f"{name} as published": self.published}
        return {name: self.counts.mean, **batches}


def person_sizes(
    unit: str,
    labels: Labels,
    skeleton: Skeleton,
    *,
    heads: Float[Tensor, " n"] | None = None,
    images: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """The unit of each person, pixels; 0 for people who do not count.

    Args:
        unit: Any unit but the map, whose distances are in cells (`measure_names.check_unit`).
        labels: Labels of the people.
        skeleton: The keypoints of the labels.
        heads: Size of each head (`metrics.sizes.head_sizes`), where they are known.
        images: Longer side of the image of each person, where it is known.

    Raises:
        InputError: The labels do not tell the unit.
    """
    if unit == "head" and heads is None:
        raise InputError(
            "PCK by the head needs head boxes, which only MPII's JSON can have: give them with --heads, or measure by "
            "another unit: box, torso, image"
        )
    if "/" in unit:
        first, _, second = unit.partition("/")
        return _counted(keypoint_distances(labels, skeleton, first, second), labels)
    if (pixels := pixels_of(unit)) is not None:
        return _counted(torch.full((len(labels),), pixels, dtype=torch.float64), labels)
    makers: Mapping[str, Callable[[], Tensor | None]] = {
        "box": lambda: box_sides(labels),
        "torso": lambda: torso_sizes(labels, skeleton),
        "head": lambda: heads,
        "image": lambda: images,
    }
    size = makers[unit]() if unit in makers else None
    if size is None:
        raise InputError(f"people have no size by the {unit}")
    return _counted(size, labels)


def _counted(size: Float[Tensor, " n"], labels: Labels) -> Float[Tensor, " n"]:
    """Sizes, 0 for crowds."""
    return torch.where(labels.crowd, torch.zeros_like(size), size.double())
