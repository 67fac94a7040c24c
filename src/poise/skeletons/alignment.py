"""Alignment of a body as in BlazePose (arXiv 2006.10204): the middle of the hips, and the circle around it that holds the body.

Two alignment keypoints say where a person is, how large and how turned: the centre of the circle, and the point of the circle
in the direction from mid-hip to mid-shoulder. They are made from labelled keypoints; a network may predict them, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.errors import SkeletonMismatch
from poise.skeletons._skeleton import Skeleton

CENTRE = "body_centre"
"""Name of the alignment keypoint in the centre of the circle."""

CIRCLE = "body_circle"
"""Name of the alignment keypoint on the circle, above the centre of an upright person."""

SIGMA = 0.107
"""OKS sigma of both: COCO's of the hips, which is its largest; no data set has repeated labels of them."""


@final
@dataclass(frozen=True)
class BodyAxis:
    """Keypoints that give the position and rotation of a body.

    Attributes:
        centre: Names of the keypoints whose mean is the centre of the circle.
        top: Names of the keypoints whose mean lies straight above the centre when the body is upright.
    """

    centre: tuple[str, ...] = ("left_hip", "right_hip")
    top: tuple[str, ...] = ("left_shoulder", "right_shoulder")

    def indices(self, skeleton: Skeleton) -> tuple[list[int], list[int]]:
        """Indices of both groups in a skeleton.

        Raises:
            SkeletonMismatch: The skeleton lacks one of the keypoints.
        """
        missing = [name for name in (*self.centre, *self.top) if name not in skeleton.keypoints]
        if missing or not self.centre or not self.top:
            raise SkeletonMismatch(
                f"an aligned crop needs the keypoints {', '.join((*self.centre, *self.top)) or 'of an axis'}, and skeleton "
                f"{skeleton.name!r} has no {', '.join(missing) or 'such names'}; name the keypoints in the middle of the "
                f"body and those above it (--axis-centre, --axis-top) among {', '.join(skeleton.keypoints)}"
            )
        centre, top = ([skeleton.index(name) for name in names] for names in (self.centre, self.top))
        return centre, top


def alignment_points(
    xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"] | Bool[Tensor, "n k"], skeleton: Skeleton, axis: BodyAxis
) -> tuple[Float[Tensor, "n 2 2"], Bool[Tensor, " n"]]:
    """Centre of the circle and the point on it, for each person.

    The radius is the distance from the centre to the farthest labelled keypoint.

    Args:
        xy: Keypoints, pixels.
        visible: Above 0 (or True) for keypoints that are labelled, or predicted with confidence.
        skeleton: Their skeleton; alignment keypoints among them do not count for the radius.
        axis: The keypoints that make centre and direction.

    Returns:
        The two points (x, y), and whether a person has them: all keypoints of the axis are labelled, and the two means differ.

    Raises:
        SkeletonMismatch: The skeleton lacks a keypoint of the axis.
    """
    centre, top = axis.indices(skeleton)
    known = visible > 0
    body = torch.tensor([name not in (CENTRE, CIRCLE) for name in skeleton.keypoints], device=known.device)
    middle = xy[:, centre].mean(dim=1)
    direction = xy[:, top].mean(dim=1) - middle
    length = direction.norm(dim=1)
    away = (xy - middle[:, None]).norm(dim=2).masked_fill(~(known & body), 0.0)
    radius = away.amax(dim=1)
    usable = known[:, [*centre, *top]].all(dim=1) & (length > 0) & (radius > 0)
    unit = direction / length.clamp(min=1e-12)[:, None]
    return torch.stack((middle, middle + radius[:, None] * unit), dim=1), usable


def box_points(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 2 2"]:
    """Alignment points of a box, for people without those of keypoints: its centre, and half its longer side above.

    Args:
        boxes: x0 y0 x1 y1, pixels.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    radius = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) / 2
    above = torch.stack((middle[:, 0], middle[:, 1] - radius), dim=1)
    return torch.stack((middle, above), dim=1)


def with_alignment(skeleton: Skeleton, names: Sequence[str] = (CENTRE, CIRCLE)) -> Skeleton:
    """The skeleton with the two alignment keypoints at its end.

    Args:
        skeleton: The body's keypoints.
        names: Names of the alignment keypoints.

    Raises:
        SkeletonMismatch: It has keypoints of these names.
    """
    return Skeleton(
        name=f"{skeleton.name}+alignment",
        keypoints=(*skeleton.keypoints, *names),
        bones=skeleton.bones,
        mirror=skeleton.mirror,
        sigmas=(*skeleton.sigmas, *(SIGMA for _ in names)),
        upper=skeleton.upper,
        sigma_source=f"{skeleton.sigma_source}; alignment keypoints as COCO's hips",
    )
