"""Aligned crops (BlazePose, arXiv 2006.10204): views of the circle that holds a body, turned so that it stands upright."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

from jaxtyping import Bool, Float
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.skeletons.alignment import CENTRE, CIRCLE, BodyAxis, alignment_points, box_points
from poise.structures import Labels, Points, Preprocess
from poise.transforms.crop import Frame, aspect_ratio, box_frame, grow_to_aspect


@final
@dataclass(frozen=True)
class AlignedPreprocess(Preprocess):
    """How aligned crops are made; `padding` is the factor on the circle.

    Attributes:
        rotate: Whether the view is turned so that the line from mid-hip to mid-shoulder stands upright.
        passes: 2 finds the alignment in an upright view of the box first, and reads the pose in the aligned view; 1 reads the
            pose in the first view.
        axis_centre: Names of the keypoints whose mean is the centre of the circle.
        axis_top: Names of the keypoints whose mean lies above it when the body is upright.
        min_alignment_score: Predicted keypoints with a higher score make the alignment.

    Raises:
        InputError: A number of passes other than 1 or 2, or a score that is none; or as `Preprocess`.
    """

    padding: float = 1.25
    rotate: bool = True
    passes: int = 2
    axis_centre: tuple[str, ...] = BodyAxis.centre
    axis_top: tuple[str, ...] = BodyAxis.top
    min_alignment_score: float = 0.2

    def __post_init__(self) -> None:
        """Check passes and score."""
        super().__post_init__()
        if self.passes not in (1, 2):
            raise InputError(f"preprocessing: aligned crops take 1 or 2 passes, found {self.passes}")
        if not math.isfinite(self.min_alignment_score):
            raise InputError(f"preprocessing: `min_alignment_score` must be a number, found {self.min_alignment_score}")

    @cached_property
    def axis(self) -> BodyAxis:
        """The keypoints that make centre and direction."""
        return BodyAxis(tuple(self.axis_centre), tuple(self.axis_top))


def circle_frame(preprocess: AlignedPreprocess, points: Float[Tensor, "2 2"], *, size: Size) -> Frame:
    """The frame of a circle.

    Args:
        preprocess: Factor on the circle, and whether the frame is turned.
        points: Centre of the circle and the point on it (x, y), pixels of the image; they differ.
        size: Size of the view (h, w).
    """
    (x, y), (x1, y1) = points.double().tolist()
    side = 2 * math.hypot(x1 - x, y1 - y) * preprocess.padding
    extent = grow_to_aspect((side, side), aspect_ratio(preprocess.crop, size))
    angle = math.degrees(math.atan2(x1 - x, y - y1)) if preprocess.rotate else 0.0
    return Frame((x, y), extent, angle)


def person_frame(preprocess: Preprocess, labels: Labels, skeleton: Skeleton, *, size: Size) -> Frame:
    """The frame of a labelled person: of the box, or of the circle where crops are aligned.

    People without labelled keypoints of the axis get the upright frame around the circle of their box.

    Args:
        preprocess: How crops are made.
        labels: Labels of one person.
        skeleton: Skeleton of the labels.
        size: Size of the view (h, w).

    Raises:
        BoxError: The box has no extent.
        SkeletonMismatch: Crops are aligned, and the skeleton lacks a keypoint of the axis.
    """
    box = labels.boxes[0]
    if not isinstance(preprocess, AlignedPreprocess):
        return box_frame(preprocess, box, size=size)
    points, usable = alignment_points(labels.xy, labels.visible, skeleton, preprocess.axis)
    return circle_frame(preprocess, points[0], size=size) if bool(usable[0]) else first_frame(preprocess, box, size=size)


def first_frame(preprocess: AlignedPreprocess, box: Float[Tensor, "4"], *, size: Size) -> Frame:
    """The upright frame in which the alignment of a box is looked for.

    Raises:
        BoxError: The box has no extent.
    """
    box_frame(preprocess, box, size=size)  # refuses what is no box
    return circle_frame(preprocess, box_points(box[None])[0], size=size)


def predicted_alignment(
    preprocess: AlignedPreprocess, found: Points, skeleton: Skeleton
) -> tuple[Float[Tensor, "n 2 2"], Bool[Tensor, " n"]]:
    """The alignment that predicted keypoints tell: the alignment keypoints if the model has them, else those of the body.

    Args:
        preprocess: Keypoints of the axis, and the score that they need.
        found: Predicted keypoints of n people.
        skeleton: Skeleton of the model.

    Returns:
        The two points of each person, in the pixels of `found`, and whether the scores suffice.
    """
    sure = found.score > preprocess.min_alignment_score
    if {CENTRE, CIRCLE} <= set(skeleton.keypoints):
        pair = [skeleton.index(CENTRE), skeleton.index(CIRCLE)]
        points = found.xy[:, pair]
        apart = (points[:, 1] - points[:, 0]).norm(dim=1) > 0
        return points, sure[:, pair].all(dim=1) & apart
    return alignment_points(found.xy, sure, skeleton, preprocess.axis)
